/** The hand on the Attention tab's photo: points and boxes ask anew; with patches it points at them. */

import { Gestures } from './gestures.js';

const MARKER = 9; // CSS pixels around a point's middle that are the point
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class AttentionHand {
  #isPinned = false; // the patch stays, wherever the pointer goes

  /** tab: the AttentionTab. */
  constructor(tab) {
    this.tab = tab;
    new Gestures(tab.canvas, tab.view, {
      hover: (point) => !this.#isPinned && this.pointAt(point),
      leave: () => {},
      click: (point, how) => this.#click(point, how),
      double: () => {},
      marker: (screen) => this.#markerAt(screen),
      dragKind: () => (this.#isAtPatches ? 'pan' : 'box'),
      drag: (kind, phase, from, to) => this.#drag(phase, from, to),
    });
    tab.canvas.addEventListener('keydown', (event) => this.#key(event));
  }

  /** Ask about the patch at a point, where patches are shown and there is one. */
  pointAt(point) {
    const { tab } = this;
    if (this.#isAtPatches && this.#isInside(point)) tab.asker.askPatch(tab.doc, tab.source, point);
  }

  /** The photo is another. */
  drop() {
    this.#isPinned = false;
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
      this.tab.ask({ ...prompt, points: others(points), labels: others(labels) });
    } else if (this.#isInside(point)) {
      this.tab.ask({ ...prompt, points: [...points, point], labels: [...labels, other ? 0 : 1] });
    }
  }

  #pin(point) {
    this.#isPinned = !this.#isPinned;
    this.pointAt(point);
  }

  #drag(phase, from, to) {
    const { tab } = this;
    const [x0, y0, x1, y1] = tab.extent;
    const between = (values, low, high) => values.map((value) => Math.min(Math.max(value, low), high)).sort(upwards);
    const [across, down] = [between([from[0], to[0]], x0, x1), between([from[1], to[1]], y0, y1)];
    const box = [across[0], down[0], across[1], down[1]];
    tab.stage.setRubberBand(phase === 'move' ? box : null);
    if (phase === 'end' && box[2] - box[0] >= 1 && box[3] - box[1] >= 1) tab.ask({ ...tab.prompt, box });
  }

  /** The arrows move the patch, place by place. */
  #key(event) {
    const way = WAYS[event.key];
    const { patch, choice } = this.tab;
    if (!way || !this.#isAtPatches || !patch) return;
    event.preventDefault();
    const [x0, y0, x1, y1] = patch.boxOf(choice.block);
    this.#isPinned = true;
    this.pointAt([(x0 + x1) / 2 + way[0] * (x1 - x0), (y0 + y1) / 2 + way[1] * (y1 - y0)]);
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

  #isInside([x, y]) {
    const [x0, y0, x1, y1] = this.tab.extent;
    return x >= x0 && y >= y0 && x < x1 && y < y1;
  }
}

const upwards = (a, b) => a - b;
