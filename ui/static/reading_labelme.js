/** LabelMe's files read back, as `service/formats/reading_labelme.py` does: one Record (records.js). */

import { DocumentError, expected, mapping, real, sequence, text, whole } from './fields.js';
import { bytesOf, grayPixels } from './embedded.js';
import { sniff, SNIFFED } from './kinds.js';
import { fromPolygons } from './polygons.js';
import { lastPart, stateOf } from './records.js';
import { fromSpans, union } from './rle.js';
import * as spans from './spans.js';

const CIRCLE = 360; // corners of a circle
const RINGS = { polygon: (points) => points, rectangle, circle };

/** Whether a JSON value looks like a LabelMe file. */
export const isLabelMe = (document) => Array.isArray(document?.shapes);

/** file: the document's name, after which a photo within it is called when it says no name. Throws DocumentError. */
export function readLabelMe(document, file) {
  const path = text(document.imagePath, 'imagePath');
  const name = path && lastPart(path);
  const groups = grouped(sequence(document.shapes, 'shapes'));
  const read = async (size) => stateOf(await Promise.all(groups.map((group) => object(group, size))), size);
  return [
    {
      name,
      sha256: null,
      size: sizeOf(document),
      picture: photo(document, name || file.replace(/\.json$/i, '')),
      read,
    },
  ];
}

/** Old files do not say it. */
function sizeOf({ imageWidth = null, imageHeight = null }) {
  if (imageWidth === null && imageHeight === null) return null;
  return [whole(imageWidth, 'imageWidth', 1), whole(imageHeight, 'imageHeight', 1)];
}

/** The photo, where it stands in the file in base64; null when it does not, or is none. */
function photo({ imageData }, name) {
  const bytes = typeof imageData === 'string' ? bytesOf(imageData) : null;
  const kind = bytes && sniff(bytes.subarray(0, SNIFFED)).kind;
  return kind ? new File([bytes], name, { type: `image/${kind.toLowerCase()}` }) : null;
}

/** [[[shape, field], ...], ...]: shapes that have label and `group_id` in common are one object. */
function grouped(shapes) {
  const groups = new Map();
  shapes.forEach((value, n) => {
    const shape = mapping(value, `shapes[${n}]`);
    const group = shape.group_id ?? null;
    const key = group === null ? n : JSON.stringify([text(shape.label, `shapes[${n}].label`), group]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push([shape, `shapes[${n}]`]);
  });
  return [...groups.values()];
}

async function object(group, size) {
  const parts = await Promise.all(group.map(([shape, field]) => pixels(shape, field, size)));
  const [[first, field]] = group;
  return {
    rle: parts.reduce(union),
    label: text(first.label, `${field}.label`),
    score: real(first.predicted_iou, `${field}.predicted_iou`),
    stability: real(first.stability_score, `${field}.stability_score`),
  };
}

async function pixels(shape, field, size) {
  const { shape_type: kind = 'polygon' } = shape;
  const points = sequence(shape.points, `${field}.points`);
  if (!points.every(isPoint)) throw expected('a list of [x, y] numbers', points, `${field}.points`);
  if (kind === 'mask') return pasted(shape.mask, points, field, size);
  if (!Object.hasOwn(RINGS, kind)) {
    throw expected(`one of ${Object.keys(RINGS).join(', ')}, mask, which have pixels`, kind, `${field}.shape_type`);
  }
  try {
    return fromPolygons([RINGS[kind](points)], size);
  } catch (error) {
    throw error instanceof DocumentError ? new DocumentError(`${field}.points: ${error.message}`) : error;
  }
}

const isPoint = (point) => Array.isArray(point) && point.length === 2 && point.every(Number.isFinite);

function rectangle(points) {
  const [[x0, y0], [x1, y1]] = two(points);
  return [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ];
}

function circle(points) {
  const [[x, y], [rimX, rimY]] = two(points);
  const radius = Math.hypot(rimX - x, rimY - y);
  const angles = Array.from({ length: CIRCLE }, (_, n) => n * ((2 * Math.PI) / CIRCLE));
  return angles.map((angle) => [x + radius * Math.cos(angle), y + radius * Math.sin(angle)]);
}

function two(points) {
  if (points.length !== 2) throw new DocumentError(`expected 2, got ${points.length}`);
  return points;
}

/** A mask from the pixels of its box, whose corners `points` are inclusive. */
async function pasted(value, points, field, [width, height]) {
  if (points.length !== 2) throw new DocumentError(`${field}.points: expected the two corners of the mask`);
  const [[x0, y0], [x1, y1]] = points.map((point) => point.map(Math.trunc));
  const [columns, rows] = [x1 - x0 + 1, y1 - y0 + 1];
  const isInside = x0 >= 0 && y0 >= 0 && columns > 0 && rows > 0 && x1 < width && y1 < height;
  const gray = isInside ? await grayPixels(bytesOf(value), [columns, rows]) : null;
  if (!gray) throw new DocumentError(`${field}.mask: expected a PNG in base64 that fits its points and the image`);
  return fromSpans(spans.place(spans.fromBitmap(gray, columns, rows), rows, x0, y0, height), [height, width]);
}
