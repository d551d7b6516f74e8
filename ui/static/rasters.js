/**
 * Work on large masks, off the main thread; small work is done at once, which is sooner than asking. Where a browser
 * starts no worker all of it is done on the page.
 */

import { rasterOf } from './masks.js';
import { RasterJobs } from './raster_jobs.js';
import { cost } from './strokes.js';

const AT_ONCE = 1 << 18; // pixels under strokes: a few milliseconds
const FEW_RUNS = 60_000; // characters of text

export class Rasters {
  #worker = null;
  #inline = new RasterJobs();
  #asked = new Map(); // id -> {job, give, resolve, reject}, in order
  #lastId = 0;
  #keys = new WeakMap(); // Mask -> key
  #kept = new Set(); // keys of the masks that were sent
  #lastKey = 0;

  constructor() {
    try {
      this.#worker = new Worker(new URL('./raster_worker.js', import.meta.url), { type: 'module' });
      this.#worker.addEventListener('message', ({ data }) => this.#answer(data));
      this.#worker.addEventListener('error', () => this.#giveUpWorker());
    } catch {
      this.#worker = null;
    }
  }

  /**
   * The mask with strokes laid on it.
   * @param {object} mask
   * @param {import('./strokes.js').Stroke[]} strokes
   * @param {import('./rle.js').Raster} [raster] of the answer; the mask's own when left out
   * @returns {Promise<object>} a new mask, measured anew
   */
  async paint(mask, strokes, raster) {
    const given = { mask, strokes, raster };
    const isSmall = cost(strokes, raster ?? rasterOf(mask)) <= AT_ONCE && mask.rle.counts.length <= FEW_RUNS;
    return isSmall ? this.#inline.paint(given) : this.#ask('paint', () => given);
  }

  /**
   * The mask at the image's own resolution, pixel by nearest pixel, with strokes laid on it there.
   * @param {object} mask
   * @param {number} width of the image
   * @param {number} height
   * @param {import('./strokes.js').Stroke[]} [strokes]
   * @returns {Promise<object>} a new mask that is `full`
   */
  async toFull(mask, width, height, strokes = []) {
    const raster = { width, height, box: [0, 0, width, height] };
    return { ...(await this.paint(mask, strokes, raster)), full: true };
  }

  /** @param {object} mask @param {number} scale as outline.js has it @returns {Promise<Float64Array[]>} */
  outline(mask, scale) {
    return this.#ask('outline', () => ({ mask, scale }));
  }

  /**
   * A picture of objects, the lowest first, as large as the view.
   * @param {{mask: object, colour: number[], selected?: boolean, cased?: boolean, opacity?: number}[]} objects
   * @param {import('./draw_masks.js').Place} view
   * @param {number} opacity of those that have none of their own
   * @returns {Promise<ImageBitmap>}
   */
  draw(objects, view, opacity) {
    return this.#ask('draw', () => ({ ...this.#byKey(objects), view, opacity }));
  }

  /** Stops the worker; what was asked is not answered any more. */
  close() {
    this.#worker?.terminate();
    this.#asked.clear();
  }

  #ask(job, give) {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#asked.set(id, { job, give, resolve, reject });
      this.#send(id);
    });
  }

  #send(id) {
    const { job, give } = this.#asked.get(id);
    if (this.#worker) this.#worker.postMessage({ id, job, given: give() });
    else this.#answer(this.#doInline(id, job, give()));
  }

  #doInline(id, job, given) {
    try {
      return { id, result: this.#inline[job](given) };
    } catch (fault) {
      return { id, fault: String(fault) };
    }
  }

  #answer({ id, result, fault }) {
    const { resolve, reject } = this.#asked.get(id) ?? {};
    this.#asked.delete(id);
    if (fault) reject?.(new Error(fault));
    else resolve?.(result);
  }

  /** A worker that does not load is done without. */
  #giveUpWorker() {
    this.#worker.terminate();
    this.#worker = null;
    this.#kept.clear();
    for (const id of [...this.#asked.keys()]) this.#send(id);
  }

  #byKey(objects) {
    const wanted = new Map(objects.map(({ mask }) => [this.#keyOf(mask), mask]));
    const gone = [...this.#kept].filter((key) => !wanted.has(key));
    const added = [...wanted].filter(([key]) => !this.#kept.has(key));
    this.#kept = new Set(wanted.keys());
    return { added, gone, objects: objects.map(({ mask, ...look }) => ({ ...lookOf(look), key: this.#keyOf(mask) })) };
  }

  #keyOf(mask) {
    if (!this.#keys.has(mask)) this.#keys.set(mask, ++this.#lastKey);
    return this.#keys.get(mask);
  }
}

const lookOf = ({ colour, selected, cased, opacity }) => ({ colour, selected, cased, opacity });
