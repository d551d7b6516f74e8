/** Puts the page together. */

import { Api } from './api.js';
import { commandsOf } from './commands.js';
import { decodePhoto } from './decode.js';
import { Documents } from './documents.js';
import { el } from './dom.js';
import { Everything } from './everything.js';
import { Exporter } from './exporter.js';
import { Hand } from './hand.js';
import { showHelp } from './help.js';
import { Hover } from './hover.js';
import { Intake } from './intake.js';
import { showKeys } from './key_hints.js';
import { KeyMap } from './key_map.js';
import { Listening } from './listening.js';
import { ObjectMenu } from './object_menu.js';
import { Rasters } from './rasters.js';
import { Settings } from './settings.js';
import { snippetsFor } from './snippets.js';
import { Stage } from './stage.js';
import { newImage, openStore, openWorkspace, takeUp } from './store.js';
import { FilmStrip } from './strip.js';
import { Tools } from './tools.js';
import { View } from './view.js';
import { named, Status, Toasts } from './words.js';
import { Workbench } from './workbench.js';

const EXAMPLES = ['dogs', 'clock', 'nuthatch', 'fig'];

/**
 * Start the page in Gradio's element. options: {root, maxBytes, mostPoints, hasProject}: the path under which a proxy
 * shows the service, the largest file it takes, the most points of an object, and whether it has a project. The page
 * itself, for what stands around it in Gradio, is `window.clickmask`.
 */
export async function start(element, options) {
  const page = new Page(element, options);
  window.clickmask = page;
  await page.start();
  return page;
}

class Page {
  constructor(element, { root, maxBytes, mostPoints, hasProject }) {
    const at = (name) => element.querySelector(`.cm-${name}`);
    Object.assign(this, { root, maxBytes, mostPoints, hasProject, at, app: at('app'), api: new Api(root) });
    this.toasts = new Toasts(at('toasts'));
    this.status = new Status(at('status'));
    this.view = new View();
    this.stage = new Stage(at('stage'), this.view);
    this.rasters = new Rasters();
  }

  async start() {
    this.store = await openStore();
    const workspace = await openWorkspace(this.store);
    this.settings = new Settings(this.store, () => this.#applySettings());
    await this.settings.restore();
    this.keyMap = new KeyMap(this.settings);
    this.#makeDocuments();
    this.#makeBench();
    this.#makeWays();
    this.#applySettings();
    if (!this.store.persistent) this.toasts.say(this.store.why);
    if (this.hasProject) await (await import('./project.js')).openProject(this);
    await this.documents.restore();
    if (workspace.latest && !this.documents.list.length) this.#offer(workspace.latest);
    this.isStarted = true;
  }

  #makeDocuments() {
    this.documents = new Documents({
      api: this.api,
      rasters: this.rasters,
      store: this.store,
      decode: decodePhoto,
      onChange: (doc) => this.#docChanged(doc),
      onReady: (doc) => doc === this.bench.doc && this.hand.again(),
      onSession: (doc) => this.#save(doc),
      onOpen: (doc) => this.#opened(doc),
      onWait: (error) => this.#waiting(error),
      onTrouble: (error, doc) => this.toasts.error(doc ? about(doc.name, error.message) : error.message),
    });
  }

