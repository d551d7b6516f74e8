/**
 * A mask's edge as closed lines. A ring is a flat array [x, y, x, y, ...], its first point not repeated; outer rings
 * run clockwise on the screen, holes the other way. Object pixels that meet only at a corner are separate.
 */

import { pieces } from "./spans.js";
import { toSpans } from "./rle.js";

const SMALL_RING = 12; // pixel edges; what is smaller would shrink when it is smoothed
const TOLERANCE = 0.3; // screen pixels by which a drawn line may differ from the edge
const PIXELS_SHOW = 4; // CSS pixels per image pixel from which on a photo shows its pixels, and a full mask its own

const drawn = new WeakMap(); // Mask -> Map of levels -> Path2D

/**
 * The path of a mask's edge in image coordinates, fine enough for that scale; made once for each doubling of it.
 * @param {{rle: object, box: number[], full?: boolean}} mask
 * @param {number} scale device pixels per image pixel
 * @returns {Path2D} to be filled by the rule "evenodd"
 */
export function pathOf(mask, scale) {
  if (!drawn.has(mask)) drawn.set(mask, new Map());
  const paths = drawn.get(mask);
  const level = Math.ceil(Math.log2(scale));
  if (!paths.has(level)) paths.set(level, toPath(outline(mask, 2 ** level)));
  return paths.get(level);
}

/**
 * The rings to draw at that scale, in image coordinates: smooth, but along the pixels where these can be seen.
 * @param {{rle: object, box: number[], full?: boolean}} mask
 * @param {number} scale screen pixels per image pixel
 * @returns {Float64Array[]}
 */
export function outline(mask, scale) {
  const [height, width] = mask.rle.size;
  const [x0, y0, x1, y1] = mask.box;
  const pixelWidth = (x1 - x0) / width;
  const pixelHeight = (y1 - y0) / height;
  const rings = trace(mask.rle);
  const tolerance = TOLERANCE / (scale * Math.max(pixelWidth, pixelHeight));
  const lines = mask.full && scale > PIXELS_SHOW ? rings : rings.map((ring) => simplify(smooth(ring), tolerance));
  const toImage = (value, i) => (i % 2 === 0 ? x0 + value * pixelWidth : y0 + value * pixelHeight);
  return lines.map((ring) => Float64Array.from(ring, toImage));
}

/** @param {ArrayLike<number>[]} rings @returns {Path2D} */
export function toPath(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    path.moveTo(ring[0], ring[1]);
    for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i], ring[i + 1]);
    path.closePath();
  }
  return path;
}

/**
 * The exact rings, along the pixels' edges, from corner to corner; in time and memory as the runs, not the pixels.
 * @param {import("./rle.js").Rle} rle
 * @returns {Int32Array[]} in the mask's own pixels
 */
export function trace(rle) {
  const edges = horizontalEdges(toSpans(rle), rle.size[0]);
  const next = linkEdges(edges);
  const seen = new Uint8Array(next.length);
  const rings = [];
  for (let edge = 0; edge < next.length; edge += 1) {
    if (!seen[edge]) rings.push(followRing(edge, edges, next, seen));
  }
  return rings;
}

/**
 * The ring through the middles of its pixel edges, each then drawn towards its neighbours: stairs become slopes.
 * No point moves by more than a pixel.
 * @param {ArrayLike<number>} ring as `trace` has it
 * @returns {Float64Array}
 */
export function smooth(ring) {
  const middles = edgeMiddles(ring);
  return middles.length < 2 * SMALL_RING ? middles : average(average(middles));
}

/**
 * Fewer points: none that is left out lay farther than `tolerance` from the line (Douglas and Peucker's way).
 * @param {ArrayLike<number>} ring
 * @param {number} tolerance
 * @returns {Float64Array}
 */
export function simplify(ring, tolerance) {
  const count = ring.length / 2;
  const far = farthestFrom(ring, 0);
  const kept = new Uint8Array(count);
  kept[0] = kept[far] = 1;
  keepBetween(ring, 0, far, tolerance, kept);
  keepBetween(ring, far, count, tolerance, kept);
  const left = [];
  for (let i = 0; i < count; i += 1) if (kept[i]) left.push(ring[2 * i], ring[2 * i + 1]);
  return Float64Array.from(left);
}

/** Upper (even) and lower (odd) edges of the pieces: their rows, and the column of each piece. */
function horizontalEdges(spans, height) {
  const rows = [];
  const columns = [];
  for (const [column, start, end] of pieces(spans, height)) {
    columns.push(column);
    rows.push(start, end);
  }
  return { rows, columns };
}

