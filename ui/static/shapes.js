/**
 * What plain values must look like: a check is a function of a value and of its place, which throws DocumentError.
 * Values that share parts are gone through once.
 */

import { expected, LONGEST_LABEL } from './fields.js';

const check = (what, isRight) => (value, field) => {
  if (!isRight(value)) throw expected(what, value, field);
};

export const flag = check('true or false', (value) => typeof value === 'boolean');
export const text = check('a text', (value) => typeof value === 'string');
export const label = check(
  `a text of at most ${LONGEST_LABEL} characters`,
  (value) => typeof value === 'string' && [...value].length <= LONGEST_LABEL,
);
export const real = check('a number', Number.isFinite);
export const count = check('a whole number from 0 up', (value) => Number.isSafeInteger(value) && value >= 0);

/** One of these values. */
export const oneOf = (...values) => check(`one of ${values.join(', ')}`, (value) => values.includes(value));

/** So many numbers. */
export const numbers = (length) =>
  check(
    `${length} numbers`,
    (value) => Array.isArray(value) && value.length === length && value.every(Number.isFinite),
  );

/** The same, or null. */
export const maybe = (inner) => (value, field) => value === null || inner(value, field);

/** A list of such values. */
export const list = (inner) =>
  once((value, field) => {
    if (!Array.isArray(value)) throw expected('a list', value, field);
    value.forEach((item, n) => inner(item, `${field}[${n}]`));
  });

/**
 * An object with these fields. more(value, field): what else must hold, once they do.
 * @param {() => Record<string, (value: unknown, field: string) => void>} fields a function, so that shapes may name
 * each other
 */
export const object = (fields, more = () => {}) =>
  once((value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw expected('an object', value, field);
    for (const [name, inner] of Object.entries(fields())) inner(value[name], `${field}.${name}`);
    more(value, field);
  });

/** Those that have that field are checked as the first, others as the second. */
export const having = (name, first, second) => (value, field) =>
  (typeof value === 'object' && value !== null && name in value ? first : second)(value, field);

function once(inner) {
  const seen = new WeakSet();
  return (value, field) => {
    if (seen.has(value)) return;
    inner(value, field);
    if (typeof value === 'object' && value !== null) seen.add(value);
  };
}
