/** The help: gestures and keys, as they are now. */

import { el } from './dom.js';
import { IS_MAC, TABLE } from './keys.js';

const GESTURES = [
  ['Move', 'see what a click would take'],
  ['Click', 'begin an object, or add to it'],
  ['Right click, or Shift and click', 'take away from it'],
  ['Drag', 'draw a box around it'],
  ['Click on a point', 'delete the point; drag it to move it'],
  ['Ctrl and click', 'place several points, asked about together'],
  ['Wheel, or pinch', 'zoom where the pointer is'],
  ['Middle button, or Space and drag', 'move the photo'],
  ['Space', 'click where the arrow keys have moved the cursor; with Shift, take away'],
  ['Tap and long press', 'on a touch screen: add, and take away'],
];
const NAMES = { ' ': 'Space', arrowleft: '←', arrowright: '→', arrowup: '↑', arrowdown: '↓' };

/** Show it, over everything, until it is closed. */
export function showHelp(app) {
  const rows = (pairs) => pairs.map(([left, right]) => el('tr', {}, el('th', { scope: 'row' }, left), el('td', {}, right)));
  const keys = merged(TABLE).map(([words, chords]) => [chords.map(nameOf).join(' or '), words]);
  const dialog = el(
    'dialog',
    { class: 'cm-help', 'aria-label': 'Gestures and keys' },
    el('form', { method: 'dialog' }, el('button', { class: 'cm-close', 'aria-label': 'Close' }, '×')),
    el('h2', {}, 'With the pointer'),
    el('table', {}, ...rows(GESTURES.map(([gesture, words]) => [forPlatform(gesture), words]))),
    el('h2', {}, 'With keys, while the photo has the focus'),
    el('table', {}, ...rows(keys)),
  );
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  app.append(dialog);
  dialog.showModal();
}

/** Commands with the same words are one line. */
function merged(table) {
  const lines = new Map();
  for (const [, chords, , words] of table) lines.set(words, [...(lines.get(words) ?? []), ...chords]);
  return [...lines].filter(([words]) => !/^Label [2-8]$/.test(words));
}

const forPlatform = (text) => (IS_MAC ? text.replace('Ctrl', 'Cmd') : text);

function nameOf(chord) {
  const parts = chord.split(/\+(?=.)/);
  const named = parts.map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part[0].toUpperCase() + part.slice(1)));
  return forPlatform(named.join('+'));
}
