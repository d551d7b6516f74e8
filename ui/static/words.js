/** What the page says: the status line, and toasts that go away by themselves. */

import { el, setText } from './dom.js';

const STAY = 6000; // ms, for a toast without a button
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g; // characters that turn the writing's direction, of what follows too
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufefc]/;

/** A name as it may stand in a sentence: it cannot turn the words around it, nor look like another. */
export function named(name) {
  const plain = name.replace(TURNS, '');
  return RIGHT_TO_LEFT.test(plain) ? `\u2068${plain}\u2069` : plain;
}

export class Toasts {
  #shown = new Map(); // key -> toast

  constructor(element) {
    this.element = element;
  }

  /**
   * Say a sentence. kind: 'info' or 'error'. action: {name, run}: a button on it; actions: several. key: a newer toast
   * of this key takes the older one's place. stays: until `drop(key)`.
   */
  say(
    sentence,
    { kind = 'info', action = null, actions = action ? [action] : [], key = sentence, stays = false } = {},
  ) {
    this.drop(key);
    const close = el(
      'button',
      { type: 'button', class: 'cm-close', 'aria-label': 'Close', onclick: () => this.drop(key) },
      '×',
    );
    const buttons = actions.map(({ name, run }) =>
      el('button', { type: 'button', onclick: () => (this.drop(key), run()) }, name),
    );
    const toast = el('div', { class: `cm-toast is-${kind}`, role: kind === 'error' ? 'alert' : 'status' }, sentence);
    toast.append(...buttons, close);
    this.element.append(toast);
    this.#shown.set(key, toast);
    if (!stays) setTimeout(() => this.#shown.get(key) === toast && this.drop(key), actions.length ? 2 * STAY : STAY);
  }

  error(sentence, options = {}) {
    this.say(sentence, { ...options, kind: 'error' });
  }

  /** Take all of them away. */
  clear() {
    for (const key of this.#shown.keys()) this.drop(key);
  }

  drop(key) {
    this.#shown.get(key)?.remove();
    this.#shown.delete(key);
  }
}

export class Status {
  #parts = new Map();

  /** element: the line. Parts are shown in the order in which they were first set. */
  constructor(element) {
    this.element = element;
  }

  /** One part of the line; an empty text takes it away. */
  set(name, text) {
    if (!this.#parts.has(name)) this.#parts.set(name, this.element.appendChild(el('span', { 'data-part': name })));
    const part = this.#parts.get(name);
    setText(part, text);
    part.hidden = text === '';
  }
}
