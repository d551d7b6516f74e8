/**
 * COCO run lengths, as the API sends them: written byte for byte as service/rle.py and pycocotools write them.
 *
 * A mask is read column by column; runs of background and object alternate, background first. "Compressed" counts are
 * the differences to the run two before, in groups of five bits, six-bit characters from "0" on.
 *
 * @typedef {{size: [number, number], counts: string}} Rle  size: [height, width]
 * @typedef {{width: number, height: number, box: [number, number, number, number]}} Raster  see ui/README.md
 */

import * as spans from './spans.js';

const MOST_PIXELS = 2 ** 31 - 1;
const LONGEST_GROUP = 7; // characters of one 32-bit count
const known = new WeakMap(); // Rle -> its spans: asked again and again while the pointer moves over objects

/**
 * The runs, background first; they may be of no length.
 * @param {Rle} rle
 * @returns {Uint32Array}
 * @throws {RangeError} the counts are malformed or do not fill the size
 */
export function toRuns({ size, counts }) {
  const [height, width] = size;
  const differences = decompress(counts);
  const runs = new Uint32Array(differences.length);
  let total = 0;
  differences.forEach((difference, i) => {
    const run = i > 2 ? difference + runs[i - 2] : difference;
    if (run < 0 || run > MOST_PIXELS) throw new RangeError('rle: counts holds a run of impossible length');
    runs[i] = run;
    total += run;
  });
  if (total !== height * width || total === 0) {
    throw new RangeError(`rle: the run lengths do not fill ${height} x ${width} (height x width) pixels`);
  }
  return runs;
}

/**
 * @param {ArrayLike<number>} runs background first, filling the size
 * @param {[number, number]} size [height, width]
 * @returns {Rle}
 */
export function fromRuns(runs, size) {
  return { size: [...size], counts: compress(runs) };
}

/**
 * The object's spans, as spans.js has them; read only, since they are remembered.
 * @param {Rle} rle
 * @returns {Uint32Array}
 * @throws {RangeError} as `toRuns`
 */
export function toSpans(rle) {
  if (!known.has(rle)) known.set(rle, joinRuns(toRuns(rle)));
  return known.get(rle);
}

/**
 * @param {Uint32Array} found spans of a mask of that size; not to be changed any more
 * @param {[number, number]} size [height, width]
 * @returns {Rle}
 */
export function fromSpans(found, size) {
  const rle = fromRuns(toAlternating(found, size[0] * size[1]), size);
  known.set(rle, found);
  return rle;
}

/** Row-major, 0 and 1. @param {Rle} rle @returns {Uint8Array} */
export function toBitmap(rle) {
  return spans.toBitmap(toSpans(rle), rle.size[1], rle.size[0]);
}

/**
 * @param {Uint8Array} bitmap row-major; what is not 0 is object
 * @param {number} width
 * @param {number} height
 * @returns {Rle}
 */
export function fromBitmap(bitmap, width, height) {
  return fromSpans(spans.fromBitmap(bitmap, width, height), [height, width]);
}

/** A mask of nothing. @param {[number, number]} size [height, width] @returns {Rle} */
export function empty(size) {
  return fromSpans(new Uint32Array(0), size);
}

/** What is in either. @param {Rle} a @param {Rle} b @returns {Rle} @throws {RangeError} their sizes differ */
export function union(a, b) {
  return combine(a, b, (inA, inB) => (inA | inB) === 1);
}

/** What is in both. @param {Rle} a @param {Rle} b @returns {Rle} @throws {RangeError} their sizes differ */
export function intersect(a, b) {
  return combine(a, b, (inA, inB) => (inA & inB) === 1);
}

/** What is in `a`, not in `b`. @param {Rle} a @param {Rle} b @returns {Rle} @throws {RangeError} their sizes differ */
export function subtract(a, b) {
  return combine(a, b, (inA, inB) => inA > inB);
}

/** The mask's own pixels. @param {Rle} rle @returns {number} */
export function area(rle) {
  return spans.area(toSpans(rle));
}

