/**
 * What a document from elsewhere says of one photo.
 *
 *     Record {name, sha256, size, picture, read}   name, sha256, size: null where unsaid; size: [width, height]
 *                                                  picture: a File, where the document holds the photo itself, or null
 *                                                  read(size): promise of a State (session.js) of finished objects on a
 *                                                  photo of that size. Throws DocumentError
 */

import * as chain from './chain.js';
import { DocumentError, LONGEST_LABEL } from './fields.js';
import { withPixels } from './masks.js';
import { fromRuns, toRuns } from './rle.js';

/**
 * Finished objects without prompts, the lowest first, whose colours are still to be given; one that is opened again is
 * painted on.
 * @param {{rle: import('./rle.js').Rle, label: ?string, score: ?number, stability: ?number}[]} objects
 * @param {[number, number]} size [width, height]
 */
export function stateOf(objects, [width, height]) {
  const things = objects.map(({ rle, label, score, stability }, n) => {
    const rest = { box: [0, 0, width, height], score, stability, index: 0, maskId: null, full: true };
    const final = { mask: withPixels(rest, rle), isReady: true };
    const making = chain.addStroke(chain.EMPTY, chain.wholeStroke('add', { making: chain.EMPTY, final }));
    return {
      id: n + 1,
      label: [...(label ?? '')].slice(0, LONGEST_LABEL).join(''),
      colour: null,
      locked: false,
      making,
      final,
    };
  });
  return { objects: things, current: null, next: things.length + 1 };
}

/** COCO's run lengths, compressed or listed, of a mask of that size. Throws DocumentError. */
export function readRle({ size, counts }, [width, height]) {
  if (!Array.isArray(size) || size.join() !== `${height},${width}`) {
    throw new DocumentError(`its run lengths are of size ${size}, expected ${height},${width} (height, width)`);
  }
  try {
    return fromRuns(
      Array.isArray(counts) ? listed(counts, width * height) : toRuns({ size, counts: String(counts) }),
      size,
    );
  } catch (error) {
    if (error instanceof RangeError) throw new DocumentError(error.message);
    throw error;
  }
}

function listed(runs, pixels) {
  const isWhole = runs.every((run) => Number.isSafeInteger(run) && run >= 0);
  if (!isWhole || runs.reduce((sum, run) => sum + run, 0) !== pixels)
    throw new RangeError('rle: the run lengths do not fill the image');
  return runs;
}

/** A path's last part, whatever system wrote it. */
export const lastPart = (path) => path.split(/[\\/]/).at(-1);
