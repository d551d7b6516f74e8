/** Maps as pictures: dark where little is, bright where much is, over a photo that is dimmed. */

import { MODEL_SIDE, sharesOf } from './seen.js';

const VEIL = 'rgb(8 6 20 / 45%)'; // over the photo
const STRONGEST = 0.9; // of a colour over it
// From little to much; evenly spaced, its lightness grows evenly too.
const RAMP = [
  [20, 11, 52],
  [87, 16, 110],
  [150, 38, 103],
  [208, 66, 70],
  [245, 124, 21],
  [251, 182, 30],
  [252, 255, 164],
];

/**
 * A map, to be drawn: {canvas, part: [width, height], box}. part: how much of the canvas lies on the picture; box: of
 * the image, over which it goes.
 */
export function heatOf(map) {
  const { side, frame } = map;
  const canvas = new OffscreenCanvas(side, side);
  canvas.getContext('2d').putImageData(coloured(map, sharesOf(map).most || 1), 0, 0);
  const part = frame.scaled.map((length) => (length * side) / MODEL_SIDE);
  return { canvas, part, box: frame.box };
}

/** Dims the box and draws the heat over it. @param {CanvasRenderingContext2D} context in image coordinates */
export function drawHeat(context, { canvas, part: [width, height], box: [x0, y0, x1, y1] }) {
  context.fillStyle = VEIL;
  context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = 'high';
  context.drawImage(canvas, 0, 0, width, height, x0, y0, x1 - x0, y1 - y0);
}

/** [r, g, b] of a share, 0 to 1. */
export function rampAt(share) {
  const place = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[low].map((from, channel) => Math.round(from + (RAMP[low + 1][channel] - from) * (place - low)));
}

/** The colours as a CSS gradient, from little to much. */
export const gradient = `linear-gradient(to right, ${RAMP.map(([r, g, b]) => `rgb(${r} ${g} ${b})`).join(', ')})`;

function coloured({ side, values }, most) {
  const image = new ImageData(side, side);
  values.forEach((value, place) => {
    const share = Math.min(value / most, 1);
    image.data.set([...rampAt(share), 255 * STRONGEST * Math.sqrt(share)], 4 * place);
  });
  return image;
}
