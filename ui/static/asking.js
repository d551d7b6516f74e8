/** Asks the questions of an image, one after the other, and fills their answers in. */

import { maskOf } from './chain.js';

export class Asker {
  #last = Promise.resolve();
  #asked = new WeakMap(); // Answer -> promise of its being filled in

  /** remote: the image at the server. onAnswer(answer): one was filled in, or has failed. */
  constructor(remote, onAnswer = () => {}) {
    this.remote = remote;
    this.onAnswer = onAnswer;
    this.waiting = 0;
  }

  /** Have an answer filled in, once, after those before it; the promise never fails: see `answer.error`. */
  fill(answer) {
    if (answer.masks) return Promise.resolve();
    if (!this.#asked.has(answer)) {
      this.waiting += 1;
      this.#last = this.#last.then(() => this.#fill(answer));
      this.#asked.set(answer, this.#last);
    }
    return this.#asked.get(answer);
  }

  /** The same mask at the image's own resolution. Throws what the server says. */
  async full(answer) {
    const { index } = maskOf(answer);
    return (await this.#ask(answer.question, 'full')).find((mask) => mask.index === index);
  }

  async #fill(answer) {
    try {
      answer.masks = await this.#ask(answer.question, 'model');
      answer.error = null;
    } catch (error) {
      answer.error = error.message;
      this.#asked.delete(answer); // it may be asked again
    }
    this.waiting -= 1;
    this.onAnswer(answer);
  }

  async #ask(question, scale) {
    const answer = await this.#send(question, scale);
    return answer.objects[0].map((result) => toMask(result, answer.raster, scale));
  }

  /** With earlier masks that the server has lost asked for again, in their order. */
  async #send(question, scale) {
    if (maskOf(question.previous)?.maskId === null) await this.#askAgain(question.previous); // it came from a file
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.remote.retelling(question.source, (id) =>
          this.remote.api.masks(id, toRequest(question, scale)),
        );
      } catch (error) {
        if (error.code !== 'mask_gone' || tries === 2) throw error;
        await this.#askAgain(question.previous);
      }
    }
  }

  async #askAgain(answer) {
    const masks = await this.#ask(answer.question, 'model');
    for (const mask of answer.masks) mask.maskId = masks.find(({ index }) => index === mask.index).maskId;
  }
}

/** What the API is to be asked; more: further fields, as a hover's. */
export function toRequest(question, scale, more = {}) {
  const { points, labels, box, clean } = question;
  const previous = maskOf(question.previous)?.maskId;
  const object = { points, labels, ...(box && { box }), ...(previous && { previous }) };
  return { objects: [object], scale, ...(clean && { clean: { specks: clean, holes: clean } }), ...more };
}

/** A result of the API as a Mask (see README). */
export const toMask = (result, raster, scale) => ({
  rle: result.rle,
  box: raster.box,
  area: result.area,
  bounds: result.box,
  score: result.score,
  stability: result.stability,
  index: result.index,
  maskId: result.mask_id ?? null,
  full: scale === 'full',
});
