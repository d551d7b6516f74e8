/** Work from elsewhere put on top of a photo's own, as one State (session.js). */

import { commit } from './session.js';

/**
 * incoming: a State, whose objects may lack colours; they get ids of their own here. What is in the making there goes
 * on here when nothing is in the making yet, and is finished otherwise. begin(making): its mask then, a Final.
 */
export function join(state, incoming, begin) {
  const opened = state.current && incoming.current ? commit(incoming, '', begin(incoming.current.making)) : incoming;
  const shift = state.next - 1;
  return {
    objects: [...state.objects, ...opened.objects.map((thing) => moved(thing, shift))],
    current: state.current ?? (opened.current && movedCurrent(opened.current, shift)),
    next: opened.next + shift,
  };
}

function moved(thing, shift) {
  const id = thing.id + shift;
  if (shift === 0 && thing.colour !== null) return thing;
  return { ...thing, id, colour: thing.colour ?? id };
}

function movedCurrent(current, shift) {
  if (shift === 0) return current;
  return { ...current, id: current.id + shift, of: current.of && moved(current.of, shift) };
}
