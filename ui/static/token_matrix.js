/** Which token looks at which: a matrix with the tokens' names on both axes. */

import { el, setText } from './dom.js';
import { rampAt } from './heat.js';
import { css } from './palette.js';

const MOST_NUMBERS = 10; // tokens up to which each cell shows its number
const MOST = 40; // tokens that are shown
const LIGHT = 0.179; // relative luminance from which on black letters are read better than white ones (WCAG 2)

export class TokenMatrix {
  #drawn = null; // [seen, layer, head]

  /** tab: the AttentionTab. */
  constructor(tab) {
    this.tab = tab;
    this.title = el('h3');
    this.table = el('table', { class: 'cm-matrix' });
    this.note = el('p', { class: 'cm-dim' });
    const scroll = { class: 'cm-scroll', tabindex: '0', role: 'region', 'aria-label': 'Token matrix' };
    this.element = el('section', { class: 'cm-tokens' }, this.title, el('div', scroll, this.table), this.note);
  }

  /** Bring it up to date. */
  draw() {
    const { seen, choice } = this.tab;
    const layer = Math.min(choice.layer, 1); // the last look is at the image alone
    const head = choice.kind === 'patch' ? null : choice.head;
    this.element.hidden = !seen;
    const drawn = [seen, layer, head];
    if (!seen || drawn.every((part, n) => part === this.#drawn?.[n])) return;
    this.#drawn = drawn;
    const who = head === null ? 'the mean of all heads' : `head ${head + 1}`;
    setText(this.title, `Tokens among themselves, layer ${layer + 1}, ${who}`);
    const count = Math.min(seen.tokens.length, MOST);
    this.table.replaceChildren(...rowsOf(seen, seen.matrix(layer, head), count));
    setText(
      this.note,
      count < seen.tokens.length
        ? `The first ${MOST} of ${seen.tokens.length}: the file of arrays has all.`
        : 'Each row shares 1 among the tokens that it looks at.',
    );
  }
}

function rowsOf({ tokens }, { values }, count) {
  const most = Math.max(...values);
  const names = tokens.slice(0, count);
  const head = el('tr', {}, el('td'), ...names.map((name) => el('th', { scope: 'col' }, el('span', {}, name))));
  const rows = names.map((name, row) => {
    const cells = names.map((other, column) => cell(values[row * tokens.length + column], most, name, other, count));
    return el('tr', {}, el('th', { scope: 'row' }, name), ...cells);
  });
  return [el('thead', {}, head), el('tbody', {}, ...rows)];
}

function cell(value, most, name, other, count) {
  const share = value / most;
  const number = `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)}`;
  const made = el('td', { title: `${name} looks at ${other}: ${number} %` }, count <= MOST_NUMBERS ? number : '');
  const colour = rampAt(share);
  const letters = luminance(colour) > LIGHT ? '#000' : '#fff';
  Object.assign(made.style, { background: css(colour), color: letters });
  return made;
}

/** Relative luminance of [r, g, b], as WCAG 2 defines it. */
function luminance(colour) {
  const [red, green, blue] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