/**
 * For each edge the one that comes after it. Upper edges run right, lower ones left, so the object is always on the
 * right hand; between two columns the ends of their edges are joined in pairs, from the top down.
 */
function linkEdges({ rows, columns }) {
  const next = new Int32Array(rows.length);
  let left = [0, 0];
  for (let from = 0; from < columns.length; ) {
    let to = from;
    while (columns[to] === columns[from]) to += 1;
    if (left[1] > 0 && columns[left[0]] + 1 !== columns[from]) {
      linkColumns(rows, next, left, [0, 0]);
      left = [0, 0];
    }
    linkColumns(rows, next, left, [from, to]);
    left = [from, to];
    from = to;
  }
  linkColumns(rows, next, left, [0, 0]);
  return next;
}

function linkColumns(rows, next, [leftFrom, leftTo], [rightFrom, rightTo]) {
  let i = 2 * leftFrom;
  let j = 2 * rightFrom;
  let waiting = -1;
  let waitingArrives = false;
  while (i < 2 * leftTo || j < 2 * rightTo) {
    const isLeft = j === 2 * rightTo || (i < 2 * leftTo && comesFirst(rows, i, j));
    const edge = isLeft ? i++ : j++;
    const arrives = isLeft === (edge % 2 === 0);
    if (waiting < 0) [waiting, waitingArrives] = [edge, arrives];
    else {
      if (waitingArrives) next[waiting] = edge;
      else next[edge] = waiting;
      waiting = -1;
    }
  }
}

/** In one row what ends comes before what starts: pixels that meet at a corner stay apart. */
function comesFirst(rows, i, j) {
  return rows[i] < rows[j] || (rows[i] === rows[j] && !(i % 2 === 0 && j % 2 === 1));
}

function followRing(first, { rows, columns }, next, seen) {
  const points = [];
  let edge = first;
  do {
    seen[edge] = 1;
    const after = next[edge];
    const x = columns[edge >> 1] + (edge % 2 === 0 ? 1 : 0);
    if (rows[edge] !== rows[after]) points.push(x, rows[edge], x, rows[after]);
    edge = after;
  } while (edge !== first);
  return Int32Array.from(points);
}

function edgeMiddles(ring) {
  const middles = [];
  for (let i = 0; i < ring.length; i += 2) {
    const [x, y] = [ring[i], ring[i + 1]];
    const [alongX, alongY] = [ring[(i + 2) % ring.length] - x, ring[(i + 3) % ring.length] - y];
    const length = Math.abs(alongX + alongY);
    for (let at = 0.5; at < length; at += 1) middles.push(x + (alongX * at) / length, y + (alongY * at) / length);
  }
  return Float64Array.from(middles);
}

function average(ring) {
  const size = ring.length;
  return ring.map((value, i) => (ring[(i + size - 2) % size] + 2 * value + ring[(i + 2) % size]) / 4);
}

function farthestFrom(ring, from) {
  let far = 0;
  let most = -1;
  for (let i = 0; i < ring.length / 2; i += 1) {
    const distance = Math.hypot(ring[2 * i] - ring[2 * from], ring[2 * i + 1] - ring[2 * from + 1]);
    if (distance > most) [far, most] = [i, distance];
  }
  return far;
}

/** Marks what must be kept between two kept points; `to` may be the count, which stands for the first point. */
function keepBetween(ring, from, to, tolerance, kept) {
  const open = [[from, to]];
  while (open.length > 0) {
    const [start, end] = open.pop();
    const [worst, distance] = worstBetween(ring, start, end);
    if (distance <= tolerance) continue;
    kept[worst] = 1;
    open.push([start, worst], [worst, end]);
  }
}

function worstBetween(ring, start, end) {
  const [x, y] = [ring[2 * start], ring[2 * start + 1]];
  const last = (2 * end) % ring.length;
  const [alongX, alongY] = [ring[last] - x, ring[last + 1] - y];
  const square = alongX * alongX + alongY * alongY || 1;
  let worst = start;
  let most = 0;
  for (let i = start + 1; i < end; i += 1) {
    const toX = ring[2 * i] - x;
    const toY = ring[2 * i + 1] - y;
    const share = Math.min(Math.max((toX * alongX + toY * alongY) / square, 0), 1);
    const distance = Math.hypot(toX - share * alongX, toY - share * alongY);
    if (distance > most) [worst, most] = [i, distance];
  }
  return [worst, most];
}
