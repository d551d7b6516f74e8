/** What is done with large masks, on the page or in its worker: one method a job, plain values in and out. */

import { drawObjects } from './draw_masks.js';
import { onRaster, rasterOf, withPixels } from './masks.js';
import { outline } from './outline.js';
import { paint } from './strokes.js';

export class RasterJobs {
  #masks = new Map(); // key -> Mask, so that a mask is sent, and its outline made, once

  /** The mask on `raster` (its own, if none is given) with the strokes laid on it. */
  paint({ mask, strokes, raster }) {
    const base = raster ? onRaster(mask, raster) : mask;
    return withPixels(base, paint(base.rle, rasterOf(base), strokes));
  }

  /** Rings in image coordinates. */
  outline({ mask, scale }) {
    return outline(mask, scale);
  }

  /**
   * Objects as a picture of the view's size in device pixels.
   * @param {{added: [number, object][], gone: number[], view: object, opacity: number,
   *          objects: {key: number, colour: number[], selected?: boolean, cased?: boolean, opacity?: number}[]}} job
   *   masks by key
   * @returns {ImageBitmap}
   */
  draw({ added, gone, objects, view, opacity }) {
    for (const key of gone) this.#masks.delete(key);
    for (const [key, mask] of added) this.#masks.set(key, mask);
    const canvas = new OffscreenCanvas(Math.round(view.width * view.ratio), Math.round(view.height * view.ratio));
    const withMasks = objects.map((object) => ({ ...object, mask: this.#masks.get(object.key) }));
    drawObjects(canvas, view, withMasks, opacity);
    return canvas.transferToImageBitmap();
  }
}
