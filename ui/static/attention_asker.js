/** Asks what was looked at: the newest prompt wins, and of patches one question is under way, the newest after it. */

import { arrayOf } from './arrays.js';
import { toMask } from './asking.js';
import { PatchSeen, placeOf, Seen } from './seen.js';

const SMALLEST = 8; // pixels of the model frame to a place of the finest grid
const MOST_KEPT = 500; // patches

/** A prompt {points, labels, box, previous} as the API takes it. */
export const requestOf = ({ points, labels, box, previous }) => ({
  points,
  labels,
  ...(box && { box }),
  ...(previous && { previous }),
});

export class AttentionAsker {
  #leaving = null; // AbortController of the question about a prompt
  #leavingPatch = null; // of the one about a patch
  #leavingRollout = null; // of the one about all blocks together
  #patches = new Map(); // place -> PatchSeen
  #wanted = null; // the newest patch not asked about yet

  /** on: {onSeen(Seen, Mask), onPatch(PatchSeen), onBusy(), onError(error), onLost(): the earlier mask is gone,
   * onRollout(PatchSeen)}. */
  constructor(on) {
    this.on = on;
  }

  /** Whether an answer is awaited. */
  get isBusy() {
    return this.isBusyWith('patch') || this.isBusyWith('looks');
  }

  /** Whether one is awaited that this kind of choice shows. */
  isBusyWith(kind) {
    return (kind === 'patch' ? (this.#leavingPatch ?? this.#leavingRollout) : this.#leaving) !== null;
  }

  /** About a prompt {points, labels, box, previous, index}: what its tokens looked at, and its mask. */
  async ask(doc, source, prompt) {
    this.#leaving?.abort();
    this.#leaving = null;
    if (!prompt.points.length && !prompt.box) return;
    const leaving = new AbortController();
    this.#leaving = leaving;
    this.on.onBusy();
    const tell = await this.#outcome(doc, source, prompt, leaving.signal);
    if (this.#leaving !== leaving) return;
    this.#leaving = null;
    tell();
  }

  /** What is to be told of a question: a function. */
  async #outcome({ remote }, source, prompt, signal) {
    try {
      const [seen, mask] = await remote.retelling(source, (id) => askBoth(remote.api, id, prompt, signal), signal);
      return () => this.on.onSeen(seen, mask);
    } catch (error) {
      const isLost = prompt.previous && error.code === 'mask_gone';
      return () => (isLost ? this.on.onLost() : this.on.onError(error));
    }
  }

  /** About the patch at a point. */
  askPatch(doc, source, point) {
    const frame = this.#patches.values().next().value?.frame;
    const kept = frame && this.#patches.get(String(placeOf(frame, point, SMALLEST)));
    this.#wanted = kept ? null : { doc, source, point };
    if (kept) this.on.onPatch(kept);
    else this.#next();
  }

  /** About all blocks together, of a patch that is kept: it takes seconds, so one at a time, the newest. */
  async rollOut(doc, source, patch) {
    this.#leavingRollout?.abort();
    const leaving = new AbortController();
    this.#leavingRollout = leaving;
    this.on.onBusy();
    try {
      const { remote } = doc;
      const request = { patch: patch.asked, rollout: true, arrays: [] };
      const call = (id) => remote.api.attention(id, request, leaving.signal);
      const { arrays, dtype } = await remote.retelling(source, call, leaving.signal);
      patch.rollout = arrayOf(arrays.rollout, dtype).values;
    } catch (error) {
      if (this.#leavingRollout === leaving) this.on.onError(error);
    }
    if (this.#leavingRollout !== leaving) return;
    this.#leavingRollout = null;
    this.on.onRollout(patch);
  }

  /** Another image, or none, is looked at from here on: what was asked before does not count. */
  forget() {
    this.#leaving?.abort();
    this.#leavingPatch?.abort();
    this.#leavingRollout?.abort();
    this.#leaving = null;
    this.#leavingPatch = null;
    this.#leavingRollout = null;
    this.#wanted = null;
    this.#patches.clear();
  }

  async #next() {
    if (this.#leavingPatch || !this.#wanted) return;
    const { doc, source, point } = this.#wanted;
    const leaving = new AbortController();
    this.#wanted = null;
    this.#leavingPatch = leaving;
    this.on.onBusy();
    try {
      const { remote } = doc;
      const call = (id) => remote.api.attention(id, { patch: point }, leaving.signal);
      const patch = new PatchSeen(await remote.retelling(source, call, leaving.signal), point);
      if (this.#leavingPatch === leaving) this.#take(patch);
    } catch (error) {
      if (this.#leavingPatch === leaving) this.on.onError(error);
    }
    if (this.#leavingPatch !== leaving) return;
    this.#leavingPatch = null;
    this.on.onBusy();
    this.#next();
  }

  #take(patch) {
    if (this.#patches.size >= MOST_KEPT) this.#patches.delete(this.#patches.keys().next().value);
    this.#patches.set(String(placeOf(patch.frame, patch.asked, SMALLEST)), patch);
    this.on.onPatch(patch);
  }
}

/** The attention, and the mask that the click gives: of several candidates the one that was picked, or the best. */
async function askBoth(api, id, prompt, signal) {
  const request = requestOf(prompt);
  const [answer, masks] = await Promise.all([
    api.attention(id, request, signal),
    api.masks(id, { objects: [request], scale: 'model' }, signal),
  ]);
  const results = masks.objects[0];
  const picked = results.length > 1 ? results.find(({ index }) => index === prompt.index) : null;
  const chosen = picked ? `mask ${1 + picked.index}` : answer.chosen;
  return [new Seen({ ...answer, chosen }), toMask(picked ?? results[0], masks.raster, 'model')];
}
