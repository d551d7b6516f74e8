/**
 * Masks on a canvas: filled, and outlined as wide at every zoom. All is drawn in image coordinates, under the view's
 * transform. It runs on the page and in its worker.
 *
 * @typedef {{scale: number, x: number, y: number, ratio: number, width: number, height: number}} Place  as a View
 */

import { edgeOf } from './outline.js';
import { css } from './palette.js';
import { tintOf } from './tint.js';

const LINE = 1.5; // CSS pixels
const HALO = 2.25; // on either side of the line
const GLOW = 3;
const CASING = 1;
const DASHES = [6, 4];
const MANY_POINTS = 4000; // of an edge: drawing it takes some milliseconds, so it is drawn but once
const WHITE = [255, 255, 255];
const MANY_RUNS = 150_000; // characters of text: noise, whose edge would take seconds to draw

/** Image coordinates from here on. @param {CanvasRenderingContext2D} context @param {Place} view */
export function enterImage(context, view) {
  context.transform(view.scale, 0, 0, view.scale, view.x, view.y);
}

/**
 * One mask.
 * @param {CanvasRenderingContext2D} context in image coordinates
 * @param {Place} view
 * @param {object} mask
 * @param {{colour: number[], opacity: number, selected?: boolean, dashed?: boolean, cased?: boolean}} look
 *   cased: with a faint light line below its own, by which dark colours are seen on dark photos
 */
export function drawMask(context, view, mask, look) {
  const { colour, opacity, selected, dashed, cased } = look;
  if (isNoise(mask)) {
    drawTint(context, mask, colour, opacity);
    return;
  }
  const { path, points } = edgeOf(mask, view.scale * view.ratio);
  context.fillStyle = css(colour, opacity);
  if (opacity > 0) context.fill(path, 'evenodd');
  if (selected) strokePath(context, view, path, css(WHITE), LINE + 2 * HALO);
  else if (cased && points <= MANY_POINTS) strokePath(context, view, path, css(WHITE, 0.45), LINE + 2 * CASING);
  context.setLineDash(dashed ? DASHES.map((length) => length / view.scale) : []);
  strokePath(context, view, path, css(colour), LINE);
  context.setLineDash([]);
}

/** What is under the pointer: a light along its edge. */
export function drawGlow(context, view, mask, colour) {
  if (isNoise(mask)) return;
  const { path, points } = edgeOf(mask, view.scale * view.ratio);
  if (points <= MANY_POINTS) strokePath(context, view, path, css(WHITE, 0.6), LINE + 2 * GLOW);
  strokePath(context, view, path, css(colour), points <= MANY_POINTS ? LINE + 1 : LINE + GLOW);
}

/**
 * Finished objects, the lowest first, on a canvas as large as the view.
 * @param {OffscreenCanvas} canvas
 * @param {Place} view
 * @param {{mask: object, colour: number[], selected?: boolean, cased?: boolean, opacity?: number}[]} objects
 * @param {number} opacity of those that have none of their own
 */
export function drawObjects(canvas, view, objects, opacity) {
  const context = canvas.getContext('2d');
  context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  enterImage(context, view);
  for (const object of objects) drawMask(context, view, object.mask, { ...object, opacity: object.opacity ?? opacity });
}

function isNoise({ rle }) {
  return rle.counts.length > MANY_RUNS;
}

function drawTint(context, mask, colour, opacity) {
  const [x0, y0, x1, y1] = mask.box;
  context.globalAlpha = Math.max(opacity, 0.2); // it has no outline by which it would be seen
  context.drawImage(tintOf(mask, colour), x0, y0, x1 - x0, y1 - y0);
  context.globalAlpha = 1;
}

function strokePath(context, view, path, style, width) {
  context.lineJoin = width > LINE ? 'round' : 'miter';
  context.miterLimit = 2;
  context.strokeStyle = style;
  context.lineWidth = width / view.scale;
  context.stroke(path);
}
