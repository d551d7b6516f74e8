/** The hand on the Attention tab's photo: points and boxes ask anew; with patches it points at them. */

import { Gestures } from './gestures.js';

const MARKER = 9; // CSS pixels around a point's middle that are the point
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class AttentionHand {
  isPinned = false; // the patch stays, wherever the pointer goes
  #cursor = null; // where the arrows have come to

  /** tab: the AttentionTab. */
  constructor(tab) {
    this.tab = tab;
    this.gestures = new Gestures(tab.canvas, tab.view, {
      hover: (point) => !this.isPinned && this.pointAt(point),
      leave: () => {},
      click: (point, how) => this.#click(point, how),
      double: () => {},
      marker: (screen) => this.#markerAt(screen),
      dragKind: (point, { marker }) => (this.#isAtPatches ? 'pan' : marker === null ? 'box' : 'marker'),
      drag: (kind, phase, from, to, { marker }) => this.#drag(kind, phase, from, to, marker),
    });
    tab.canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  /** Ask about the patch at a point, where patches are shown and there is one. */
  pointAt(point) {
    const { tab } = this;
    if (!this.#isAtPatches || !this.#isInside(point)) return;
    this.#cursor = point;
    tab.asker.askPatch(tab.doc, tab.source, point);
  }

  /** The photo is another. */
  drop() {
    this.isPinned = false;
    this.#cursor = null;
  }

  get #isAtPatches() {
    return this.tab.choice.kind === 'patch';
  }

  #click(point, { other, marker }) {
    const { prompt } = this.tab;
    const { points, labels } = prompt;
    if (this.#isAtPatches) this.#pin(point);
    else if (marker !== null) {
      const others = (values) => values.filter((_, n) => n !== marker);
      this.#ask({ points: others(points), labels: others(labels) });
    } else if (this.#isInside(point)) this.#ask({ points: [...points, point], labels: [...labels, other ? 0 : 1] });
  }

  /** A prompt of one's own goes on from no earlier mask, and takes the best of several. */
  #ask(change) {
    this.tab.ask({ ...this.tab.prompt, previous: null, index: null, ...change });
  }

  /** A click keeps a patch; on the one that is kept, it lets go. */
  #pin(point) {
    const { patch, choice } = this.tab;
    this.isPinned = !(this.isPinned && patch && isWithin(point, patch.boxOf(choice.block)));
    this.pointAt(point);
    this.tab.draw();
  }

  #drag(kind, phase, from, to, marker) {
    if (kind === 'marker') this.#dragPoint(phase, to, marker);
    else this.#dragBox(phase, from, to);
  }

  #dragPoint(phase, to, marker) {
    const { tab } = this;
    const points = tab.prompt.points.map((point, n) => (n === marker && phase !== 'cancel' ? to : point));
    tab.stage.setPrompts({ ...tab.prompt, points });
    if (phase === 'end' && this.#isInside(to)) this.#ask({ points });
    else if (phase === 'end') tab.draw();
  }

  #dragBox(phase, from, to) {
    const { tab } = this;
    const [x0, y0, x1, y1] = tab.extent;
    const between = (values, low, high) => values.map((value) => Math.min(Math.max(value, low), high)).sort(upwards);
    const [across, down] = [between([from[0], to[0]], x0, x1), between([from[1], to[1]], y0, y1)];
    const box = [across[0], down[0], across[1], down[1]];
    tab.stage.setRubberBand(phase === 'move' ? box : tab.source);
    if (phase === 'end' && box[2] - box[0] >= 1 && box[3] - box[1] >= 1) this.#ask({ box });
  }

  /** The arrows move the patch, place by place; 0 fits the photo, Escape gives up what is being dragged. */
  #key(event) {
    if (event.key === 'Escape') this.gestures.cancel();
    if (event.key === '0') this.tab.view.fit();
    const way = WAYS[event.key];
    const { patch, choice } = this.tab;
    if (!way || !this.#isAtPatches || !patch) return;
    event.preventDefault();
    const [x0, y0, x1, y1] = patch.boxOf(choice.block);
    const [x, y] = this.#cursor ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    this.isPinned = true;
    this.pointAt([x + way[0] * (x1 - x0), y + way[1] * (y1 - y0)]);
  }

  #markerAt(screen) {
    if (this.#isAtPatches) return null;
    const { view, prompt } = this.tab;
    const isNear = (point) => {
      const [x, y] = view.toScreen(...point);
      return Math.hypot(x - screen[0], y - screen[1]) <= MARKER;
    };
    const found = prompt.points.findIndex(isNear);
    return found < 0 ? null : found;
  }

  #isInside(point) {
    return isWithin(point, this.tab.extent);
  }
}

const isWithin = ([x, y], [x0, y0, x1, y1]) => x >= x0 && y >= y0 && x < x1 && y < y1;
const upwards = (a, b) => a - b;
