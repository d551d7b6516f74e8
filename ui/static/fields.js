/** Fields of documents from elsewhere, checked one by one, as `service/formats/fields.py` does. */

export const LONGEST_LABEL = 200; // characters, as the page's own fields and the API have it

/** A document is none of its kind; `message` names the field and what is wrong with it. */
export class DocumentError extends Error {
  constructor(message) {
    super(message);
    this.name = 'DocumentError';
  }
}

/** An object. */
export function mapping(value, field) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw expected('an object', value, field);
  return value;
}

/** A list. */
export function sequence(value, field) {
  if (!Array.isArray(value)) throw expected('a list', value, field);
  return value;
}

/** A whole number from `least` up. */
export function whole(value, field, least = 0) {
  if (!Number.isSafeInteger(value) || value < least) throw expected(`a whole number from ${least} up`, value, field);
  return value;
}

/** A number or null; what is absent is null. */
export function real(value, field) {
  if (value === undefined || value === null) return null;
  if (!Number.isFinite(value)) throw expected('a number or null', value, field);
  return value;
}

/** A string or null; what is absent is null. */
export function text(value, field) {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw expected('a string or null', value, field);
  return value;
}

export const expected = (what, value, field) => new DocumentError(`${field}: expected ${what}, got ${shown(value)}`);

function shown(value) {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 40);
}
