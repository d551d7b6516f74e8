/** Keys that are not the page's to give away, and why. */

import { nameOf } from './key_names.js';

const TAKEN = {
  tab: 'Tab goes from part to part of the page, for all who work without a mouse.',
  ' ': 'Space clicks where the arrow keys are, and moves the photo while it is held.',
  escape: 'Esc leaves things as they are; it can be no other command.',
};
const FUNCTION_KEYS = ['f1', 'f3', 'f5', 'f6', 'f7', 'f10', 'f11', 'f12'];
const WITH_CTRL = [...'dfhjklnopqrtuvw123456789+-=', 'tab', 'f4', 'f5', 'pageup', 'pagedown'];
const WITH_CTRL_AND_SHIFT = [...'bcijnoprtw', 'delete', 'tab'];
const BROWSERS = new Set([
  ...FUNCTION_KEYS,
  ...WITH_CTRL.map((key) => `ctrl+${key}`),
  ...WITH_CTRL_AND_SHIFT.map((key) => `ctrl+shift+${key}`),
  'ctrl+m', // a Mac's windows
]);

/** Why no command may have this chord: a sentence, or null when one may. */
export function reservedFor(chord) {
  if (BROWSERS.has(chord)) return `${nameOf(chord)} belongs to the browser.`;
  return TAKEN[chord.replace(/^shift\+/, '')] ?? null;
}
