/**
 * The object in the making: its prompt, element by element, and which question each edit asks.
 *
 * The rule is that of `service/chain.py`: click k is asked with all points so far and the low-res logits of answer
 * k - 1; changing or deleting element k drops the answers from k on. Everything here returns new values; only the
 * answers themselves are filled in later, once, when the server has spoken, in every state that shares them.
 *
 *     Making   {elements: [Element], answers: [Answer | null], source, strokes: [Stroke], clean}
 *     Element  {x, y, label} | {box}
 *     Answer   {question, masks: [Mask] | null, picked, error: string | null}
 *     Question {points, labels, box, previous: Answer | null, source, clean}
 *
 * source is the window (x0, y0, x1, y1) of the image that was encoded by itself, null for the whole image; clean is the
 * share of the object's area below which specks go and holes close.
 */

export const EMPTY = Object.freeze({ elements: [], answers: [], source: null, strokes: [], clean: 0 });

/** Whether nothing was clicked, drawn or painted. */
export const isEmpty = (making) => making.elements.length === 0 && making.strokes.length === 0;

/** The points in their order: {x, y, label, element}, where element is their place among the elements. */
export const pointsOf = (making) =>
  making.elements.flatMap((element, place) => ('box' in element ? [] : [{ ...element, element: place }]));

/** The box (x0, y0, x1, y1), or null. */
export const boxOf = (making) => making.elements.find((element) => 'box' in element)?.box ?? null;

/** The newest answer, or null before the first. */
export const lastAnswer = (making) => making.answers.at(-1) ?? null;

/** The mask an answer gave, or null while it is not there. */
export const maskOf = (answer) => answer?.masks?.[answer.picked] ?? null;

/** The newest mask that has come: while an answer is awaited, the one before. */
export function shownMask(making) {
  for (const answer of [...making.answers].reverse()) {
    const mask = maskOf(answer);
    if (mask) return mask;
  }
  return null;
}

/** The candidates to choose from: the three of a single click, else none. */
export const candidatesOf = (making) => {
  const masks = lastAnswer(making)?.masks ?? [];
  return masks.length > 1 ? masks : [];
};

/** One more point: label 1 foreground, 0 background. */
export const addPoint = (making, x, y, label) => place(making, making.elements.length, { x, y, label });

/** The object's box, drawn or drawn anew; points stay. */
export function setBox(making, box) {
  const at = making.elements.findIndex((element) => 'box' in element);
  return place(making, at < 0 ? making.elements.length : at, { box });
}

/** Point number `point` of `pointsOf` elsewhere. */
export function movePoint(making, point, x, y) {
  const { element, label } = pointsOf(making)[point];
  return place(making, element, { x, y, label });
}

/** Without point number `point` of `pointsOf`. */
export const deletePoint = (making, point) => without(making, pointsOf(making)[point].element);

/** Without the box. */
export const clearBox = (making) =>
  without(
    making,
    making.elements.findIndex((element) => 'box' in element),
  );

/** Without the newest element. */
export const dropLast = (making) => without(making, making.elements.length - 1);

/** Candidate number `picked` instead of the best; later clicks refine it. */
export function pick(making, picked) {
  const answer = { ...lastAnswer(making), picked };
  return { ...making, answers: [...making.answers.slice(0, -1), answer] };
}

/** With another cleanup: the newest question is asked again. */
export function setClean(making, clean) {
  if (!making.elements.length) return { ...making, clean };
  const { picked } = lastAnswer(making);
  const asked = ask({ ...making, clean }, making.answers.slice(0, -1));
  lastAnswer(asked).picked = picked;
  return asked;
}

/** One stroke more, over whatever the answers say. */
export const addStroke = (making, stroke) => ({ ...making, strokes: [...making.strokes, stroke] });

/** A stroke that is a finished object: all its pixels are added, or taken away. */
export const wholeStroke = (op, { making, final }) => ({ op, kind: 'object', making, final });

/** Seen through another window (null: the whole image): one question with all elements, and no earlier logits. */
export const setSource = (making, source) =>
  making.elements.length ? ask({ ...making, source }, []) : { ...making, source };

/** What an edit with this element at the pointer would ask, without being made: for previews. */
export const pending = (making, x, y, label) => questionOf(lastAnswer(addPoint(making, x, y, label)));

/** Points, labels and box of a question, as the API takes them. */
export const promptOf = (question) => ({ points: question.points, labels: question.labels, box: question.box });

const questionOf = (answer) => answer.question;

function place(making, at, element) {
  const elements = [...making.elements];
  elements[at] = element;
  return ask({ ...making, elements }, making.answers.slice(0, at));
}

function without(making, at) {
  const elements = making.elements.filter((_, place) => place !== at);
  return ask({ ...making, elements }, making.answers.slice(0, at));
}

/** The making with a new answer to come, to the question that its elements and the kept answers make. */
function ask(making, kept) {
  const { elements, source, clean } = making;
  if (!elements.length) return { ...making, answers: [] };
  const points = pointsOf(making);
  const question = {
    points: points.map(({ x, y }) => [x, y]),
    labels: points.map(({ label }) => label),
    box: boxOf(making),
    previous: kept.at(-1) ?? null,
    source,
    clean,
  };
  const stale = Array(Math.max(0, elements.length - 1 - kept.length)).fill(null);
  const before = [...kept, ...stale].slice(0, elements.length - 1);
  return { ...making, answers: [...before, { question, masks: null, picked: 0, error: null }] };
}
