/** What a file is, by its first bytes; the server decides the same way (`service/image_headers.py`). */

/** So many bytes tell. */
export const SNIFFED = 512;

const SERVER_ONLY = ['TIFF']; // browsers cannot show them

const MAGIC = [
  ['JPEG', 0, '\xff\xd8\xff'],
  ['PNG', 0, '\x89PNG\r\n\x1a\n'],
  ['GIF', 0, 'GIF87a'],
  ['GIF', 0, 'GIF89a'],
  ['TIFF', 0, 'II*\0'],
  ['TIFF', 0, 'MM\0*'],
];
const BMP_HEADERS = [12, 40, 52, 56, 64, 108, 124];

/** Pictures that nothing here reads. */
const PICTURES = [
  ['a HEIC photo', 4, 'ftyphei'],
  ['a HEIC photo', 4, 'ftyphev'],
  ['a HEIF photo', 4, 'ftypmif1'],
  ['a HEIF photo', 4, 'ftypmsf1'],
  ['an AVIF picture', 4, 'ftypavi'],
  ['a Canon raw photo', 4, 'ftypcrx'],
  ['a JPEG XL picture', 0, '\xff\x0a'],
  ['a JPEG XL picture', 4, 'JXL '],
  ['a JPEG 2000 picture', 4, 'jP  '],
  ['a Photoshop document', 0, '8BPS'],
  ['an OpenEXR picture', 0, 'v/1\x01'],
  ['an icon file', 0, '\0\0\x01\0'],
  ['a BigTIFF', 0, 'II+\0'],
  ['a BigTIFF', 0, 'MM\0+'],
];

const OTHERS = [
  ['a video', 4, 'ftyp'],
  ['a PDF document', 0, '%PDF'],
  ['a zip archive or office document', 0, 'PK\x03\x04'],
  ['a gzip archive', 0, '\x1f\x8b'],
  ['a NumPy file', 0, '\x93NUMPY'],
];

/**
 * head: the file's first bytes, a Uint8Array of up to SNIFFED. Gives {kind, needsServerPicture} for a photo the server
 * reads, else {kind: null, refusal}, where refusal goes on after the file's name.
 */
export function sniff(head) {
  const text = String.fromCharCode(...head);
  const kind = kindOf(text);
  if (kind) return { kind, needsServerPicture: SERVER_ONLY.includes(kind) };
  return { kind: null, refusal: refusalOf(text) };
}

/** Whether a file that begins so may be a JSON document: work on photos, as this page and others save it. */
export function isDocument(head) {
  const text = String.fromCharCode(...head);
  return /^(\xef\xbb\xbf)?\s*\{/.test(text) && isText(text);
}

function kindOf(text) {
  if (text.startsWith('RIFF') && text.startsWith('WEBP', 8)) return 'WebP';
  if (text.startsWith('BM') && BMP_HEADERS.includes(text.charCodeAt(14))) return 'BMP'; // "BM" alone could begin a text
  return find(MAGIC, text);
}

function refusalOf(text) {
  const picture = find(PICTURES, text) ?? (/<svg[\s>]/i.test(text) ? 'an SVG drawing' : null);
  if (picture) return `is ${picture}, which cannot be read here: save it as JPEG or PNG first`;
  const other = find(OTHERS, text) ?? (/^\s*<(!doctype|html)/i.test(text) ? 'a web page' : null);
  const kind = other ?? (isText(text) ? 'a text' : 'of an unknown kind');
  return `is ${kind}, not a photo: choose JPEG, PNG, WebP, BMP, GIF or TIFF`;
}

const find = (rows, text) => rows.find(([, at, magic]) => text.startsWith(magic, at))?.[0] ?? null;

const isText = (text) => !/[\0-\x08\x0e-\x1f]/.test(text);
