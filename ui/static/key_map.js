/** The table of keys as the user has it: with the keys they changed, and what may be changed. */

import { meet, TABLE } from './keys.js';
import { nameOf } from './key_names.js';
import { reservedFor } from './reserved_keys.js';

export class KeyMap {
  #made = { table: TABLE, own: null };

  /** settings: its `keys` holds {command: [chord, ...]} of those that were changed. */
  constructor(settings) {
    this.settings = settings;
  }

  /** As TABLE. */
  get table() {
    const own = this.settings.keys;
    if (own !== this.#made.own)
      this.#made = {
        own,
        table: TABLE.map(([command, chords, ...rest]) => [command, own[command] ?? chords, ...rest]),
      };
    return this.#made.table;
  }

  /** What a command's first key is called, or ''. */
  nameFor(command) {
    const [chord] = this.table.find(([name]) => name === command)?.[1] ?? [];
    return chord ? nameOf(chord) : '';
  }

  isChanged(command) {
    return command in this.settings.keys;
  }

  get isAnyChanged() {
    return Object.keys(this.settings.keys).length > 0;
  }

  /** Give a command another key in the place of `old`, or one more where that is null. Why it cannot be, or null. */
  change(command, old, chord) {
    const [, chords] = this.#row(command);
    const changed = old === null ? [...chords, chord] : chords.map((one) => (one === old ? chord : one));
    return reservedFor(chord) ?? this.#set(command, [...new Set(changed)]);
  }

  /** A command's own keys again. Why it cannot be, or null. */
  reset(command) {
    const [, chords] = TABLE.find(([name]) => name === command);
    return this.#set(command, chords);
  }

  /** All keys as they were at first. */
  resetAll() {
    this.settings.set({ keys: {} });
  }

  #row(command) {
    return this.table.find(([name]) => name === command);
  }

  #set(command, chords) {
    const rival = this.#rival(command, chords);
    if (rival) return rival;
    const others = Object.entries(this.settings.keys).filter(([name]) => name !== command);
    const isDefault = String(TABLE.find(([name]) => name === command)[1]) === String(chords);
    this.settings.set({ keys: Object.fromEntries(isDefault ? others : [...others, [command, chords]]) });
    return null;
  }

  /** Who has one of these chords in the same state, as a sentence; or null. */
  #rival(command, chords) {
    const [, , state] = this.#row(command);
    for (const [other, theirs, when, words] of this.table) {
      const shared = other !== command && meet(when, state) && theirs.find((chord) => chords.includes(chord));
      if (shared) return `${nameOf(shared)} is taken by “${words}”.`;
    }
    return null;
  }
}
