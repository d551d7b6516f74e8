/** A brush or lasso stroke as a shape: on the screen while it is drawn, in a raster when its pixels are wanted. */

import { css } from './palette.js';

/**
 * Fills the stroke with the context's fill style, in image coordinates.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context
 * @param {import('./strokes.js').Stroke} stroke
 * @param {number} [leastRadius] image pixels
 */
export function fillStroke(context, { kind, radius, points }, leastRadius = 0) {
  const path = new Path2D();
  for (const [x, y] of points) path.lineTo(x, y);
  const wide = Math.max(radius, leastRadius);
  if (kind === 'lasso') context.fill(path, 'nonzero');
  else if (isDot(points)) fillDot(context, points[0], wide);
  else strokeRound(context, path, wide);
}

/**
 * The stroke under way, as if it were laid on the mask below it already.
 * @param {CanvasRenderingContext2D} context in image coordinates, with the mask drawn
 * @param {import('./strokes.js').Stroke} stroke
 * @param {number[]} colour [r, g, b]
 * @param {number} opacity
 */
export function drawLiveStroke(context, stroke, colour, opacity) {
  context.globalCompositeOperation = 'destination-out';
  context.fillStyle = 'black';
  fillStroke(context, stroke);
  context.globalCompositeOperation = 'source-over';
  if (stroke.op === 'erase') return;
  context.fillStyle = css(colour, Math.max(opacity, 0.2));
  fillStroke(context, stroke);
}

/** A line of no length, of which nothing may be drawn. */
function isDot([[firstX, firstY], ...rest]) {
  return rest.every(([x, y]) => x === firstX && y === firstY);
}

function fillDot(context, [x, y], radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function strokeRound(context, path, radius) {
  context.strokeStyle = context.fillStyle;
  context.lineCap = context.lineJoin = 'round';
  context.lineWidth = 2 * radius;
  context.stroke(path);
}
