/**
 * YOLO's classes: what the numbers in its files mean, the same in all photos of an export. As `service/formats/yolo.py`
 * has it.
 */

import { byCodePoints } from './coco.js';

const UNLABELLED = 'object';
const BLANK = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/; // to Python
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

/** The labels of objects, each once, by code points; one without a label is an "object". */
export function classesOf(objects) {
  const names = objects.map(({ label }) => (BLANK.test(label ?? '') ? UNLABELLED : label));
  return [...new Set(names)].sort(byCodePoints);
}

/** The `data.yaml` of a data set that lies beside it: where its images are, and the names of its classes. */
export function dataYaml(classes) {
  const names = classes.map((name, number) => `  ${number}: ${quoted(name)}`);
  const lines = ['train: "images/train"', 'val: "images/val"', names.length ? 'names:' : 'names: {}', ...names];
  return `${lines.join('\n')}\n`;
}

const quoted = (text) => `"${Array.from(text, escaped).join('')}"`;

function escaped(letter) {
  if (letter === '"' || letter === '\\') return `\\${letter}`;
  if (letter === ' ' || !UNPRINTABLE.test(letter)) return letter;
  return `\\U${letter.codePointAt(0).toString(16).padStart(8, '0')}`;
}
