/** What the Attention tab saves: the map over the photo, and the arrays. */

import { requestOf } from './attention_asker.js';
import { download } from './exports.js';
import { drawHeat, heatOf } from './heat.js';

const LONGEST = 2048; // side of the picture, pixels

/** The encoded part of the photo with the map over it, as it is on the screen. */
export async function savePicture({ doc, map }) {
  const [x0, y0, x1, y1] = map.frame.box;
  const scale = Math.min(1, LONGEST / Math.max(x1 - x0, y1 - y0));
  const canvas = new OffscreenCanvas(Math.round((x1 - x0) * scale), Math.round((y1 - y0) * scale));
  const context = canvas.getContext('2d');
  context.scale(scale, scale);
  context.translate(-x0, -y0);
  context.drawImage(doc.bitmap, 0, 0);
  drawHeat(context, heatOf(map));
  download(`${doc.name}.attention.png`, await canvas.convertToBlob({ type: 'image/png' }));
}

/** All arrays of the prompt, or of the patch, as NumPy reads them. */
export async function saveArrays({ doc, source, prompt, choice, patch }) {
  const request = choice.kind === 'patch' ? { patch: patch.asked } : requestOf(prompt);
  const blob = await doc.remote.retelling(source, (id) => doc.remote.api.attentionFile(id, request));
  download(`${doc.name}.attention.npz`, blob);
}
