/** Masks as the page holds them (ui/README.md): pixels, and the box of the image they are spread over. */

import { area, bounds, contains, empty, resample } from './rle.js';

/** The raster of a mask's pixels. @param {{rle, box}} mask @returns {import('./rle.js').Raster} */
export function rasterOf({ rle, box }) {
  return { width: rle.size[1], height: rle.size[0], box };
}

/** A mask of nothing on a raster. @param {import('./rle.js').Raster} raster */
export function emptyMask({ width, height, box }) {
  return withPixels({ box }, empty([height, width]));
}

/** Whether a point of the image lies on the mask. @param {{rle, box}} mask @param {number} x @param {number} y */
export function isOn({ rle, box: [x0, y0, x1, y1] }, x, y) {
  const [height, width] = rle.size;
  return contains(rle, Math.floor(((x - x0) / (x1 - x0)) * width), Math.floor(((y - y0) / (y1 - y0)) * height));
}

/**
 * The mask with other pixels over the same box, measured anew.
 * @param {object} mask
 * @param {import('./rle.js').Rle} rle
 * @returns {object} a new mask
 */
export function withPixels(mask, rle) {
  return { ...mask, rle, ...measure(rle, mask.box) };
}

/**
 * The mask on another raster, pixel by nearest pixel.
 * @param {object} mask
 * @param {import('./rle.js').Raster} raster
 * @returns {object} a new mask; `full` is left as it was
 */
export function onRaster(mask, raster) {
  return withPixels({ ...mask, box: raster.box }, resample(mask.rle, rasterOf(mask), raster));
}

/**
 * Of pixels spread over a box of the image: their area, image pixels, and their bounds there, whole pixels.
 * @param {import('./rle.js').Rle} rle
 * @param {[number, number, number, number]} box
 * @returns {{area: number, bounds: [number, number, number, number] | null}}
 */
export function measure(rle, [x0, y0, x1, y1]) {
  const scaleX = (x1 - x0) / rle.size[1];
  const scaleY = (y1 - y0) / rle.size[0];
  const found = bounds(rle);
  return { area: Math.round(area(rle) * scaleX * scaleY), bounds: found && toImage(found) };

  function toImage([left, top, right, bottom]) {
    const low = [x0 + left * scaleX, y0 + top * scaleY].map(Math.floor);
    return [...low, ...[x0 + right * scaleX, y0 + bottom * scaleY].map(Math.ceil)];
  }
}
