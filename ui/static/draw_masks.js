/**
 * Masks on a canvas: filled, and outlined as wide at every zoom. All is drawn in image coordinates, under the view's
 * transform; `scale` is CSS pixels per image pixel, `ratio` device pixels per CSS pixel.
 */

import { pathOf } from "./outline.js";
import { css } from "./palette.js";

const LINE = 1.5; // CSS pixels
const HALO = 5;
const GLOW = 3;
const DASHES = [6, 4];
const WHITE = [255, 255, 255];
export const PREVIEW_OPACITY = 0.35;

/** Image coordinates from here on. @param {CanvasRenderingContext2D} context @param {{scale, x, y}} view */
export function enterImage(context, view) {
  context.transform(view.scale, 0, 0, view.scale, view.x, view.y);
}

/**
 * One mask.
 * @param {CanvasRenderingContext2D} context in image coordinates
 * @param {{scale: number, ratio: number}} view
 * @param {object} mask
 * @param {{colour: number[], opacity: number, selected?: boolean, dashed?: boolean}} look
 */
export function drawMask(context, view, mask, { colour, opacity, selected = false, dashed = false }) {
  const path = pathOf(mask, view.scale * view.ratio);
  context.lineJoin = "round";
  context.fillStyle = css(colour, opacity);
  context.fill(path, "evenodd");
  if (selected) strokePath(context, view, path, css(WHITE), HALO);
  context.setLineDash(dashed ? DASHES.map((length) => length / view.scale) : []);
  strokePath(context, view, path, css(colour), LINE);
  context.setLineDash([]);
}

/** What is under the pointer: a light along the edge. */
export function drawGlow(context, view, mask, colour) {
  const path = pathOf(mask, view.scale * view.ratio);
  strokePath(context, view, path, css(WHITE, 0.7), LINE + 2 * GLOW);
  strokePath(context, view, path, css(colour), LINE + 1);
}

function strokePath(context, view, path, style, width) {
  context.strokeStyle = style;
  context.lineWidth = width / view.scale;
  context.stroke(path);
}
