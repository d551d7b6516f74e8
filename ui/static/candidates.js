/**
 * All objects of a photo, to choose from.
 *
 *     Candidate {key, mask: Mask, point: [x, y], colour}   key: the same for the same find in every answer; point: the
 *                                                          grid's, that found it; colour: its number in the palette
 *
 * Lists of them begin with the largest.
 */

import * as chain from './chain.js';
import { isOn } from './masks.js';

/**
 * What the server found on a photo of that size, [width, height]. Those that were there before stay the same, so that
 * their outlines, colours and what was chosen stay too.
 * @param {{masks: object[]}} answer of `Api.everything`, at the image's own resolution
 * @param {object[]} before candidates of the same search
 */
export function candidatesFrom({ masks }, [width, height], before = []) {
  const known = new Map(before.map((candidate) => [candidate.key, candidate]));
  let colour = Math.max(-1, ...before.map((candidate) => candidate.colour));
  return masks.map(({ rle, area, box, score, stability, index, point }) => {
    const key = `${point} ${index} ${area}`;
    const about = { area, bounds: box, score, stability, index, maskId: null, full: true };
    return known.get(key) ?? { key, point, colour: (colour += 1), mask: { rle, box: [0, 0, width, height], ...about } };
  });
}

/** The smallest one at an image point, or null. */
export function smallestAt(candidates, x, y) {
  return candidates.findLast(({ mask }) => isWithin(mask.bounds, x, y) && isOn(mask, x, y)) ?? null;
}

/** Those that lie wholly within a box of the image. */
export function insideOf(candidates, [x0, y0, x1, y1]) {
  return candidates.filter(({ mask: { bounds } }) => {
    return bounds && bounds[0] >= x0 && bounds[1] >= y0 && bounds[2] <= x1 && bounds[3] <= y1;
  });
}

/**
 * As a State (session.js) of finished objects, each with the point that found it: opened again, it can be clicked on.
 * The largest are the lowest, so that parts lie on what they are parts of.
 */
export function stateOf(candidates, label) {
  const objects = candidates.map((candidate, n) => thingOf(candidate, n + 1, label));
  return { objects, current: null, next: objects.length + 1 };
}

function thingOf({ mask, point: [x, y], colour }, id, label) {
  const question = { points: [[x, y]], labels: [1], box: null, previous: null, source: null, clean: 0 };
  const answers = [{ question, masks: [mask], picked: 0, error: null }];
  const making = { ...chain.EMPTY, elements: [{ x, y, label: 1 }], answers };
  return { id, label, colour, locked: false, making, final: { mask, isReady: true } };
}

const isWithin = (bounds, x, y) =>
  bounds !== null && x >= bounds[0] && y >= bounds[1] && x < bounds[2] && y < bounds[3];
