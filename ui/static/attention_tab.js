/**
 * The Attention tab: what the Transformer looked at for a click, over the photo of the Click tab. It begins with what
 * was clicked there; points and boxes of its own change nothing there.
 */

import { AttentionAsker } from './attention_asker.js';
import { AttentionHand } from './attention_hand.js';
import { AttentionPanel } from './attention_panel.js';
import { AttentionSheet } from './attention_sheet.js';
import { captionOf } from './attention_words.js';
import { boxOf, lastAnswer, maskOf, pointsOf } from './chain.js';
import { el, setText } from './dom.js';
import { heatOf } from './heat.js';
import { colourOf } from './palette.js';
import { Stage } from './stage.js';
import { View } from './view.js';
import { AttentionWalk } from './walk.js';

const EXAMPLE = 'fig';
const NOTHING = Object.freeze({ points: [], labels: [], box: null, previous: null, index: null });
const MINE = colourOf(0);

/** Start it in Gradio's element. options: {root}. The tab itself is `window.clickmaskAttention`. */
export async function start(element, { root }) {
  const tab = new AttentionTab(element.querySelector('.cm-attention'), root);
  window.clickmaskAttention = tab;
  (await started()).attention = tab;
  new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && tab.open()).observe(tab.element);
  return tab;
}

class AttentionTab {
  doc = null;
  prompt = NOTHING;
  source = null; // the window that was encoded by itself, null for the whole image
  seen = null; // a Seen, of the prompt
  patch = null; // a PatchSeen, of the patch under the pointer
  map = null; // the one that is shown
  waiting = null; // why the server keeps us waiting
  #wished = { kind: 'looks', token: null, layer: 2, head: null, block: 2 }; // token: its name; null: the answer's
  #rolling = null; // the patch whose blocks are put together
  #adopted = null; // what the Click tab had when it was last looked at

  constructor(element, root) {
    Object.assign(this, { element, root });
    this.view = new View();
    this.asker = new AttentionAsker({
      onSeen: (seen, mask) => this.#took(seen, mask),
      onPatch: (patch) => this.#tookPatch(patch),
      onBusy: () => this.say(),
      onError: (error) => this.#fail(error),
      onRollout: () => this.draw(),
      onLost: () => this.ask({ ...this.prompt, previous: null }),
    });
    this.#lay();
    this.stage = new Stage(this.canvas, this.view);
    this.stage.setOptions({ opacity: 0 });
    this.hand = new AttentionHand(this);
  }

  #lay() {
    this.canvas = el('div', {
      class: 'cm-stage',
      tabindex: '0',
      role: 'application',
      'aria-label': 'Photo',
      'aria-describedby': 'cm-attention-caption',
    });
    this.caption = el('p', { id: 'cm-attention-caption', class: 'cm-caption', role: 'status' });
    this.error = el('p', { class: 'cm-alarm', role: 'alert' });
    this.panel = new AttentionPanel(this);
    this.sheet = new AttentionSheet(this);
    this.walk = new AttentionWalk(this);
    this.empty = el(
      'div',
      { class: 'cm-attention-none' },
      el('p', {}, 'No photo yet: open one in the tab Click, or take an example.'),
      el('button', { type: 'button', class: 'cm-primary', onclick: () => this.#takeExample() }, 'Take an example'),
    );
    const picture = el('div', { class: 'cm-picture' }, this.canvas, this.caption, this.error);
    this.body = el('div', { class: 'cm-attention-body' }, picture, this.panel.element);
    this.element.replaceChildren(this.empty, this.body, this.sheet.element, this.walk.element);
  }

  /** The tab is looked at: with the Click tab's photo, and what was clicked there since. */
  async open() {
    const page = await started();
    if (!this.element.checkVisibility()) return;
    const { doc, editor } = page.bench;
    const making = editor?.making ?? editor?.state.objects.at(-1)?.making ?? null;
    const clicked = making?.elements.length ? promptOf(making) : NOTHING;
    const news = JSON.stringify([doc?.id, clicked, making?.source]);
    this.element.toggleAttribute('data-empty', !doc);
    for (const part of [this.body, this.sheet.element, this.walk.element]) part.hidden = !doc;
    this.empty.hidden = Boolean(doc);
    if (doc?.size) this.#show(doc, news !== this.#adopted, clicked, making?.source ?? null);
    else this.#leave();
    this.#adopted = news;
    this.isStarted = true;
  }

  #show(doc, isNew, clicked, source) {
    if (doc !== this.doc || isNew) {
      const isOther = doc !== this.doc || String(source) !== String(this.source);
      if (isOther) this.#leave();
      Object.assign(this, { doc, source });
      if (isOther) this.#frameView();
      this.ask(clicked);
      if (isOther && this.choice.kind === 'patch') this.hand.pointAt(this.#middle());
    }
    this.stage.setPhoto(doc.bitmap);
  }

  #frameView() {
    this.view.setImage(...this.doc.size);
    if (this.source) this.view.showBox(this.source);
  }

