/** From what was clicked and painted to pixels: for the screen at once, and at the image's own resolution after. */

import * as chain from './chain.js';
import { emptyMask, onRaster, rasterOf, withPixels } from './masks.js';
import { subtract, union } from './rle.js';

const MODEL_SIDE = 1024;

export class Finals {
  #settling = new WeakMap(); // Final -> promise of its full mask
  #painted = new WeakMap(); // Mask -> [{strokes, mask}]: what it became with so many strokes on it
  #painting = new Set(); // arrays of strokes that are being painted

  /**
   * asker: of the image. size: [width, height]. rasters: see rasters.js. onReady(): something can be drawn, or saved,
   * that could not before.
   */
  constructor(asker, size, rasters, onReady) {
    Object.assign(this, { asker, size, rasters, onReady });
    this.nothing = this.blank(MODEL_SIDE);
  }

  /** Whether strokes are being painted. */
  get isPainting() {
    return this.#painting.size > 0;
  }

  /** What to show of an object in the making: the newest mask with the strokes on it; null when there is none yet. */
  shown(making) {
    const base = chain.shownMask(making);
    if (!making.strokes.length) return base;
    const known = this.#known(base ?? this.nothing, making.strokes);
    if (known.strokes.length < making.strokes.length) this.#paint(base ?? this.nothing, known, making.strokes);
    return known.mask;
  }

  /** The mask with as many of these strokes as have been painted so far. */
  #known(base, strokes) {
    const isPrefix = (entry) => entry.strokes.every((stroke, n) => stroke === strokes[n]);
    const entries = (this.#painted.get(base) ?? []).filter((entry) => entry.strokes.length <= strokes.length);
    return entries.filter(isPrefix).at(-1) ?? { strokes: [], mask: base };
  }

  async #paint(base, known, strokes) {
    if (this.#painting.has(strokes)) return;
    this.#painting.add(strokes);
    const mask = await this.#apply(known.mask, strokes.slice(known.strokes.length));
    this.#painting.delete(strokes);
    const entries = [...(this.#painted.get(base) ?? []), { strokes, mask }];
    this.#painted.set(
      base,
      entries.sort((a, b) => a.strokes.length - b.strokes.length),
    );
    this.onReady();
  }

  /** The final mask of an object that is being finished: what is shown now, until `settle` has the full one. */
  begin(making) {
    return { mask: this.shown(making) ?? this.nothing, isReady: false };
  }

  /** The full mask of a thing, asked for once; its `final` is then replaced in place. */
  settle(thing) {
    const { final, making } = thing;
    if (final.isReady) return Promise.resolve(final.mask);
    if (!this.#settling.has(final)) {
      const work = this.#full(making).then((mask) => {
        Object.assign(final, { mask, isReady: true });
        this.onReady();
        return mask;
      });
      this.#settling.set(final, work);
      work.catch(() => this.#settling.delete(final));
    }
    return this.#settling.get(final);
  }

  async #full(making) {
    const answer = chain.lastAnswer(making);
    if (answer) await this.asker.fill(answer);
    if (answer?.error) throw new Error(answer.error);
    const base = answer ? await this.asker.full(answer) : this.blank(Math.max(...this.size));
    if (!making.strokes.length) return base;
    const others = making.strokes.filter(({ kind }) => kind === 'object');
    await Promise.all(others.map((stroke) => this.settle(stroke)));
    return this.#apply(base, making.strokes);
  }

  /** Runs of strokes of one nature, in their order. */
  async #apply(mask, strokes) {
    let result = mask;
    for (const run of runsOf(strokes)) {
      result = run[0].kind === 'object' ? run.reduce(withObject, result) : await this.rasters.paint(result, run);
    }
    return result;
  }

  /** A mask of nothing, its longer side at most so many pixels. */
  blank(side) {
    const scale = Math.min(1, side / Math.max(...this.size));
    const [width, height] = this.size.map((length) => Math.max(1, Math.round(length * scale)));
    const nothing = emptyMask({ width, height, box: [0, 0, ...this.size] });
    return { ...nothing, score: null, stability: null, index: 0, maskId: null, full: scale === 1 };
  }
}

/** A mask with a finished object's pixels added, or taken away. */
function withObject(mask, { op, final }) {
  const { rle } = onRaster(final.mask, rasterOf(mask));
  return withPixels(mask, op === 'add' ? union(mask.rle, rle) : subtract(mask.rle, rle));
}

function runsOf(strokes) {
  const runs = [];
  for (const stroke of strokes) {
    const isObject = stroke.kind === 'object';
    const run = runs.at(-1);
    if (run && (run[0].kind === 'object') === isObject) run.push(stroke);
    else runs.push([stroke]);
  }
  return runs;
}
