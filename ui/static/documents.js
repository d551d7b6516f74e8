/** The photos that are open: where each is on its way to the server, and the work on it. */

import { Asker } from './asking.js';
import { Finals } from './finals.js';
import { digest } from './ids.js';
import { Remote } from './remote.js';
import { Session } from './session.js';
import { Windows } from './windows.js';

/**
 * One photo. state: 'waiting', 'uploading', 'encoding', 'ready' or 'failed'; progress: 0 to 1 while uploading; error: a
 * sentence when it failed. Null until the server has told: size, [width, height] of the upright image; orientation of
 * the file, by EXIF; model, the name of the one that looks at it, and modelDigest, its weights'.
 */
export class Doc {
  /** image: as the store has it. context: {api, rasters, store, decode, onChange(doc), onReady(doc), onSession(doc),
   * onWait(error)}. */
  constructor(image, context) {
    Object.assign(this, { image, context, id: image.id, name: image.name, state: 'waiting', progress: 0, error: null });
    Object.assign(this, { size: null, bitmap: null, hidden: new Set(), session: null });
    Object.assign(this, { model: null, modelDigest: null, orientation: null });
    this.remote = new Remote(context.api, () => context.store.file(this.id), {
      onProgress: (progress) => this.state !== 'failed' && this.#set({ state: 'uploading', progress }),
      onWait: context.onWait,
    });
    this.asker = new Asker(this.remote, () => this.#changed());
    if (image.width) this.#setSize([image.width, image.height]);
  }

  /** How many objects it has. */
  get count() {
    return this.session?.state.objects.length ?? this.image.count ?? 0;
  }

  /** Whether there is work on it that was not looked at yet. */
  get hasWork() {
    return !this.session && Boolean(this.image.hasWork);
  }

  /** Bring it to the server and see it encoded; ahead: it is not looked at yet. Never fails: see `state`. */
  async bring({ ahead = false } = {}) {
    if (this.state === 'ready' || (this.bringing && !ahead)) return this.bringing;
    this.bringing = this.#bring(ahead);
    await this.bringing;
    this.bringing = null;
  }

  /** Its picture for the screen, and the work on it: needed while it is looked at. */
  async load() {
    await this.loadSession();
    this.bitmap ??= await this.#picture();
  }

  /** The work on it alone. */
  async loadSession() {
    const saved = this.session ?? (await this.context.store.session(this.id));
    this.session ??= new Session(saved, () => this.context.onSession(this));
    if (!this.size && saved?.size) this.#setSize(saved.size);
  }

  /** SHA-256 of its file in hex, or null where the browser cannot reckon it. */
  sha256() {
    this.digesting ??= this.#digest();
    return this.digesting;
  }

  /** Give the picture's memory back. */
  unload() {
    this.bitmap?.close();
    this.bitmap = null;
  }

  async #digest() {
    return this.image.sha256 ?? digest(await this.context.store.file(this.id));
  }

  async #picture() {
    const { bitmap } = await this.#decoded();
    if (!this.size) this.#setSize([bitmap.width, bitmap.height]);
    return bitmap;
  }

  /** By the browser; by the server where the browser does not know the format, as with TIFF. */
  async #decoded() {
    const { decode, store, api } = this.context;
    try {
      return await decode(await store.file(this.id));
    } catch (error) {
      if (error.name !== 'DamagedPhoto') throw error;
      await this.bringing;
      if (this.state === 'failed') throw new Error(this.error);
      const picture = await this.remote.retelling(null, (id) => api.picture(id));
      return decode(new File([picture], this.name, { type: picture.type }));
    }
  }

  async #bring(ahead) {
    try {
      if (this.state === 'failed') this.#set({ state: 'waiting', error: null });
      const { width, height, orientation, model, provenance } = await this.remote.describe(null, { prefetch: ahead });
      Object.assign(this, { orientation, model, modelDigest: provenance.digest });
      this.#setSize([width, height]);
      this.#set({ state: 'encoding' });
      await this.remote.encoded();
      this.#set({ state: 'ready' });
      this.context.onReady(this);
    } catch (error) {
      this.#set({ state: 'failed', error: error.message });
    }
  }

  /** The server's word on the size holds; it is the frame of all coordinates. */
  #setSize(size) {
    if (this.size?.join() === size.join()) return;
    this.size = size;
    this.finals = new Finals(this.asker, size, this.context.rasters, () => this.#settled());
    this.windows = new Windows(this.remote, size, () => this.#changed());
    this.context.store.updateImage(this.id, { width: size[0], height: size[1] }).catch(() => {}); // said at `addImage`
  }

  #settled() {
    this.context.onSession(this);
    this.#changed();
  }

  #set(values) {
    Object.assign(this, values);
    this.#changed();
  }

  #changed() {
    this.context.onChange(this);
  }
}

const REGRET = 15_000; // ms in which a removed photo can be had back

export class Documents {
  #removed = new Map(); // Doc -> timer
  list = [];
  current = null;
  #opening = 0;

  /** context: as for Doc, with onOpen(doc | null): another one is looked at. */
  constructor(context) {
    this.context = context;
  }

  /** Take up those that the store has, after those that are there. */
  async restore() {
    const images = await this.context.store.images();
    this.list.push(...images.map((image) => new Doc(image, this.context)));
    if (this.list.length) await this.open(this.list[0]);
  }

  /** Open photos that came together, from `newImage`: the first of them is looked at. */
  async add(images) {
    const docs = images.map((image) => new Doc(image, this.context));
    this.list.push(...docs);
    for (const image of images) this.context.store.addImage(image).catch((error) => this.context.onTrouble(error));
    if (docs.length) await this.open(docs[0]);
  }

  /** Look at this one; the next one is brought to the server meanwhile. */
  async open(doc) {
    const turn = (this.#opening += 1);
    const before = this.current;
    this.current = doc;
    const bringing = doc.bring();
    try {
      await doc.load();
    } catch (error) {
      this.context.onTrouble(error, doc);
    }
    if (turn !== this.#opening) return;
    if (before && before !== doc) before.unload();
    this.context.onOpen(doc);
    await bringing;
    if (turn === this.#opening) this.next(1)?.bring({ ahead: true });
  }

  /** The doc so many places further, or undefined. */
  next(step) {
    return this.list[this.list.indexOf(this.current) + step];
  }

  /** Close one. The store forgets it after a while, or when the page goes; gives a function that has it back. */
  remove(doc) {
    const place = this.list.indexOf(doc);
    this.list.splice(place, 1);
    const timer = setTimeout(() => this.#forget(doc), REGRET);
    this.#removed.set(doc, timer);
    if (doc === this.current) this.#openInstead(place);
    else this.context.onChange(doc);
    return () => this.#haveBack(doc, place);
  }

  /** Forget those that were closed, at once: the page goes. */
  forgetRemoved() {
    for (const doc of this.#removed.keys()) this.#forget(doc);
  }

  #openInstead(place) {
    const doc = this.current;
    const other = this.list[Math.min(place, this.list.length - 1)];
    if (other) {
      this.open(other);
      return;
    }
    this.#opening += 1;
    this.current = null;
    doc.unload();
    this.context.onOpen(null);
  }

  #forget(doc) {
    clearTimeout(this.#removed.get(doc));
    this.#removed.delete(doc);
    doc.context.store.removeImage(doc.id);
  }

  #haveBack(doc, place) {
    if (!this.#removed.has(doc)) return;
    clearTimeout(this.#removed.get(doc));
    this.#removed.delete(doc);
    this.list.splice(place, 0, doc);
    this.open(doc);
  }
}
