/**
 * The Attention tab: what the Transformer looked at for a click, over the photo of the Click tab. It begins with what
 * was clicked there; points and boxes of its own change nothing there.
 */

import { AttentionAsker } from './attention_asker.js';
import { AttentionHand } from './attention_hand.js';
import { AttentionPanel } from './attention_panel.js';
import { AttentionSheet } from './attention_sheet.js';
import { boxOf, pointsOf } from './chain.js';
import { el, setText } from './dom.js';
import { heatOf } from './heat.js';
import { colourOf } from './palette.js';
import { sharesOf } from './seen.js';
import { Stage } from './stage.js';
import { View } from './view.js';
import { AttentionWalk } from './walk.js';

const EXAMPLE = 'fig';
const NOTHING = Object.freeze({ points: [], labels: [], box: null });
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
  choice = { kind: 'looks', token: null, layer: 2, head: null, block: 2 };
  seen = null; // a Seen, of the prompt
  patch = null; // a PatchSeen, of the patch under the pointer
  map = null; // the one that is shown
  #adopted = null; // what the Click tab had when it was last looked at

  constructor(element, root) {
    Object.assign(this, { element, root });
    this.view = new View();
    this.asker = new AttentionAsker({
      onSeen: (seen, mask) => this.#took(seen, mask),
      onPatch: (patch) => this.#tookPatch(patch),
      onBusy: () => this.#say(),
      onError: (error) => this.#fail(error),
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
    else this.doc = null;
    this.#adopted = news;
    this.isStarted = true;
  }

  #show(doc, isNew, clicked, source) {
    if (doc !== this.doc || isNew) {
      const isOther = doc !== this.doc || String(source) !== String(this.source);
      Object.assign(this, { doc, source });
      if (isOther) this.view.setImage(...doc.size);
      if (isOther) this.#forget();
      this.ask(clicked);
    }
    this.stage.setPhoto(doc.bitmap);
  }

  async #takeExample() {
    const page = await started();
    await page.intake.takeExample(`${this.root}/page/examples/${EXAMPLE}.jpg`);
  }

  /** Nothing is known of this photo yet. */
  #forget() {
    Object.assign(this, { patch: null, mask: null });
    this.hand.drop();
    this.asker.forget();
  }

  /** Ask anew: the prompt is this. */
  ask(prompt) {
    this.prompt = prompt;
    this.error.textContent = '';
    this.seen = null;
    this.asker.ask(this.doc, this.source, this.prompt);
    this.draw();
  }

  /** No points and no box. */
  clear() {
    this.ask(NOTHING);
  }

  /** Something else is to be shown: {kind, token, layer, head, block}, in part. */
  choose(wishes) {
    Object.assign(this.choice, wishes);
    this.#fit();
    if (this.choice.kind === 'patch' && !this.patch) this.hand.pointAt(this.#middle());
    this.draw();
  }

  /** As it is chosen, or what comes nearest: kinds, prompts and blocks have layers, tokens and heads of their own. */
  #fit() {
    const { choice, seen, patch } = this;
    if (seen) {
      choice.token = choice.token in seen.tokens ? choice.token : seen.tokens.indexOf(seen.chosen);
      if (choice.kind !== 'patch') choice.layer = Math.min(choice.layer, seen.layers(choice.kind) - 1);
    }
    if (patch) choice.block = Math.min(choice.block, patch.blocks.length - 1);
    if (choice.head !== null && this.heads) choice.head = Math.min(choice.head, this.heads - 1);
  }

  /** How many heads there are to choose from; 0 while that is not known. */
  get heads() {
    if (this.choice.kind === 'patch') return this.patch?.blocks[this.choice.block]?.weights.shape[0] ?? 0;
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
    stage.setPrompts(isPatch ? null : prompt);
    stage.setRubberBand(isPatch && patch ? patch.boxOf(choice.block) : null);
    stage.setCurrent(isPatch || !this.seen ? null : { mask: this.mask, colour: MINE });
    this.panel.draw();
    this.sheet.draw();
    this.walk.draw();
    this.#say();
  }

  #took(seen, mask) {
    const isFirst = this.choice.token === null || !(this.choice.token in seen.tokens);
    if (isFirst || seen.chosen !== this.chosenBefore) this.choice.token = seen.tokens.indexOf(seen.chosen);
    Object.assign(this, { seen, mask, chosenBefore: seen.chosen });
    this.#fit();
    this.draw();
  }

  #tookPatch(patch) {
    this.patch = patch;
    this.#fit();
    if (this.choice.kind === 'patch') this.draw();
  }

  #fail(error) {
    this.error.textContent = error.message;
    this.draw();
  }

  #say() {
    const { map, choice } = this;
    const share = (value) => `${(100 * value).toPrecision(2)} %`;
    if (map && choice.kind === 'listens') {
      const { most } = sharesOf(map);
      setText(this.caption, `How much each place listens to it: ${share(most)} at most.`);
    } else if (map) {
      const { picture, padding, most } = sharesOf(map);
      const rest = padding > 0.0005 && choice.kind === 'looks' ? `, ${share(padding)} on the padding beyond it` : '';
      const whole = choice.kind === 'patch' ? '' : `${share(picture)} of it is on the picture${rest}; `;
      setText(this.caption, `Attention: ${whole}the brightest place has ${share(most)}.`);
    } else setText(this.caption, this.asker.isBusy ? 'Asking…' : this.#hint());
    this.element.toggleAttribute('data-busy', this.asker.isBusy);
  }

  #hint() {
    if (this.choice.kind === 'patch') return 'Point at a patch to see where it looks; a click keeps it.';
    return 'Click something in the photo; right click, or Shift, for what it is not; drag for a box.';
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

const promptOf = (making) => ({
  points: pointsOf(making).map(({ x, y }) => [x, y]),
  labels: pointsOf(making).map(({ label }) => label),
  box: boxOf(making),
});

/** The page of the Click tab, once it can be used. */
async function started() {
  while (!window.clickmask?.isStarted) await new Promise((resolve) => setTimeout(resolve, 50));
  return window.clickmask;
}
