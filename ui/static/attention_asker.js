/** Asks what was looked at: the newest prompt wins, and of patches one question is under way, the newest after it. */

import { toMask } from './asking.js';
import { PatchSeen, placeOf, Seen } from './seen.js';

const SMALLEST = 8; // pixels of the model frame to a place of the finest grid
const MOST_KEPT = 500; // patches

export class AttentionAsker {
  #leaving = null; // AbortController of the question about a prompt
  #patches = new Map(); // place -> PatchSeen
  #wanted = null; // the newest patch not asked about yet
  #isAsking = false;
  #epoch = 0;

  /** on: {onSeen(Seen, Mask | null), onPatch(PatchSeen), onBusy(), onError(error)}. */
  constructor(on) {
    this.on = on;
  }

  /** Whether an answer is awaited. */
  get isBusy() {
    return this.#leaving !== null || this.#isAsking;
  }

  /** About a prompt {points, labels, box}: what its tokens looked at, and its mask. */
  async ask(doc, source, prompt) {
    this.#leaving?.abort();
    this.#leaving = null;
    if (!prompt.points.length && !prompt.box) return;
    const leaving = new AbortController();
    this.#leaving = leaving;
    this.on.onBusy();
    try {
      const { remote } = doc;
      const call = (id) => askBoth(remote.api, id, prompt, leaving.signal);
      const [answer, mask] = await remote.retelling(source, call, leaving.signal);
      if (this.#leaving !== leaving) return;
      this.#leaving = null;
      this.on.onSeen(new Seen(answer), mask);
    } catch (error) {
      if (this.#leaving !== leaving) return;
      this.#leaving = null;
      this.on.onError(error);
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

  /** The patches are another image's from here on. */
  forget() {
    this.#epoch += 1;
    this.#patches.clear();
    this.#wanted = null;
  }

  async #next() {
    if (this.#isAsking || !this.#wanted) return;
    const { doc, source, point } = this.#wanted;
    const epoch = this.#epoch;
    this.#wanted = null;
    this.#isAsking = true;
    this.on.onBusy();
    try {
      const { remote } = doc;
      const answer = await remote.retelling(source, (id) => remote.api.attention(id, { patch: point }));
      if (epoch === this.#epoch) this.#take(new PatchSeen(answer, point));
    } catch (error) {
      this.on.onError(error);
    } finally {
      this.#isAsking = false;
      this.on.onBusy();
      this.#next();
    }
  }

  #take(patch) {
    if (this.#patches.size >= MOST_KEPT) this.#patches.delete(this.#patches.keys().next().value);
    this.#patches.set(String(placeOf(patch.frame, patch.asked, SMALLEST)), patch);
    this.on.onPatch(patch);
  }
}

/** The attention, and the mask that the click gives. */
async function askBoth(api, id, { points, labels, box }, signal) {
  const prompt = { points, labels, ...(box && { box }) };
  const [answer, masks] = await Promise.all([
    api.attention(id, prompt, signal),
    api.masks(id, { objects: [prompt], scale: 'model', limit: 1 }, signal),
  ]);
  const [best] = masks.objects[0];
  return [answer, toMask(best, masks.raster, 'model')];
}
