/** The help: gestures and keys, as they are now. */

import { el } from './dom.js';
import { forPlatform } from './key_names.js';
import { KeyTable } from './key_table.js';

const GESTURES = [
  ['Move', 'see what a click would take'],
  ['Click', 'begin an object, or add to it'],
  ['Right click, or Shift and click', 'take away from it'],
  ['Drag', 'draw a box around it'],
  ['Click on a point', 'delete the point; drag it to move it'],
  ['Ctrl and click', 'place several points, asked about together'],
  ['Click with the Everything tool', 'keep what is under the pointer, or keep it no longer'],
  ['Drag with it, or Shift and drag', 'keep all that lies inside'],
  ['Wheel, or pinch', 'zoom where the pointer is'],
  ['Middle button, or Space and drag', 'move the photo'],
  ['Space', 'click where the arrow keys have moved the cursor; with Shift, take away'],
  ['Shift or Ctrl and click with the Select tool', 'select several objects'],
  ['Right click with the Select tool', 'the menu of an object; its own key does the same for those selected'],
  ['Tap and long press', 'on a touch screen: add, and take away'],
  ['Two fingers', 'move and zoom the photo'],
];

/** Show it, over everything, until it is closed. */
export function showHelp(app, keyMap) {
  const rows = (pairs) =>
    pairs.map(([left, right]) => el('tr', {}, el('th', { scope: 'row' }, left), el('td', {}, right)));
  const dialog = el(
    'dialog',
    { class: 'cm-help', 'aria-labelledby': 'cm-help-title' },
    el(
      'form',
      { method: 'dialog', class: 'cm-help-head' },
      el('h2', { id: 'cm-help-title' }, 'Gestures and keys'),
      el('button', { class: 'cm-close', 'aria-label': 'Close' }, '×'),
    ),
    el(
      'div',
      { class: 'cm-help-body' },
      el('h3', {}, 'With the pointer, or by touch'),
      el('table', {}, ...rows(GESTURES.map(([gesture, words]) => [forPlatform(gesture), words]))),
      el('h3', {}, 'With keys, while the photo has the focus'),
      new KeyTable(keyMap).element,
    ),
  );
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  app.append(dialog);
  dialog.showModal();
}
