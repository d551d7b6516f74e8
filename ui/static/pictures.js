/** Files to pixels, as the server sees them: upright, on white, of an animation the first frame. */

const HEAD = 4096;

/** An ImageBitmap of the upright picture. Throws what the browser says of a damaged file. */
export async function decode(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  if (!(await mayBeTransparent(file))) return bitmap;
  return drawn(bitmap, bitmap.width, bitmap.height);
}

/** The same, scaled to fit into a square of `side` pixels. */
export async function decodeSmall(file, side) {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((length) => Math.max(1, Math.round(length * scale)));
  return drawn(bitmap, width, height);
}

function drawn(bitmap, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { alpha: false });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'medium';
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return canvas.transferToImageBitmap();
}

async function mayBeTransparent(file) {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, HEAD).arrayBuffer()));
  return !head.startsWith('\xff\xd8');
}
