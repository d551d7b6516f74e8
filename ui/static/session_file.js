/**
 * The work on one photo as a JSON file: objects with their prompts, candidates, strokes and order, and the one in the
 * making; not what was undone. Whoever opens it gets the same work again.
 *
 *     {clickmask: 2, image: {name, width, height, sha256, orientation}, model, digest, root, shared}
 *
 * orientation: of the file, by EXIF; it is applied. digest: of the model's weights, as in the provenance. root, shared:
 * of the State, see graph.js. Nothing that is read depends on orientation, model and digest.
 */

import { DocumentError, mapping, text, whole } from './fields.js';
import { pack, unpack } from './graph.js';
import { checkState } from './session_shape.js';

const FORMAT = 2;

/** The file's text, of a Doc that is loaded; of another state than that which it has, where one is given. */
export async function sessionOf(doc, state = doc.session.state) {
  const {
    name,
    orientation,
    model,
    modelDigest,
    size: [width, height],
  } = doc;
  const document = {
    clickmask: FORMAT,
    image: { name, width, height, sha256: await doc.sha256(), orientation },
    model,
    digest: modelDigest,
    ...pack(state),
  };
  return JSON.stringify(document, withoutMaskIds);
}

/** A state's own text in such a file: the same for the same work, whoever wrote or read it. */
export const stateText = (state) => JSON.stringify(pack(state), withoutMaskIds);

/** Whether a JSON value looks like such a file. */
export const isSession = (document) => Number.isInteger(document?.clickmask);

/** One Record (records.js). Throws DocumentError. */
export function readSession(document) {
  if (document.clickmask !== FORMAT)
    throw new DocumentError(
      `clickmask: expected format ${FORMAT}, got ${document.clickmask}: another version wrote it`,
    );
  const image = mapping(document.image, 'image');
  const size = ['width', 'height'].map((side) => whole(image[side], `image.${side}`, 1));
  const [name, sha256] = ['name', 'sha256'].map((field) => text(image[field], `image.${field}`));
  return [{ name, sha256, size, picture: null, read: async () => readState(document, size) }];
}

function readState(document, size) {
  const state = unpacked(document);
  checkState(state, size);
  return state;
}

function unpacked(document) {
  try {
    return unpack(document);
  } catch (error) {
    if (/call stack|recursion/.test(error.message)) throw new DocumentError('shared: it is nested too deep');
    throw error instanceof RangeError ? new DocumentError(`shared: ${error.message}`) : error;
  }
}

/** Another server knows none of them. */
const withoutMaskIds = (key, value) => (key === 'maskId' ? null : value);
