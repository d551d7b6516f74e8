/** COCO documents read back, as `service/formats/reading_coco.py` does: one Record (records.js) an image. */

import { DocumentError, mapping, real, sequence, text, whole } from './fields.js';
import { fromPolygons } from './polygons.js';
import { readRle, stateOf } from './records.js';

/** Whether a JSON value looks like a COCO document. */
export const isCoco = (document) => Array.isArray(document?.images);

/** Throws DocumentError. */
export function readCoco(document) {
  const names = categories(document);
  const rows = byImage(document);
  return sequence(document.images, 'images').map((row, n) => {
    const image = mapping(row, `images[${n}]`);
    const size = ['width', 'height'].map((side) => whole(image[side], `images[${n}].${side}`, 1));
    const [name, sha256] = ['file_name', 'sha256'].map((field) => text(image[field], `images[${n}].${field}`));
    const read = async () =>
      stateOf(
        (rows.get(image.id) ?? []).map((found) => object(found, names, size)),
        size,
      );
    return { name, sha256, size, picture: null, read };
  });
}

function categories(document) {
  const rows = sequence(document.categories, 'categories').map((row, n) => mapping(row, `categories[${n}]`));
  return new Map(
    rows.map(({ id, name }, n) => [whole(id, `categories[${n}].id`), text(name, `categories[${n}].name`)]),
  );
}

/** image_id -> [[annotation, field]] */
function byImage(document) {
  const found = new Map();
  sequence(document.annotations, 'annotations').forEach((value, n) => {
    const row = mapping(value, `annotations[${n}]`);
    if (!found.has(row.image_id)) found.set(row.image_id, []);
    found.get(row.image_id).push([row, `annotations[${n}]`]);
  });
  return found;
}

function object([row, field], names, size) {
  const category = whole(row.category_id, `${field}.category_id`);
  if (!names.has(category)) throw new DocumentError(`${field}.category_id: the file has no category ${category}`);
  return {
    rle: pixels(row.segmentation, `${field}.segmentation`, size),
    label: names.get(category),
    score: real(row.predicted_iou ?? row.score, `${field}.predicted_iou`),
    stability: real(row.stability_score, `${field}.stability_score`),
  };
}

function pixels(segmentation, field, size) {
  try {
    if (Array.isArray(segmentation) && segmentation.length) return fromPolygons(segmentation.map(ring), size);
    if (Array.isArray(segmentation)) throw new DocumentError('there is no polygon in it: boxes alone are not read');
    return readRle(mapping(segmentation, 'run lengths or polygons'), size);
  } catch (error) {
    throw error instanceof DocumentError ? new DocumentError(`${field}: ${error.message}`) : error;
  }
}

/** x, y, x, y, ... */
function ring(flat) {
  const isRing =
    Array.isArray(flat) &&
    flat.length >= 6 &&
    flat.length % 2 === 0 &&
    flat.every((value) => typeof value === 'number');
  if (!isRing) throw new DocumentError('a polygon must be a list of numbers x, y, x, y, ..., of three corners or more');
  return Array.from({ length: flat.length / 2 }, (_, n) => [flat[2 * n], flat[2 * n + 1]]);
}
