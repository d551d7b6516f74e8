/**
 * Polygons to pixels, to the last one as `service/polygons.py` does: a pixel belongs to a ring when its middle is
 * inside it, by the even-odd rule.
 */

import { DocumentError } from './fields.js';
import { fromSpans } from './rle.js';
import * as spans from './spans.js';

const FARTHEST = 1e9;

/**
 * The pixels inside any of the rings; what lies outside the image is cut off.
 * @param {number[][][]} rings each [[x, y], ...], three corners or more, not closed by repeating the first
 * @param {[number, number]} size [width, height]
 * @returns {import('./rle.js').Rle}
 * @throws {DocumentError} a ring is none
 */
export function fromPolygons(rings, [width, height]) {
  const either = (below, above) => (below | above) === 1;
  const parts = rings.map((ring) => ringSpans(checked(ring), width, height));
  return fromSpans(
    parts.reduce((all, part) => spans.combine(all, part, either), new Uint32Array(0)),
    [height, width],
  );
}

function checked(ring) {
  const isCorner = (corner) =>
    Array.isArray(corner) && corner.length === 2 && corner.every((value) => Math.abs(value) < FARTHEST);
  if (!Array.isArray(ring) || ring.length < 3) throw new DocumentError('a polygon must have three corners or more');
  if (!ring.every(isCorner)) throw new DocumentError('a polygon has a coordinate that is no number, or absurdly large');
  return ring;
}

function ringSpans(ring, width, height) {
  const [left, right] = range(
    ring.map(([x]) => x),
    width,
  );
  const [top, bottom] = range(
    ring.map(([, y]) => y),
    height,
  );
  if (left === right || top === bottom) return new Uint32Array(0);
  const [columns, rows] = [right - left, bottom - top];
  const inside = filled(flips(ring, [left, top, right, bottom]), columns, rows);
  return spans.place(spans.fromBitmap(inside, columns, rows), rows, left, top, height);
}

/** The pixels from the least to the largest value, cut to 0..size. */
function range(values, size) {
  const least = values.reduce((one, other) => Math.min(one, other));
  const largest = values.reduce((one, other) => Math.max(one, other));
  return [clip(Math.floor(least), 0, size), clip(Math.ceil(largest), 0, size)];
}

/** Scan lines through the middles of pixels: 1 where a side is crossed, of one column more than the box has. */
function flips(ring, [left, top, right, bottom]) {
  const stride = right - left + 1;
  const crossed = new Uint8Array(stride * (bottom - top));
  ring.forEach((corner, n) => {
    const next = ring[(n + 1) % ring.length];
    const [[x0, y0], [x1, y1]] = corner[1] <= next[1] ? [corner, next] : [next, corner];
    const slope = (x1 - x0) / (y1 - y0);
    const end = clip(Math.ceil(y1 - 0.5), top, bottom);
    for (let row = clip(Math.ceil(y0 - 0.5), top, bottom); row < end; row += 1) {
      const column = Math.ceil(x0 + (row + 0.5 - y0) * slope - 0.5);
      crossed[(row - top) * stride + clip(column - left, 0, stride - 1)] ^= 1;
    }
  });
  return crossed;
}

/** Row-major: each crossing turns all pixels right of it. */
function filled(crossed, columns, rows) {
  const bitmap = new Uint8Array(columns * rows);
  for (let row = 0; row < rows; row += 1) {
    let isInside = 0;
    for (let column = 0; column < columns; column += 1) {
      isInside ^= crossed[row * (columns + 1) + column];
      bitmap[row * columns + column] = isInside;
    }
  }
  return bitmap;
}

const clip = (value, low, high) => Math.min(Math.max(value, low), high);
