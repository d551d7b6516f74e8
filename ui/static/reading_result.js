/** What `clickmask segment` and exports call JSON (`service/formats/schema.py`) read back: one Record (records.js). */

import { mapping, real, sequence, text, whole } from './fields.js';
import { readRle, stateOf } from './records.js';

const SCHEMA = 1;

/** Whether a JSON value looks like such a result. */
export const isResult = (document) => document?.schema === SCHEMA && typeof document.clickmask === 'string';

/** Throws DocumentError. */
export function readResult(document) {
  const image = mapping(document.image, 'image');
  const size = ['width', 'height'].map((side) => whole(image[side], `image.${side}`, 1));
  const [name, sha256] = ['name', 'sha256'].map((field) => text(image[field], `image.${field}`));
  const rows = sequence(document.objects, 'objects');
  const read = async () =>
    stateOf(
      rows.map((row, n) => object(mapping(row, `objects[${n}]`), `objects[${n}]`, size)),
      size,
    );
  return [{ name, sha256, size, picture: null, read }];
}

const object = (row, field, size) => ({
  rle: readRle(mapping(row.rle, `${field}.rle`), size),
  label: text(row.label, `${field}.label`),
  score: real(row.score, `${field}.score`),
  stability: real(row.stability, `${field}.stability`),
});
