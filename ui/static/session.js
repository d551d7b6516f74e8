/**
 * One image's work: every command gives a new state, and the states are kept, so that undo and redo only move a cursor.
 *
 *     State   {objects: [Thing], current: Current | null, next}      objects from the lowest to the topmost
 *     Thing   {id, label, colour, locked, making, final: Final}
 *     Current {id, making, of}                                       of: the Thing it was opened from, or null
 *     Final   {mask: Mask, isReady}                                replaced later, once, by the mask at full resolution
 *
 * States share whatever did not change, in memory and (by structured clone) in the browser's store.
 */

import * as chain from './chain.js';

const START = Object.freeze({ objects: [], current: null, next: 1 });

export class Session {
  /** saved: what `toStore` gave, or null. onChange(session): after every command, undo and redo. */
  constructor(saved = null, onChange = () => {}) {
    this.entries = saved?.entries ?? [{ name: '', state: START }];
    this.at = saved?.at ?? 0;
    this.onChange = onChange;
  }

  get state() {
    return this.entries[this.at].state;
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at < this.entries.length - 1;
  }

  /** Take a command: `name` is what undo calls it; what was undone before is gone now. */
  run(name, state) {
    if (state === this.state) return;
    this.entries = [...this.entries.slice(0, this.at + 1), { name, state }];
    this.at += 1;
    this.onChange(this);
  }

  /** One command back; its name, or null at the beginning. */
  undo() {
    return this.canUndo ? this.#go(this.at - 1, this.entries[this.at].name) : null;
  }

  /** One command forward again; its name, or null at the end. */
  redo() {
    return this.canRedo ? this.#go(this.at + 1, this.entries[this.at + 1].name) : null;
  }

  /** What the store keeps: plain values. */
  toStore() {
    return { entries: this.entries, at: this.at };
  }

  #go(at, name) {
    this.at = at;
    this.onChange(this);
    return name;
  }
}

/** The object with this id, or undefined. */
export const find = (state, id) => state.objects.find((thing) => thing.id === id);

/** Begin an object, seen through `source`. */
export function begin(state, source = null) {
  const making = { ...chain.EMPTY, source };
  return { ...state, current: { id: state.next, making, of: null }, next: state.next + 1 };
}

/** The object in the making, changed; one that is empty again is none. */
export function change(state, making) {
  const { current } = state;
  if (chain.isEmpty(making) && current.of === null) return { ...state, current: null };
  return { ...state, current: { ...current, making } };
}

/** Finish the object in the making: it joins the objects, or takes the place it had. */
export function commit(state, label, final) {
  const { current } = state;
  if (chain.isEmpty(current.making)) return { ...state, current: null };
  const before = current.of;
  const thing = {
    id: current.id,
    label: before?.label ?? label,
    colour: before?.colour ?? current.id,
    locked: before?.locked ?? false,
    making: current.making,
    final,
  };
  const objects = before ? replace(state.objects, thing) : [...state.objects, thing];
  return { ...state, objects, current: null };
}

/** Give the object in the making up; one that was opened again stays as it was. */
export const cancel = (state) => ({ ...state, current: null });

/** Open an object again, with its prompts. */
export function reopen(state, id) {
  const of = find(state, id);
  return { ...state, current: { id, making: of.making, of } };
}

/** An object with other values: label, colour, locked. */
export const update = (state, id, values) => ({
  ...state,
  objects: replace(state.objects, { ...find(state, id), ...values }),
});

/** Without these objects. */
export const remove = (state, ids) => ({ ...state, objects: state.objects.filter((thing) => !ids.includes(thing.id)) });

/** The object at another place in the order, 0 the lowest. */
export function reorder(state, id, place) {
  const others = state.objects.filter((thing) => thing.id !== id);
  others.splice(place, 0, find(state, id));
  return { ...state, objects: others };
}

/** One object in place of several: with the pixels of all, and the label of the first. */
export function merge(state, ids, final) {
  const parts = state.objects.filter((thing) => ids.includes(thing.id));
  const [first] = parts;
  const strokes = parts.map((part) => chain.wholeStroke('add', part));
  const thing = { ...first, id: state.next, making: { ...chain.EMPTY, strokes }, final };
  const objects = state.objects.filter((other) => other === first || !ids.includes(other.id));
  return { ...state, objects: objects.map((other) => (other === first ? thing : other)), next: state.next + 1 };
}

/** A second object with the same pixels. */
export function duplicate(state, id) {
  const thing = { ...find(state, id), id: state.next, colour: state.next };
  return { ...state, objects: [...state.objects, thing], next: state.next + 1 };
}

const replace = (objects, thing) => objects.map((other) => (other.id === thing.id ? thing : other));