  #makeBench() {
    this.everything = new Everything(this);
    this.tools = new Tools(
      () => this.bench.draw(),
      (tool) => tool === 'everything' && this.everything.begin(),
    );
    // Of the photo on the screen: the next one may be open already, and not shown yet. Before it is encoded a preview
    // would be late, and the server would have us wait.
    const remoteNow = () => (this.bench.doc?.state === 'ready' ? this.bench.doc.remote : null);
    this.hover = new Hover(this.api, remoteNow, {
      onPreview: (mask, times) => this.#preview(mask, times),
      onLine: () => this.bench.draw(),
    });
    const now = () => (this.bench.editor ? { editor: this.bench.editor, view: this.view } : null);
    this.hand = new Hand(now, this, {
      select: (id, adding) => this.bench.select(id, adding),
      reopen: (id) => this.bench.editor.reopen(id),
      menu: (id, point) => this.menu.openAt(id, point),
      over: (id) => this.bench.over(id),
      redraw: () => this.bench.drawPrompts(),
    });
    const elements = {
      app: this.app,
      stage: this.at('stage'),
      chips: this.at('chips'),
      list: this.at('list'),
      listHeader: this.at('list-header'),
      making: this.at('making'),
      selection: this.at('selection'),
      progress: this.at('progress'),
    };
    this.bench = new Workbench({ ...this, elements });
    this.menu = new ObjectMenu(this);
  }

  #makeWays() {
    this.exporter = new Exporter(this);
    this.intake = new Intake(this.app, {
      maxBytes: this.maxBytes,
      onFiles: (files) => this.documents.add(files.map((file) => newImage(file))),
      onDocuments: async (files) => new (await import('./reopening.js')).Reopening(this).open(files),
      onRefused: (name, sentence) => this.toasts.error(sentence, { key: name }),
    });
    this.strip = new FilmStrip(this.at('strip'), {
      onOpen: (id) => this.documents.open(this.#doc(id)),
      onRemove: (id) => this.#remove(this.#doc(id)),
      onRetry: (id) => this.#doc(id).bring(),
      onAdd: () => this.intake.choose(),
      fileOf: (id) => this.#doc(id)?.context.store.fileAtHand(id) ?? null,
    });
    this.commands = commandsOf(this.bench, {
      documents: this.documents,
      choose: () => this.intake.choose(),
      camera: () => this.intake.camera(),
      exporter: this.exporter,
      menu: this.menu,
      help: () => showHelp(this.app, this.keyMap),
    });
    this.listening = new Listening(this);
    this.#offerExamples();
  }

  /** A command by its name, as a key or button gives it; nothing begun by the hand outlives Escape. */
  run(command, isDown = true) {
    if (command === 'cancel' && this.listening.gestures.cancel()) return;
    this.commands[command](isDown);
  }

  /** What is shown under the pointer, and when it was asked for and answered. */
  previewMask = null;
  previewTimes = null;

  isStarted = false; // whether the page can be used
  attention = null; // the Attention tab, once it is there: it shows the same photo

  /** Whether nothing is awaited: every question is answered, and every mask is there in full. */
  get isSettled() {
    const { doc } = this.bench;
    return !doc || (doc.state !== 'waiting' && !this.bench.isBusy);
  }

  /** Questions asked of the server so far, previews left out. */
  get asked() {
    return this.api.asked;
  }

  /** The same, if the user really means it. */
  closeAll() {
    const count = this.documents.list.length;
    const end = this.hasProject
      ? 'Those of the project come again with their work; the work on all others is gone.'
      : 'The work on them is gone.';
    if (count && confirm(`Close ${count === 1 ? 'the photo' : `all ${count} photos`}? ${end}`)) this.startOver();
  }

  /** End this browser's sign-in; what it keeps stays. */
  async signOut() {
    await this.store.flush().catch(() => {}); // said when it failed
    await this.api.signOut();
    location.reload();
  }

  /** Close all photos, here and at the server, with the work on them. */
  async startOver() {
    for (const doc of [...this.documents.list]) this.documents.remove(doc);
    this.documents.forgetRemoved();
    this.toasts.clear();
    await Promise.all([this.store.flush(), this.api.forgetAll()]);
  }

  /** For the controls around the page: specks and holes below this share of the area go. */
  clean(share) {
    this.bench.editor?.setClean(share);
  }

  /** The brush's radius, CSS pixels. */
  setBrush(radius) {
    this.tools.brush = radius;
    this.settings.set({ brush: radius });
  }

  /** [Python, curl] that do what was clicked last. */
  snippets() {
    const { editor, doc } = this.bench;
    const making = editor?.making ?? editor?.state.objects.at(-1)?.making;
    const { python, curl } = snippetsFor(making, doc?.name ?? '', location.origin + this.root);
    return [python, curl];
  }

  #offerExamples() {
    const open = (name) => this.intake.takeExample(`${this.root}/page/examples/${name}.jpg`);
    const picture = (name) =>
      el('img', { src: `${this.root}/page/examples/${name}_small.jpg`, alt: `Example: ${name}`, loading: 'lazy' });
    this.at('examples').append(
      ...EXAMPLES.map((name) => el('button', { type: 'button', onclick: () => open(name) }, picture(name))),
    );
  }

  #offer(latest) {
    const names = latest.images.length === 1 ? latest.images[0].name : `${latest.images.length} photos`;
    const goOn = async () => (await takeUp(this.store, latest.id)) && this.documents.restore();
    this.toasts.say(`Go on where you left off, with ${names}?`, { action: { name: 'Go on', run: goOn }, stays: true });
  }

  /** A photo goes from the strip, and after a while from the store: until then it can be had back. */
  #remove(doc) {
    const undo = this.documents.remove(doc);
    this.toasts.say(`${named(doc.name)} was removed.`, { action: { name: 'Undo', run: undo } });
  }

  #doc(id) {
    return this.documents.list.find((doc) => doc.id === id);
  }

  #opened(doc) {
    this.everything.photosChanged();
    this.bench.show(doc);
    this.attention?.open();
    this.#showStrip();
  }

  #docChanged(doc) {
    this.#showStrip();
    if (doc !== this.bench.doc) return;
    if (!this.bench.editor && doc.size && doc.session) {
      this.bench.show(doc); // its size is known only now
      this.attention?.open();
    } else this.bench.draw();
  }

  #showStrip() {
    const { list, current } = this.documents;
    this.strip.render(
      list.map(({ id, name, state, progress, count, hasWork }) => ({ id, name, state, progress, count, hasWork })),
      current?.id,
    );
  }

  #save(doc) {
    doc.context.store
      .saveSession(doc.id, doc.session.toStore())
      .catch((error) => this.toasts.error(error.message, { key: 'store' }));
    this.#showStrip();
  }

  #waiting(error) {
    this.attention?.wait(error);
    if (error === null) this.toasts.drop('server');
    else
      this.toasts.say(`The server keeps us waiting (${error.message}). Your clicks are kept; it goes on by itself.`, {
        key: 'server',
        stays: true,
      });
  }

  #preview(mask, times = null) {
    Object.assign(this, { previewMask: mask, previewTimes: times });
    this.stage.setPreview(mask && { mask, sign: 1 });
  }

  #applySettings() {
    const { label, isRapid, keepsOff, opacity } = this.settings;
    this.stage.setOptions({ opacity });
    showKeys(this.app, this.keyMap);
    this.at('active-label').value = label;
    this.at('rapid').checked = isRapid;
    this.at('keeps-off').checked = keepsOff;
    this.bench.draw();
  }
}

/** With the name of the photo, where the sentence does not begin with it. */
const about = (name, sentence) => (sentence.startsWith(name) ? sentence : `${named(name)}: ${sentence}`);
