/**
 * The help's table of keys, in which they can be changed: a click on a key, and the next one pressed takes its place.
 */

import { el } from './dom.js';
import { chordOf } from './keys.js';
import { nameOf } from './key_names.js';

const STATES = { always: 'At any time', editing: 'While an object is in the making', idle: 'While none is' };
const LONE = ['Shift', 'Control', 'Meta', 'Alt', 'AltGraph', 'CapsLock', 'Fn'];
const SILENT = ['Dead', 'Unidentified', 'Process'];

export class KeyTable {
  /** keyMap: the user's keys. */
  constructor(keyMap) {
    this.keyMap = keyMap;
    this.said = el('tr', {}, el('td', { colspan: 2, class: 'cm-said', role: 'alert' }));
    this.element = el('div', { class: 'cm-keys' });
    this.#draw();
  }

  #draw() {
    const { keyMap } = this;
    const hint = el('p', { class: 'cm-small' }, 'To change a key, click it and press another one.');
    const all = el(
      'button',
      { type: 'button', 'data-reset': 'all', disabled: !keyMap.isAnyChanged, onclick: () => this.#resetAll() },
      'Reset all keys',
    );
    this.element.replaceChildren(
      el('div', { class: 'cm-keys-head' }, hint, all),
      ...Object.keys(STATES).flatMap((state) => this.#state(state)),
    );
  }

  #state(state) {
    const rows = this.keyMap.table.filter(([, , when]) => when === state);
    const lines = new Map(); // commands with the same words are one line
    for (const row of rows) lines.set(row[3], [...(lines.get(row[3]) ?? []), row]);
    return [el('h4', {}, STATES[state]), el('table', {}, ...[...lines].map(([words, of]) => this.#line(words, of)))];
  }

  #line(words, rows) {
    const cell = el('td', {}, ...rows.flatMap((row) => this.#keys(row)));
    return el('tr', {}, el('th', { scope: 'row' }, words), cell);
  }

  #keys([command, chords, , words]) {
    const keys = (chords.length ? chords : [null]).map((chord) => this.#key(command, chord, words));
    if (!this.keyMap.isChanged(command)) return keys;
    const title = `Reset “${words}”`;
    const reset = el(
      'button',
      {
        type: 'button',
        class: 'cm-reset',
        'data-reset': command,
        title,
        'aria-label': title,
        onclick: () => this.#reset(command),
      },
      '↺',
    );
    return [...keys, reset];
  }

  #key(command, chord, words) {
    const name = chord === null ? 'none' : nameOf(chord);
    const values = { type: 'button', class: 'cm-key', 'data-of': command, 'aria-label': `${words}: ${name}. Change` };
    const key = el('button', { ...values, onclick: () => this.#listen(key, command, chord) }, name);
    return key;
  }

  /** Wait for the key to be pressed; Escape, or going elsewhere, leaves it as it was. */
  #listen(key, command, old) {
    const listening = new AbortController();
    const { signal } = listening;
    const name = key.textContent;
    const stop = () => {
      listening.abort();
      key.classList.remove('is-listening');
      key.textContent = name;
    };
    key.classList.add('is-listening');
    key.textContent = 'Press a key…';
    this.#say(key, '');
    key.addEventListener('blur', stop, { signal });
    key.addEventListener('click', stop, { signal });
    key.addEventListener('keydown', (event) => this.#pressed(event, { key, command, old, stop }), { signal });
    key.addEventListener('keyup', (event) => event.preventDefault(), { signal }); // Space would click
  }

  #pressed(event, { key, command, old, stop }) {
    if (LONE.includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === 'Escape') {
      stop();
      return;
    }
    const refusal = unfit(event) ?? this.keyMap.change(command, old, chordOf(event));
    if (refusal) this.#say(key, `${refusal} Press another one, or Esc.`);
    else this.#redraw(`[data-of="${command}"]`);
  }

  #reset(command) {
    const refusal = this.keyMap.reset(command);
    if (refusal) this.#say(this.element.querySelector(`[data-reset="${command}"]`), refusal);
    else this.#redraw(`[data-of="${command}"]`);
  }

  #resetAll() {
    this.keyMap.resetAll();
    this.#redraw('.cm-key');
  }

  #redraw(focused) {
    this.#draw();
    this.element.querySelector(focused).focus();
  }

  /** Say it below the key's line. */
  #say(key, sentence) {
    key.closest('tr').after(this.said);
    this.said.hidden = sentence === '';
    this.said.firstChild.textContent = sentence;
  }
}

function unfit(event) {
  if (event.altKey) return 'Alt belongs to the window manager.';
  return SILENT.includes(event.key) ? 'This key gives no character by itself.' : null;
}
