/** Small pictures: of a photo, or of one object cut out of it. */

import { measure } from './masks.js';
import { edgeOf } from './outline.js';
import { Photo } from './photo.js';

const PADDING = 0.04; // of an object's longer side, left around it
const MOST_SCALE = 4; // larger an object of a few pixels is not made

/**
 * A canvas whose longer side is at most `size` pixels: the object on nothing, cropped to it; the photo without a mask.
 * @param {Photo | ImageBitmap} photo a prepared Photo is quicker than a large bitmap
 * @param {object | null} mask
 * @param {number} size device pixels
 * @returns {HTMLCanvasElement} of no width for an empty mask
 */
export function thumbnail(photo, mask, size) {
  const source = photo instanceof Photo ? photo : new Photo(photo);
  const box = mask ? cropBox(mask, source) : [0, 0, source.width, source.height];
  const longest = Math.max(box[2] - box[0], box[3] - box[1]);
  const scale = Math.min(size / longest, MOST_SCALE);
  const canvas = document.createElement('canvas');
  canvas.width = longest > 0 ? Math.max(1, Math.round((box[2] - box[0]) * scale)) : 0;
  canvas.height = longest > 0 ? Math.max(1, Math.round((box[3] - box[1]) * scale)) : 0;
  if (longest > 0) draw(canvas.getContext('2d'), source, mask, box, scale);
  return canvas;
}

function draw(context, photo, mask, box, scale) {
  context.setTransform(scale, 0, 0, scale, -box[0] * scale, -box[1] * scale);
  if (mask) context.clip(edgeOf(mask, scale).path, 'evenodd');
  context.imageSmoothingQuality = 'medium';
  photo.drawBox(context, box, scale);
}

function cropBox(mask, { width, height }) {
  const bounds = mask.bounds ?? measure(mask.rle, mask.box).bounds;
  if (!bounds) return [0, 0, 0, 0];
  const [x0, y0, x1, y1] = bounds;
  const pad = Math.max(x1 - x0, y1 - y0) * PADDING;
  return [Math.max(x0 - pad, 0), Math.max(y0 - pad, 0), Math.min(x1 + pad, width), Math.min(y1 + pad, height)];
}
