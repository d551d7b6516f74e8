/** An object's name beside it. Screen coordinates, CSS pixels. */

import { measure } from './masks.js';
import { css } from './palette.js';

const FONT = '500 12px system-ui, sans-serif';
const HEIGHT = 22;
const PADDING = 8;
const SWATCH = 8;
const LONGEST = 40; // characters

/**
 * A dark tag above the object, or in its upper part where there is no room above; always on the canvas.
 * @param {CanvasRenderingContext2D} context
 * @param {import('./view.js').View} view
 * @param {{mask: object, colour: number[], label: string}} object
 */
export function drawLabel(context, view, { mask, colour, label }) {
  const bounds = mask.bounds ?? measure(mask.rle, mask.box).bounds;
  if (!bounds) return;
  const text = label.length > LONGEST ? `${label.slice(0, LONGEST - 1)}…` : label;
  context.font = FONT;
  const width = context.measureText(text).width + 2 * PADDING + SWATCH + 6;
  const [middle, top] = view.toScreen((bounds[0] + bounds[2]) / 2, bounds[1]);
  const left = clamp(middle - width / 2, 4, view.width - width - 4);
  const above = clamp(top - HEIGHT - 6, 4, view.height - HEIGHT - 4);
  drawTag(context, text, [left, above, width], colour);
}

function drawTag(context, text, [left, top, width], colour) {
  context.fillStyle = 'rgb(24 24 27 / 0.85)';
  context.beginPath();
  context.roundRect(left, top, width, HEIGHT, 4);
  context.fill();
  context.fillStyle = css(colour);
  context.beginPath();
  context.arc(left + PADDING + SWATCH / 2, top + HEIGHT / 2, SWATCH / 2, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = 'white';
  context.textBaseline = 'middle';
  context.fillText(text, left + PADDING + SWATCH + 6, top + HEIGHT / 2 + 0.5);
}

function clamp(value, low, high) {
  return Math.max(Math.min(value, high), low);
}
