/** Files to pixels, as the server sees them: upright, on white, of an animation the first frame. */

import { withoutOrientation } from './webp.js';

/** How an image stored w x h is drawn upright, by EXIF orientation: the arguments of `setTransform`. */
const TURNS = {
  1: () => [1, 0, 0, 1, 0, 0],
  2: (w) => [-1, 0, 0, 1, w, 0],
  3: (w, h) => [-1, 0, 0, -1, w, h],
  4: (w, h) => [1, 0, 0, -1, 0, h],
  5: () => [0, 1, 1, 0, 0, 0],
  6: (w, h) => [0, 1, -1, 0, h, 0],
  7: (w, h) => [0, -1, -1, 0, h, w],
  8: (w) => [0, -1, 1, 0, 0, w],
};

/** An ImageBitmap of the upright picture. Throws what the browser says of a damaged file. */
export async function decode(file) {
  const kind = await kindOf(file);
  const { orientation, blob } = kind === 'WebP' ? await withoutOrientation(file) : { orientation: 1, blob: file };
  const bitmap = await createImageBitmap(blob, { imageOrientation: 'from-image' });
  if (kind === 'JPEG') return bitmap; // never transparent
  return drawn(bitmap, bitmap.width, bitmap.height, orientation);
}

/** The same, scaled to fit into a square of `side` pixels. */
export async function decodeSmall(file, side) {
  const bitmap = await decode(file);
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((length) => Math.max(1, Math.round(length * scale)));
  return drawn(bitmap, width, height, 1);
}

/** width, height: of the picture as it is stored, scaled. */
function drawn(bitmap, width, height, orientation) {
  const canvas = new OffscreenCanvas(...(orientation < 5 ? [width, height] : [height, width]));
  const context = canvas.getContext('2d', { alpha: false });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.setTransform(...TURNS[orientation](width, height));
  context.imageSmoothingQuality = 'medium';
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.transferToImageBitmap();
}

async function kindOf(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  if (head[0] === 0xff && head[1] === 0xd8) return 'JPEG';
  return String.fromCharCode(...head.slice(8)) === 'WEBP' ? 'WebP' : 'other';
}
