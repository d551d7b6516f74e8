/** The preview under the pointer: the newest question wins, and there is none where it would come late. */

import { Unreachable } from './api.js';
import { toMask, toRequest } from './asking.js';
import { newId } from './ids.js';

const SHORTEST = 15; // milliseconds between two questions
const MOST_IN_FLIGHT = 2; // one is being answered, and the newest waits right behind it
const REST = 5000; // after the server asked for none
const SLOW_LINE = 150; // milliseconds of round trip above which a preview trails behind the hand
const PING_EVERY = 15_000;

export class Hover {
  #wanted = null; // the newest question not sent yet
  #inFlight = 0;
  #timer = null;
  #notBefore = 0;
  #pause = SHORTEST; // between two questions, as the server wishes
  #seq = 0;
  #drawn = 0; // the number of the newest answer that was drawn
  #epoch = 0;
  #pinged = -Infinity;

  /**
   * remoteNow(): the open image's Remote once it is encoded, or null. onPreview(mask | null, times): what to draw;
   * times is {asked, answered} by performance.now(). onLine(isSlow): the line became too slow for previews, or quick
   * again.
   */
  constructor(api, remoteNow, { onPreview, onLine = () => {} }) {
    Object.assign(this, { api, remoteNow, onPreview, onLine, isSlow: false, isOn: true, answered: 0 });
    this.stream = newId();
  }

  /** The pointer is where this question would be asked. */
  ask(question) {
    this.#wanted = question;
    this.#schedule();
  }

  /** The pointer left, or something else happened: no preview, and answers on their way are stale. */
  clear() {
    this.#wanted = null;
    this.#epoch += 1;
    this.onPreview(null);
  }

  #schedule() {
    if (!this.isOn || this.#inFlight >= MOST_IN_FLIGHT || this.#timer !== null || !this.#wanted) return;
    this.#watchLine();
    if (this.isSlow) return;
    const wait = this.#notBefore - performance.now();
    if (wait <= 0) this.#send();
    else this.#timer = setTimeout(() => this.#due(), wait);
  }

  #due() {
    this.#timer = null;
    this.#schedule();
  }

  async #send() {
    const question = this.#wanted;
    const remote = this.remoteNow();
    this.#wanted = null;
    if (!remote) return;
    this.#inFlight += 1;
    const asked = { seq: (this.#seq += 1), epoch: this.#epoch, at: performance.now() };
    this.#notBefore = asked.at + this.#pause;
    try {
      const id = await remote.id(question.source);
      const more = { limit: 1, stream: this.stream, seq: asked.seq };
      this.#draw(await this.api.masks(id, toRequest(question, 'model', more)), asked);
    } catch (error) {
      this.#failed(error, question, remote, asked);
    }
    this.#inFlight -= 1;
    this.#schedule();
  }

  #draw(answer, { seq, epoch, at }) {
    this.#pause = answer.hover_ms === null ? REST : Math.max(SHORTEST, answer.hover_ms);
    this.answered += 1;
    if (epoch !== this.#epoch || seq < this.#drawn) return;
    this.#drawn = seq;
    const [result] = answer.objects[0];
    this.onPreview(result ? toMask(result, answer.raster, 'model') : null, { asked: at, answered: performance.now() });
  }

  #failed(error, question, remote, { epoch }) {
    if (error.status === 409) return; // a newer one took its place
    const isLost = error.isGone && error.code !== 'mask_gone';
    const seconds = error.isBusy ? error.retryAfter : error instanceof Unreachable ? 2 : 0.05;
    this.#notBefore = performance.now() + seconds * 1000;
    if (isLost) remote.forget(question.source);
    // The pointer may rest where it is: then nobody else asks.
    if ((isLost || error.isBusy || error instanceof Unreachable) && epoch === this.#epoch) this.#wanted ??= question;
  }

  /** Now and then, how long the line takes; while it is slow, previews rest. */
  async #watchLine() {
    if (performance.now() - this.#pinged < PING_EVERY) return;
    this.#pinged = performance.now();
    try {
      const times = [await this.api.ping(), await this.api.ping(), await this.api.ping()];
      const isSlow = Math.min(...times) > SLOW_LINE; // the first one may have had to connect
      if (isSlow !== this.isSlow) this.onLine((this.isSlow = isSlow));
      if (isSlow) this.clear();
    } catch {
      this.#pinged = -Infinity;
    }
  }
}
