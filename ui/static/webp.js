/** The EXIF orientation of WebP files, which browsers pass over and the server applies. */

const EXIF = 0x45584946; // "EXIF"
const ORIENTATION = 274;
const READERS = { 1: 'getUint8', 3: 'getUint16', 4: 'getUint32' };

/**
 * {orientation, blob}: the orientation (1..8) that a WebP states, and the file without it, so that a browser that would
 * apply it does not either.
 */
export async function withoutOrientation(file) {
  const view = new DataView(await file.arrayBuffer());
  const places = exifPlaces(view);
  if (!places.length) return { orientation: 1, blob: file };
  for (const at of places) view.setUint32(at, 0x58585858); // a chunk of no known kind
  return { orientation: orientationAt(view, places.at(-1)), blob: new Blob([view.buffer], { type: 'image/webp' }) };
}

function exifPlaces(view) {
  const places = [];
  for (let at = 12; at + 8 <= view.byteLength;) {
    if (view.getUint32(at) === EXIF) places.push(at);
    const length = view.getUint32(at + 4, true);
    at += 8 + length + (length % 2);
  }
  return places;
}

function orientationAt(view, chunk) {
  const prefix = view.getUint32(chunk + 8) === 0x45786966 ? 6 : 0; // "Exif", and two zeros
  try {
    return orientationOf(new DataView(view.buffer, chunk + 8 + prefix, view.getUint32(chunk + 4, true) - prefix));
  } catch {
    return 1; // damaged
  }
}

/** exif: a DataView of a small TIFF. */
function orientationOf(exif) {
  const little = exif.getUint16(0) !== 0x4d4d;
  const start = exif.getUint32(4, little);
  const count = exif.getUint16(start, little);
  for (let n = 0, at = start + 2; n < count; n += 1, at += 12) {
    if (exif.getUint16(at, little) !== ORIENTATION) continue;
    const value = exif[READERS[exif.getUint16(at + 2, little)]](at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