/** [x0, y0, x1, y1] in the mask's own pixels, ends exclusive; null for none. @param {Rle} rle */
export function bounds(rle) {
  return spans.bounds(toSpans(rle), rle.size[0]);
}

/** @param {Rle} rle @returns {boolean} */
export function isEmpty(rle) {
  return toSpans(rle).length === 0;
}

/** Whether the mask's pixel at column x, row y (whole numbers) is object. @param {Rle} rle @returns {boolean} */
export function contains(rle, x, y) {
  const [height, width] = rle.size;
  return x >= 0 && y >= 0 && x < width && y < height && spans.contains(toSpans(rle), x * height + y);
}

/**
 * The mask on another raster: each of its pixels as the one under its centre; none where the mask does not reach.
 * @param {Rle} rle on raster `from`
 * @param {Raster} from
 * @param {Raster} to
 * @returns {Rle}
 */
export function resample(rle, from, to) {
  const columns = nearest(from.width, from.box[0], from.box[2], to.width, to.box[0], to.box[2]);
  const rows = nearest(from.height, from.box[1], from.box[3], to.height, to.box[1], to.box[3]);
  return fromSpans(spans.pickPixels(toSpans(rle), from.height, columns, rows), [to.height, to.width]);
}

/** For each pixel of an axis cut into `count` over low..high, the pixel of the other axis under its centre. */
function nearest(fromCount, fromLow, fromHigh, count, low, high) {
  const step = (high - low) / count;
  const scale = fromCount / (fromHigh - fromLow);
  return Int32Array.from({ length: count }, (_, i) => Math.floor((low + (i + 0.5) * step - fromLow) * scale));
}

function combine(a, b, keep) {
  if (a.size[0] !== b.size[0] || a.size[1] !== b.size[1]) {
    throw new RangeError(`rle: masks of one size are needed, got ${a.size} and ${b.size} (height, width)`);
  }
  return fromSpans(spans.combine(toSpans(a), toSpans(b), keep), a.size);
}

/** Spans of runs; others write runs of no length in the middle, around which the object goes on. */
function joinRuns(runs) {
  const found = [];
  let start = runs[0];
  for (let i = 1; i < runs.length; i += 2) {
    const end = start + runs[i];
    if (runs[i] > 0 && found.at(-1) === start) found[found.length - 1] = end;
    else if (runs[i] > 0) found.push(start, end);
    start = end + (runs[i + 1] ?? 0);
  }
  return Uint32Array.from(found);
}

function toAlternating(found, pixels) {
  const runs = new Uint32Array(found.length + (found.at(-1) === pixels ? 0 : 1));
  for (let i = 0; i < runs.length; i += 1) runs[i] = (found[i] ?? pixels) - (found[i - 1] ?? 0);
  return runs;
}

function compress(runs) {
  const characters = new Uint8Array(runs.length * LONGEST_GROUP);
  let length = 0;
  for (let i = 0; i < runs.length; i += 1) {
    let rest = i > 2 ? runs[i] - runs[i - 2] : runs[i];
    let more = true;
    while (more) {
      const group = rest & 0x1f;
      rest >>= 5;
      more = rest !== -(group >> 4); // the last one is that above which its sign bit only repeats
      characters[length++] = 48 + (more ? group | 0x20 : group);
    }
  }
  return new TextDecoder('latin1').decode(characters.subarray(0, length));
}

function decompress(counts) {
  const values = [];
  let value = 0;
  let weight = 1;
  for (let i = 0; i < counts.length; i += 1) {
    const character = counts.charCodeAt(i) - 48;
    if (!(character >= 0 && character <= 63) || weight >= 32 ** LONGEST_GROUP) throw malformed();
    value += (character & 0x1f) * weight;
    weight *= 32;
    if (character & 0x20) continue;
    values.push(character & 0x10 ? value - weight : value);
    value = 0;
    weight = 1;
  }
  if (values.length === 0 || weight !== 1) throw malformed();
  return values;
}

function malformed() {
  return new RangeError('rle: counts is not a compressed COCO string (characters "0" to "o", complete)');
}
