/** Points, boxes, strokes and the brush's circle. Screen coordinates, CSS pixels: they are as large at every zoom. */

import { css } from './palette.js';

const RADIUS = 6; // of a point
const RING = 2;
const ARM = 3; // of a plus or a minus
const GREEN = [22, 138, 62];
const RED = [207, 34, 46];
const DARK = 'rgb(0 0 0 / 0.55)';

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import('./view.js').View} view
 * @param {{points: number[][], labels: number[], box: number[] | null, pending: {x, y, label} | null,
 *          selectedPoint: number | null}} prompts image coordinates
 */
export function drawPrompts(context, view, { points = [], labels = [], box, pending, selectedPoint }) {
  if (box) drawBox(context, view, box);
  points.forEach((point, i) => {
    drawPoint(context, view.toScreen(...point), labels[i], { selected: i === selectedPoint });
  });
  if (pending) drawPoint(context, view.toScreen(pending.x, pending.y), pending.label, { pending: true });
}

/** A dashed box, light on dark, so that it is seen on any photo. */
export function drawBox(context, view, [x0, y0, x1, y1]) {
  const [left, top] = view.toScreen(x0, y0);
  const [right, bottom] = view.toScreen(x1, y1);
  const box = [left, top, right - left, bottom - top];
  context.lineWidth = 1.5;
  context.setLineDash([]);
  context.strokeStyle = DARK;
  context.strokeRect(...box);
  context.setLineDash([6, 4]);
  context.strokeStyle = 'white';
  context.strokeRect(...box);
  context.setLineDash([]);
}

/** The line of a lasso under way. @param {{points: number[][]}} stroke image coordinates */
export function drawLasso(context, view, { points }) {
  const path = new Path2D();
  for (const point of points) path.lineTo(...view.toScreen(...point));
  context.lineJoin = 'round';
  outlineTwice(context, path);
}

/** Where the brush would paint. @param {{x: number, y: number, radius: number}} cursor image coordinates */
export function drawBrushCursor(context, view, { x, y, radius }) {
  const path = new Path2D();
  path.arc(...view.toScreen(x, y), Math.max(radius * view.scale, 1), 0, 2 * Math.PI);
  outlineTwice(context, path);
}

function outlineTwice(context, path) {
  context.lineWidth = 3;
  context.strokeStyle = DARK;
  context.stroke(path);
  context.lineWidth = 1.5;
  context.strokeStyle = 'white';
  context.stroke(path);
}

function drawPoint(context, [x, y], label, { selected = false, pending = false }) {
  context.globalAlpha = pending ? 0.7 : 1;
  if (selected) disc(context, x, y, RADIUS + RING + 2, DARK);
  disc(context, x, y, RADIUS + (selected ? RING + 1 : RING), 'white');
  disc(context, x, y, RADIUS, css(label === 1 ? GREEN : RED));
  context.lineWidth = 2;
  context.lineCap = 'butt';
  context.strokeStyle = 'white';
  context.beginPath();
  context.moveTo(x - ARM, y);
  context.lineTo(x + ARM, y);
  if (label === 1) {
    context.moveTo(x, y - ARM);
    context.lineTo(x, y + ARM);
  }
  context.stroke();
  context.globalAlpha = 1;
}

function disc(context, x, y, radius, style) {
  context.fillStyle = style;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
