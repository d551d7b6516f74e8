/**
 * Brush, eraser and lasso to pixels of any raster. What was painted last holds: strokes are laid on a mask in their
 * order. A stroke costs as much as its own box; the rest of the mask only its runs.
 *
 * @typedef {{op: "add" | "erase", kind: "brush" | "lasso", radius: number, points: number[][]}} Stroke
 */

import { fillStroke } from './draw_stroke.js';
import { fromSpans, toSpans } from './rle.js';
import * as spans from './spans.js';

const LEAST_RADIUS = 0.8; // pixels of the raster: the thinnest stroke that leaves no gaps
const BAND = 1 << 20; // pixels drawn at a time: a lasso round a large image takes no more memory than this
const HALF = 128; // of an alpha of 255: pixels that are covered by half or more

const painted = new WeakMap(); // Stroke -> {key, spans}: the same strokes are laid on each new answer

/**
 * A mask with strokes laid on it.
 * @param {import('./rle.js').Rle} rle on `raster`
 * @param {import('./rle.js').Raster} raster
 * @param {Stroke[]} strokes in their order, image coordinates
 * @returns {import('./rle.js').Rle}
 */
export function paint(rle, raster, strokes) {
  const layers = strokes.map((stroke) => [stroke.op, strokeSpans(stroke, raster)]);
  const lay = (below, [op, above]) => spans.combine(below, above, op === 'add' ? either : only);
  return fromSpans(layers.reduce(lay, toSpans(rle)), rle.size);
}

/**
 * The pixels of the raster under one stroke.
 * @param {Stroke} stroke
 * @param {import('./rle.js').Raster} raster
 * @returns {Uint32Array} spans
 */
export function strokeSpans(stroke, raster) {
  if (!isPainted(stroke, raster)) painted.set(stroke, { key: keyOf(stroke, raster), spans: rasterise(stroke, raster) });
  return painted.get(stroke).spans;
}

/**
 * How many pixels of the raster would have to be drawn for these strokes; what is remembered costs nothing.
 * @param {Stroke[]} strokes
 * @param {import('./rle.js').Raster} raster
 * @returns {number}
 */
export function cost(strokes, raster) {
  const toDraw = strokes.filter((stroke) => !isPainted(stroke, raster));
  return toDraw.reduce((total, stroke) => total + boxArea(pixelBox(stroke, raster)), 0);
}

function isPainted(stroke, raster) {
  return painted.get(stroke)?.key === keyOf(stroke, raster);
}

/** A stroke under way goes on growing. */
function keyOf({ points, radius }, raster) {
  return JSON.stringify([raster, points.length, radius]);
}

const either = (below, above) => (below | above) === 1;
const only = (below, above) => below > above;

function rasterise(stroke, raster) {
  const [left, top, right, bottom] = pixelBox(stroke, raster);
  let found = new Uint32Array(0);
  if (left >= right || top >= bottom) return found;
  const step = Math.max(1, Math.floor(BAND / (bottom - top)));
  for (let from = left; from < right; from += step) {
    const band = drawBand(stroke, raster, [from, top, Math.min(from + step, right), bottom]);
    found = spans.combine(found, band, either);
  }
  return found;
}

/** The pixels the stroke can touch, [x0, y0, x1, y1], cut to the raster. */
function pixelBox({ kind, radius, points }, { width, height, box }) {
  const scaleX = width / (box[2] - box[0]);
  const scaleY = height / (box[3] - box[1]);
  const reach = kind === 'brush' ? Math.max(radius * Math.max(scaleX, scaleY), LEAST_RADIUS) + 1 : 1;
  const columns = points.map(([x]) => (x - box[0]) * scaleX);
  const rows = points.map(([, y]) => (y - box[1]) * scaleY);
  const low = (values) => Math.max(Math.floor(least(values) - reach), 0);
  const high = (values, size) => Math.min(Math.ceil(-least(values.map((value) => -value)) + reach), size);
  return [low(columns), low(rows), high(columns, width), high(rows, height)];
}

/** A stroke of an hour has more points than a call may have arguments. */
function least(values) {
  return values.reduce((lowest, value) => Math.min(lowest, value), Infinity);
}

function boxArea([left, top, right, bottom]) {
  return Math.max(right - left, 0) * Math.max(bottom - top, 0);
}

function drawBand(stroke, { width, height, box }, [left, top, right, bottom]) {
  const [columns, rows] = [right - left, bottom - top];
  const context = new OffscreenCanvas(columns, rows).getContext('2d', { willReadFrequently: true });
  const scaleX = width / (box[2] - box[0]);
  const scaleY = height / (box[3] - box[1]);
  context.setTransform(scaleX, 0, 0, scaleY, -left - box[0] * scaleX, -top - box[1] * scaleY);
  fillStroke(context, stroke, LEAST_RADIUS / Math.max(scaleX, scaleY));
  const bitmap = threshold(context.getImageData(0, 0, columns, rows).data);
  return spans.place(spans.fromBitmap(bitmap, columns, rows), rows, left, top, height);
}

function threshold(colours) {
  const bitmap = new Uint8Array(colours.length / 4);
  for (let i = 0; i < bitmap.length; i += 1) bitmap[i] = colours[4 * i + 3] >= HALF ? 1 : 0;
  return bitmap;
}
