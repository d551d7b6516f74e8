/** One search for all objects of a photo at a time: the newest question wins. */

const PAUSE = 250; // ms after one was stopped, in which the server notices: it takes one of a caller's at a time

export class Search {
  /** {done, total} of the one that is on its way, or null before the server tells. */
  progress = null;
  #asking = null; // AbortController
  #stopped = -Infinity; // when the last one was, by performance.now()

  /** onChange(): `progress` or `isOn` is another. */
  constructor(onChange) {
    this.onChange = onChange;
  }

  /** Whether an answer is awaited. */
  get isOn() {
    return this.#asking !== null;
  }

  /**
   * The server's answer, see `Api.everything`; null when a newer question, or `stop`, came first.
   * doc: see documents.js. wanted: see settings.js.
   */
  async ask(doc, wanted) {
    this.stop();
    const asking = new AbortController();
    this.#asking = asking;
    this.onChange();
    const onProgress = (progress) => asking === this.#asking && this.#told(progress);
    const { signal } = asking;
    try {
      await sleep(this.#stopped + PAUSE - performance.now());
      if (asking !== this.#asking) return null;
      const call = (id) => doc.context.api.everything(id, toRequest(wanted), { onProgress, signal });
      const answer = await doc.remote.retelling(null, call, signal);
      return asking === this.#asking ? answer : null;
    } catch (error) {
      if (asking !== this.#asking) return null;
      throw error;
    } finally {
      if (asking === this.#asking) this.#end();
    }
  }

  /** Nothing is awaited any more; the server is told, by the connection's end. */
  stop() {
    if (!this.#asking) return;
    this.#asking.abort();
    this.#stopped = performance.now();
    this.#end();
  }

  #told(progress) {
    this.progress = progress;
    this.onChange();
  }

  #end() {
    this.#asking = this.progress = null;
    this.onChange();
  }
}

const sleep = (milliseconds) => milliseconds > 0 && new Promise((resolve) => setTimeout(resolve, milliseconds));

/** As the API has it. Masks come as they will be kept: at the image's own resolution. */
const toRequest = ({ pointsPerSide, score, stability, side }) => ({
  points_per_side: pointsPerSide,
  pred_iou_thresh: score,
  stability_score_thresh: stability,
  min_area: side * side,
  format: 'rle',
  scale: 'full',
});