  async #takeExample() {
    const page = await started();
    await page.intake.takeExample(`${this.root}/page/examples/${EXAMPLE}.jpg`);
  }

  /** The photo is looked at no longer: nothing that was asked about it counts. */
  #leave() {
    Object.assign(this, { doc: null, seen: null, patch: null, mask: null });
    this.error.textContent = '';
    this.hand.drop();
    this.asker.forget();
  }

  /** Ask anew: the prompt is this. What is shown stays until the answer comes. */
  ask(prompt) {
    this.prompt = prompt;
    this.error.textContent = '';
    if (!prompt.points.length && !prompt.box) this.seen = null;
    this.asker.ask(this.doc, this.source, prompt);
    this.draw();
  }

  /** No points, no box, and the whole photo. */
  clear() {
    const { doc } = this;
    const isOther = this.source !== null;
    if (isOther) this.#leave();
    Object.assign(this, { doc, source: null });
    if (isOther) this.#frameView();
    this.ask(NOTHING);
  }

  /** Something else is to be shown: {kind, token, layer, head, block}, in part. */
  choose(wishes) {
    Object.assign(this.#wished, wishes);
    if (this.choice.kind === 'patch' && !this.patch) this.hand.pointAt(this.#middle());
    this.draw();
  }

  /** What is chosen, or what comes nearest: kinds, prompts and blocks have layers, tokens and heads of their own. */
  get choice() {
    const { seen, patch } = this;
    const { kind, token, layer, head, block } = this.#wished;
    const own = { kind, token: null, layer, head, block: Math.min(block, (patch?.choices ?? Infinity) - 1) };
    if (seen) own.token = seen.tokens.indexOf(seen.tokens.includes(token) ? token : seen.chosen);
    if (seen && kind !== 'patch') own.layer = Math.min(layer, seen.layers(kind) - 1);
    const heads = kind === 'patch' ? patch?.headsOf(own.block) : seen?.heads;
    if (head !== null && heads) own.head = Math.min(head, heads - 1);
    return own;
  }

  /** How many heads there are to choose from; 0 while that is not known. */
  get heads() {
    if (this.choice.kind === 'patch') return this.patch?.headsOf(this.choice.block) ?? 0;
    return this.seen?.heads ?? 0;
  }

  /** The map for a choice like the one made, with these wishes; null while there is none. */
  mapFor(wishes = {}) {
    const { kind, token, layer, head, block } = { ...this.choice, ...wishes };
    if (kind === 'patch') return this.patch?.map(block, head) ?? null;
    return this.seen?.map(kind, token, layer, head) ?? null;
  }

  draw() {
    const { stage, choice, patch, prompt } = this;
    this.map = this.mapFor();
    stage.setHeat(this.map && heatOf(this.map));
    const isPatch = choice.kind === 'patch';
    if (this.isRollout && !patch.rollout && this.hand.isPinned && patch !== this.#rolling) this.#rollOut();
    stage.setPrompts(isPatch ? null : prompt);
    stage.setRubberBand(isPatch && patch ? patch.boxOf(choice.block) : this.source);
    stage.setCurrent(isPatch || !this.seen ? null : { mask: this.mask, colour: MINE });
    this.panel.draw();
    this.sheet.draw();
    this.walk.draw();
    this.say();
  }

  /** Whether all blocks together are chosen. */
  get isRollout() {
    return this.choice.kind === 'patch' && this.patch !== null && !this.patch.blocks[this.choice.block];
  }

  #rollOut() {
    this.#rolling = this.patch;
    this.asker.rollOut(this.doc, this.source, this.patch);
  }

  #took(seen, mask) {
    if (seen.chosen !== this.seen?.chosen) this.#wished.token = null;
    Object.assign(this, { seen, mask });
    this.error.textContent = '';
    this.draw();
  }

  #tookPatch(patch) {
    this.patch = patch;
    this.error.textContent = '';
    if (this.choice.kind === 'patch') this.draw();
  }

  #fail(error) {
    this.error.textContent = error.message;
    this.draw();
  }

  /** The server keeps us waiting (an error), or no longer (null). */
  wait(error) {
    this.waiting = error?.message ?? null;
    this.say();
  }

  /** What is shown, or awaited, in words. */
  say() {
    setText(this.caption, captionOf(this));
    this.element.toggleAttribute('data-busy', this.asker.isBusy);
  }

  /** A point of the prompt, or the middle of what was encoded: where to begin. */
  #middle() {
    return this.anchor ?? middleOf(this.extent);
  }

  /** [x0, y0, x1, y1] of the image that is encoded. */
  get extent() {
    return this.source ?? [0, 0, ...this.doc.size];
  }

  /** What was clicked first: a point, or the middle of the box; null without a prompt. */
  get anchor() {
    const { points, box } = this.prompt;
    return points[0] ?? (box && middleOf(box));
  }
}

const middleOf = ([x0, y0, x1, y1]) => [(x0 + x1) / 2, (y0 + y1) / 2];

/** What was asked last for an object, with the candidate that was picked. */
function promptOf(making) {
  const answer = lastAnswer(making);
  const candidate = answer?.masks?.length > 1 ? maskOf(answer) : null;
  return {
    points: pointsOf(making).map(({ x, y }) => [x, y]),
    labels: pointsOf(making).map(({ label }) => label),
    box: boxOf(making),
    previous: maskOf(answer?.question.previous)?.maskId ?? null,
    index: candidate?.index ?? null,
  };
}

/** The page of the Click tab, once it can be used. */
async function started() {
  while (!window.clickmask?.isStarted) await new Promise((resolve) => setTimeout(resolve, 50));
  return window.clickmask;
}
