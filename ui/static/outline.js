/**
 * A mask's edge as closed lines. A ring is a flat array [x, y, x, y, ...], its first point not repeated; outer rings
 * run clockwise on the screen, holes the other way. Object pixels that meet only at a corner are separate.
 */

import { pieces } from './spans.js';
import { toSpans } from './rle.js';

const SMALL_RING = 12; // pixel edges; what is smaller would shrink when it is smoothed
const TOLERANCE = 0.3; // screen pixels by which a drawn line may differ from the edge
const LEVELS = 2; // to a doubling of the scale
const PIXELS_SHOW = 4; // screen pixels per image pixel above which a full mask shows its own pixels, as the photo does

const drawn = new WeakMap(); // Mask -> Map of levels -> {path, points}

/**
 * A mask's edge in image coordinates, fine enough for that scale; made once for each level of scales.
 * @param {{rle: object, box: number[], full?: boolean}} mask
 * @param {number} scale device pixels per image pixel
 * @returns {{path: Path2D, points: number}} to be filled by the rule 'evenodd'
 */
export function edgeOf(mask, scale) {
  if (!drawn.has(mask)) drawn.set(mask, new Map());
  const edges = drawn.get(mask);
  const level = Math.ceil(Math.log2(scale) * LEVELS);
  if (!edges.has(level)) edges.set(level, toEdge(outline(mask, 2 ** (level / LEVELS))));
  return edges.get(level);
}

function toEdge(rings) {
  return { path: toPath(rings), points: rings.reduce((total, ring) => total + ring.length / 2, 0) };
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

/**
 * Each ring goes on to its second point: that closes it with a joint. (Chromium's closePath takes longer the longer the
 * path is already.)
 * @param {ArrayLike<number>[]} rings
 * @returns {Path2D}
 */
export function toPath(rings) {
  const path = new Path2D();
  for (const ring of rings) {
    path.moveTo(ring[0], ring[1]);
    for (let i = 2; i < ring.length; i += 2) path.lineTo(ring[i], ring[i + 1]);
    path.lineTo(ring[0], ring[1]);
    path.lineTo(ring[2], ring[3]);
  }
  return path;
}

/**
 * The exact rings, along the pixels' edges, from corner to corner; in time and memory as the runs, not the pixels.
 * @param {import('./rle.js').Rle} rle
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
 * Fewer points: a line goes on as long as some direction passes all points since its start within `tolerance`.
 * Time is in proportion to the points, whatever their order.
 * @param {ArrayLike<number>} ring
 * @param {number} tolerance
 * @returns {Float64Array} what is left out lies within 1.5 times the tolerance of the lines
 */
export function simplify(ring, tolerance) {
  const kept = new Float64Array(ring.length);
  let length = 0;
  let at = 0;
  while (at < ring.length) {
    kept[length++] = ring[at];
    kept[length++] = ring[at + 1];
    at = endOfLine(ring, at, tolerance);
  }
  return length < 6 ? spread(ring) : kept.slice(0, length);
}

/** Three points, for a ring so small that one would do: even a speck is seen. */
function spread(ring) {
  const third = 2 * Math.floor(ring.length / 6);
  return Float64Array.from([0, 1, third, third + 1, 2 * third, 2 * third + 1], (i) => ring[i]);
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
  for (let from = 0; from < columns.length;) {
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
  const middles = new Float64Array(2 * perimeter(ring));
  let length = 0;
  for (let i = 0; i < ring.length; i += 2) {
    const after = i + 2 < ring.length ? i + 2 : 0;
    const alongX = Math.sign(ring[after] - ring[i]);
    const alongY = Math.sign(ring[after + 1] - ring[i + 1]);
    const steps = Math.abs(ring[after] - ring[i] + ring[after + 1] - ring[i + 1]);
    for (let at = 0.5; at < steps; at += 1) {
      middles[length++] = ring[i] + alongX * at;
      middles[length++] = ring[i + 1] + alongY * at;
    }
  }
  return middles;
}

/** Of a ring along pixel edges: every other line is level, so the lines' lengths are those of two walks. */
function perimeter(ring) {
  let total = Math.abs(ring[0] - ring.at(-2)) + Math.abs(ring[1] - ring.at(-1));
  for (let i = 2; i < ring.length; i += 1) total += Math.abs(ring[i] - ring[i - 2]);
  return total;
}

function average(ring) {
  const size = ring.length;
  const averaged = new Float64Array(size);
  for (let i = 2; i < size - 2; i += 1) averaged[i] = (ring[i - 2] + 2 * ring[i] + ring[i + 2]) / 4;
  for (const i of [0, 1, size - 2, size - 1]) {
    averaged[i] = (ring[(i + size - 2) % size] + 2 * ring[i] + ring[(i + 2) % size]) / 4;
  }
  return averaged;
}

/**
 * Where the longest line from the point at `from` ends: the last point within the cone of directions that pass all
 * points before it closely, and not behind these. Offsets into the ring; its length stands for the first point.
 */
function endOfLine(ring, from, tolerance) {
  const [x, y] = [ring[from], ring[from + 1]];
  let [lowX, lowY, highX, highY] = [0, 0, 0, 0];
  let farthest = 0;
  let end = from + 2;
  for (let i = end; i <= ring.length; i += 2) {
    const toX = ring[i % ring.length] - x;
    const toY = ring[(i + 1) % ring.length] - y;
    const distance = Math.sqrt(toX * toX + toY * toY);
    const hasCone = farthest > tolerance;
    if (distance < farthest - tolerance / 2) break;
    if (hasCone && (cross(lowX, lowY, toX, toY) < 0 || cross(toX, toY, highX, highY) < 0)) break;
    end = i;
    farthest = Math.max(farthest, distance);
    if (distance <= tolerance) continue;
    const along = Math.sqrt(distance * distance - tolerance * tolerance);
    const [minusX, minusY] = [toX * along + toY * tolerance, toY * along - toX * tolerance];
    const [plusX, plusY] = [toX * along - toY * tolerance, toY * along + toX * tolerance];
    if (!hasCone || cross(lowX, lowY, minusX, minusY) > 0) [lowX, lowY] = [minusX, minusY];
    if (!hasCone || cross(highX, highY, plusX, plusY) < 0) [highX, highY] = [plusX, plusY];
  }
  return end;
}

function cross(x, y, otherX, otherY) {
  return x * otherY - y * otherX;
}
