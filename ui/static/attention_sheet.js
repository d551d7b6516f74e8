/** All heads at once: a small picture of each, of every layer of the decoder, or of one block of the encoder. */

import { layerName } from './attention_panel.js';
import { el } from './dom.js';
import { drawHeat, heatOf } from './heat.js';

const SIDE = 128; // CSS pixels of the longer side of a small picture

export class AttentionSheet {
  isOpen = false;
  #shown = null; // what the small pictures are of

  /** tab: the AttentionTab. */
  constructor(tab) {
    this.tab = tab;
    this.element = el('section', { class: 'cm-sheet', 'aria-label': 'All heads' });
    this.element.hidden = true;
  }

  toggle() {
    this.isOpen = !this.isOpen;
    this.tab.draw();
    if (this.isOpen) this.element.scrollIntoView({ block: 'nearest' });
  }

  /** Bring it up to date. */
  draw() {
    const { tab } = this;
    const { kind, token, block } = tab.choice;
    this.element.hidden = !this.isOpen || !tab.map || tab.isRollout;
    if (this.element.hidden) return;
    const of = kind === 'patch' ? [tab.patch, block] : [tab.seen, kind, token];
    if (!this.#shown || of.some((part, n) => part !== this.#shown[n])) this.#fill();
    this.#shown = of;
    this.#press();
  }

  #fill() {
    const { kind } = this.tab.choice;
    const layers = kind === 'patch' ? [null] : [...Array(this.tab.seen.layers(kind)).keys()];
    this.element.replaceChildren(...layers.map((layer) => this.#row(layer, layers.length)));
  }

  /** layer: null for the block that is chosen. */
  #row(layer, count) {
    const { tab } = this;
    const heads = [null, ...Array(tab.heads).keys()];
    const { kind, block } = tab.choice;
    const name = layer === null ? tab.patch.blocks[block].name : layerName(kind, layer, count);
    const wishes = (head) => (layer === null ? { head } : { layer, head });
    const cells = heads.map((head) => this.#cell(wishes(head), head === null ? 'mean' : `head ${head + 1}`));
    return el('div', { class: 'cm-heads' }, el('h3', {}, name), el('div', { class: 'cm-cells' }, ...cells));
  }

  #cell(wishes, name) {
    const { tab } = this;
    const map = tab.mapFor(wishes);
    const [width, height] = sizeOf(map.frame.box);
    const canvas = el('canvas', { width, height });
    paint(canvas, tab.doc.bitmap, heatOf(map));
    const made = el('button', { type: 'button', onclick: () => tab.choose(wishes) }, canvas, name);
    Object.assign(made, { wishes });
    return made;
  }

  #press() {
    const { choice } = this.tab;
    for (const cell of this.element.querySelectorAll('button')) {
      const isChosen = Object.entries(cell.wishes).every(([name, value]) => choice[name] === value);
      cell.setAttribute('aria-pressed', String(isChosen));
    }
  }
}

function sizeOf([x0, y0, x1, y1]) {
  const scale = (SIDE * devicePixelRatio) / Math.max(x1 - x0, y1 - y0);
  return [Math.max(1, Math.round((x1 - x0) * scale)), Math.max(1, Math.round((y1 - y0) * scale))];
}

/** The encoded part of the photo, and a map over it. */
function paint(canvas, bitmap, heat) {
  const context = canvas.getContext('2d');
  const [x0, y0, x1, y1] = heat.box;
  context.scale(canvas.width / (x1 - x0), canvas.height / (y1 - y0));
  context.translate(-x0, -y0);
  context.drawImage(bitmap, 0, 0);
  drawHeat(context, heat);
}
