/** One search for all objects of a photo at a time: the newest question wins. */

export class Search {
  /** {done, total} of the one that is on its way, or null before the server tells. */
  progress = null;
  #asking = null; // AbortController

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
    this.#asking?.abort();
    if (this.#asking) this.#end();
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

/** As the API has it. Masks come as they will be kept: at the image's own resolution. */
const toRequest = ({ pointsPerSide, score, stability, side }) => ({
  points_per_side: pointsPerSide,
  pred_iou_thresh: score,
  stability_score_thresh: stability,
  min_area: side * side,
  format: 'rle',
  scale: 'full',
});
