/** Chords as people write them, on their platform. */

import { IS_MAC } from './keys.js';

const NAMES = {
  arrowleft: '←',
  arrowright: '→',
  arrowup: '↑',
  arrowdown: '↓',
  contextmenu: 'Menu',
  delete: 'Del',
  escape: 'Esc',
  pagedown: 'Page Down',
  pageup: 'Page Up',
  ' ': 'Space',
};

/** 'ctrl+shift+z' -> 'Ctrl+Shift+Z', or 'Cmd+Shift+Z' on a Mac. */
export function nameOf(chord, isMac = IS_MAC) {
  const parts = chord.split(/\+(?=.)/);
  return forPlatform(parts.map((part) => NAMES[part] ?? capital(part)).join('+'), isMac);
}

/** The text with the Mac's name for Ctrl, on a Mac. */
export const forPlatform = (text, isMac = IS_MAC) => (isMac ? text.replace('Ctrl', 'Cmd') : text);

const capital = (word) => word[0].toUpperCase() + word.slice(1);
