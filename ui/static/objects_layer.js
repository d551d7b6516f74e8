/**
 * The finished objects' canvas. They are drawn in the worker, which takes as long as it takes; until it has answered,
 * what was drawn last is moved along with the photo.
 */

import { createCanvas } from './layer.js';

export class ObjectsLayer {
  #rasters;
  #context;
  #shown = null; // the view that what is shown was drawn for
  #asking = false;
  #wanted = null;
  #listener;

  paintedAt = 0;

  /** @param {HTMLElement} element @param {import('./rasters.js').Rasters} rasters @param {() => void} onPainted */
  constructor(element, rasters, onPainted) {
    this.#rasters = rasters;
    this.#listener = onPainted;
    this.canvas = createCanvas(element);
    this.canvas.style.transformOrigin = '0 0';
    this.#context = this.canvas.getContext('bitmaprenderer');
  }

  /** Whether what was wanted last is shown. */
  get isDone() {
    return !this.#asking && !this.#wanted;
  }

  /**
   * Shows these objects at that place; of several wishes made meanwhile the last counts.
   * @param {object[]} objects the lowest first
   * @param {import('./draw_masks.js').Place} view
   * @param {number} opacity
   */
  show(objects, view, opacity) {
    const { scale, x, y, ratio, width, height } = view;
    this.#wanted = { objects, opacity, view: { scale, x, y, ratio, width, height } };
    if (!this.#asking) this.#work();
  }

  /** Moves what is shown to where the view is now. @param {import('./draw_masks.js').Place} view */
  follow({ scale, x, y }) {
    if (!this.#shown) return;
    const by = scale / this.#shown.scale;
    const moved = [by, 0, 0, by, x - this.#shown.x * by, y - this.#shown.y * by];
    this.canvas.style.transform = moved.some((value, i) => value !== (i === 0 || i === 3 ? 1 : 0))
      ? `matrix(${moved.join(', ')})`
      : '';
  }

  async #work() {
    this.#asking = true;
    while (this.#wanted) {
      const { objects, view, opacity } = this.#wanted;
      this.#wanted = null;
      const isVisible = objects.length > 0 && view.width > 0 && view.height > 0;
      this.#present(isVisible ? await this.#rasters.draw(objects, view, opacity) : null, view);
    }
    this.#asking = false;
    this.#listener();
  }

  #present(bitmap, view) {
    this.canvas.style.display = bitmap ? 'block' : 'none';
    this.#shown = bitmap && view;
    if (!bitmap) return;
    this.#context.transferFromImageBitmap(bitmap);
    Object.assign(this.canvas.style, { width: `${view.width}px`, height: `${view.height}px` });
    this.paintedAt = performance.now();
    this.#listener();
  }
}

/**
 * Whether their canvas would be the same: the light and the name under the pointer are not on it.
 * @param {object[]} objects as `Stage.setObjects` has them
 * @param {object[]} before
 */
export function looksSame(objects, before) {
  return objects.length === before.length && objects.every((object, i) => isAlike(object, before[i]));
}

function isAlike(one, other) {
  const look = ({ colour, hidden, selected, opacity }) => String([colour, Boolean(hidden), Boolean(selected), opacity]);
  return one.mask === other.mask && look(one) === look(other);
}
