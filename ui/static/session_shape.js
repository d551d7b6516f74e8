/** What a State (session.js) from elsewhere must be like, so that nothing stumbles over it later. */

import { DocumentError, expected } from './fields.js';
import { toRuns } from './rle.js';
import { count, flag, having, label, list, maybe, numbers, object, oneOf, real, text } from './shapes.js';

const MODEL_PIXELS = 1024 * 1024; // of masks for the screen, which may be larger than a small photo

/** Throws DocumentError, naming the field, unless it is a State of a photo of that size, [width, height]. */
export function checkState(state, size) {
  shapeOf(size)(state, 'state');
}

function shapeOf([width, height]) {
  const box = numbers(4);
  const point = numbers(2);
  const rle = object(() => ({ size: numbers(2), counts: text }), checkRuns);
  const mask = object(() => ({
    rle,
    box: checkBox,
    area: real,
    bounds: maybe(box),
    score: maybe(real),
    stability: maybe(real),
    index: count,
    maskId: maybe(text),
    full: flag,
  }));
  const final = object(
    () => ({ mask, isReady: flag }),
    (
      {
        mask: {
          rle: { size },
        },
        isReady,
      },
      field,
    ) => {
      if (isReady && size.join() !== `${height},${width}`)
        throw expected(`a mask of ${width} x ${height} pixels`, size, `${field}.mask`);
    },
  );
  const prompt = { points: list(point), labels: list(oneOf(0, 1)), box: maybe(box) };
  const question = object(() => ({ ...prompt, previous: maybe(answer), source: maybe(box), clean: real }));
  const answer = object(() => ({ question, masks: maybe(list(mask)), picked: count, error: maybe(text) }), checkPicked);
  const element = having(
    'box',
    object(() => ({ box })),
    object(() => ({ x: real, y: real, label: oneOf(0, 1) })),
  );
  const op = oneOf('add', 'erase');
  const painted = object(() => ({ op, kind: oneOf('brush', 'lasso'), radius: real, points: list(point) }), hasPoints);
  const stroke = having(
    'final',
    object(() => ({ op, kind: oneOf('object'), making, final })),
    painted,
  );
  const making = object(
    () => ({
      elements: list(element),
      answers: list(maybe(answer)),
      source: maybe(box),
      strokes: list(stroke),
      clean: real,
    }),
    checkAnswers,
  );
  const thing = object(() => ({ id: count, label, colour: count, locked: flag, making, final }));
  const current = object(() => ({ id: count, making, of: maybe(thing) }));
  return object(() => ({ objects: list(thing), current: maybe(current), next: count }), checkIds);

  function checkRuns({ size: [rows, columns], counts }, field) {
    const isSized = rows > 0 && columns > 0 && rows * columns <= Math.max(width * height, MODEL_PIXELS);
    if (!isSized) throw expected('a mask as large as the image', [rows, columns], field);
    try {
      toRuns({ size: [rows, columns], counts });
    } catch (error) {
      throw new DocumentError(`${field}: ${error.message}`);
    }
  }

  function checkBox(value, field) {
    box(value, field);
    const [x0, y0, x1, y1] = value;
    if (!(x0 < x1 && y0 < y1)) throw expected('a box with pixels in it', value, field);
  }
}

function checkPicked({ masks, picked }, field) {
  if (masks && picked >= Math.max(1, masks.length)) throw expected('one of the masks', picked, `${field}.picked`);
}

function hasPoints({ points }, field) {
  if (!points.length) throw expected('one point or more', points, `${field}.points`);
}

/** One an element, as chain.js leaves them; the last one is always there. */
function checkAnswers({ elements, answers }, field) {
  if (answers.length !== elements.length || (elements.length && !answers.at(-1))) {
    throw expected('an answer for each element', answers, `${field}.answers`);
  }
}

function checkIds({ objects, current, next }, field) {
  const ids = objects.map(({ id }) => id);
  const isOwn = !current || current.of !== null || !ids.includes(current.id);
  const isNew = [...ids, ...(current ? [current.id] : [])].every((id) => id > 0 && id < next);
  if (!isOwn || !isNew || new Set(ids).size !== ids.length)
    throw new DocumentError(`${field}.objects: their ids are not apart`);
  if (current?.of && !ids.includes(current.id))
    throw new DocumentError(`${field}.current: it was opened from an object that is not there`);
}
