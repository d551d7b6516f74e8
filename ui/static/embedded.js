/** Pictures that stand in JSON documents, in base64. */

const PNG = '\x89PNG\r\n\x1a\n';

/** The bytes of a base64 text, or null when it is none. */
export function bytesOf(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

/**
 * Brightness 0 to 255 of a PNG's pixels, row-major, reckoned as OpenCV does; null when it is no PNG of that size.
 * @param {Uint8Array | null} bytes
 * @param {[number, number]} size [width, height]
 * @returns {Promise<Uint8Array | null>}
 */
export async function grayPixels(bytes, [width, height]) {
  if (!bytes || bytes.length < 24 || String.fromCharCode(...bytes.subarray(0, 8)) !== PNG) return null;
  const head = new DataView(bytes.buffer, 16); // before anything of a size that it only claims is made
  if (head.getUint32(0) !== width || head.getUint32(4) !== height) return null;
  try {
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }), { colorSpaceConversion: 'none' });
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return toGray(context.getImageData(0, 0, width, height).data);
  } catch {
    return null;
  }
}

function toGray(colours) {
  const gray = new Uint8Array(colours.length / 4);
  for (let i = 0; i < gray.length; i += 1) {
    const [red, green, blue] = [colours[4 * i], colours[4 * i + 1], colours[4 * i + 2]];
    gray[i] = (red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14;
  }
  return gray;
}
