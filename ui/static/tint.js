/** A mask as a picture in its colour, for masks whose edge is too long to be drawn. */

import { onRaster, rasterOf } from './masks.js';
import { toBitmap } from './rle.js';

const LONGEST = 1024; // side of the picture, pixels

const made = new WeakMap(); // Mask -> {key, canvas}

/**
 * @param {object} mask
 * @param {number[]} colour [r, g, b]
 * @returns {OffscreenCanvas} opaque in the colour on the mask, transparent elsewhere; over the mask's box
 */
export function tintOf(mask, colour) {
  const key = String(colour);
  if (made.get(mask)?.key !== key) made.set(mask, { key, canvas: paint(reduced(mask), colour) });
  return made.get(mask).canvas;
}

function reduced(mask) {
  const { width, height, box } = rasterOf(mask);
  const scale = LONGEST / Math.max(width, height);
  if (scale >= 1) return mask;
  return onRaster(mask, { width: Math.ceil(width * scale), height: Math.ceil(height * scale), box });
}

function paint({ rle }, [red, green, blue]) {
  const [height, width] = rle.size;
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const [value] = new Uint32Array(Uint8Array.of(red, green, blue, 255).buffer);
  toBitmap(rle).forEach((inside, i) => {
    if (inside) pixels[i] = value;
  });
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}
