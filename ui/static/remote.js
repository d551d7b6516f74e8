/** One image at the server, for as long as the server remembers it; brought there again when it does not. */

import { patiently } from './patience.js';

const WHOLE = '';

export class Remote {
  #ids = new Map(); // window box as text, '' for the image itself -> promise of what the server said of it

  /**
   * getFile(): promise of the original file.
   * onProgress(share): of an upload, 0 to 1. onWait(error | null): the server keeps us waiting, or no longer.
   */
  constructor(api, getFile, { onProgress = () => {}, onWait = () => {} } = {}) {
    Object.assign(this, { api, getFile, onProgress, onWait });
  }

  /** The server's id for the image, or for a window (x0, y0, x1, y1) of it: uploaded or opened first where need be. */
  async id(source = null) {
    return (await this.describe(source)).id;
  }

  /** What the server says of the image or window: {id, width, height, box, ...}. */
  describe(source = null, { prefetch = false } = {}) {
    const key = source ? source.join() : WHOLE;
    if (!this.#ids.has(key)) {
      const opening = source ? this.#openWindow(source) : this.#upload(prefetch);
      this.#ids.set(key, opening);
      opening.catch(() => this.#ids.get(key) === opening && this.#ids.delete(key));
    }
    return this.#ids.get(key);
  }

  /** The server has lost the image, or this window of it: ask for it anew next time. */
  forget(source = null) {
    if (source) this.#ids.delete(source.join());
    else this.#ids.clear();
  }

  /** The same, once it is encoded; or the server cannot say so, and questions wait for it there. */
  async encoded(source = null) {
    const told = await this.describe(source);
    const events = new EventSource(`${this.api.root}/v1/images/${told.id}`);
    await new Promise((resolve) => {
      events.addEventListener('state', ({ data }) => JSON.parse(data).state === 'ready' && resolve());
      events.addEventListener('gone', resolve);
      events.onerror = resolve;
    });
    events.close();
    return told;
  }

  async #upload(prefetch) {
    const file = await this.getFile();
    return this.#patiently(() => this.api.upload(file, { prefetch, onProgress: this.onProgress }));
  }

  async #openWindow(box) {
    return this.retelling(null, (id) => this.api.window(id, box));
  }

  /**
   * A call about the image or a window; when the server has lost it, it is brought there and the call made once more.
   * call(id): promise of the answer. signal: waits for a busy server no longer.
   */
  async retelling(source, call, signal) {
    for (let tries = 0; ; tries += 1) {
      const id = await this.id(source);
      try {
        return await this.#patiently(() => call(id), signal);
      } catch (error) {
        if (!error.isGone || error.code === 'mask_gone' || tries === 2) throw error;
        this.forget(source);
        if (source && tries) this.forget();
      }
    }
  }

  #patiently(call, signal) {
    return patiently(call, { onWait: this.onWait, signal });
  }
}
