/** One canvas of the stage, over the whole of it, and when it was last drawn. */

export class Layer {
  #paint;

  /** When it was last painted, by performance.now(). */
  paintedAt = 0;
  isStale = true;

  /**
   * @param {HTMLElement} element
   * @param {(context: CanvasRenderingContext2D) => void} paint draws on a cleared canvas, CSS pixels
   */
  constructor(element, paint) {
    this.#paint = paint;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("aria-hidden", "true");
    Object.assign(this.canvas.style, { position: "absolute", left: "0", top: "0", pointerEvents: "none" });
    element.append(this.canvas);
    this.context = this.canvas.getContext("2d");
  }

  /** CSS pixels, and device pixels per CSS pixel. */
  resize(width, height, ratio) {
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    this.isStale = true;
  }

  paint(ratio) {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.save();
    this.#paint(this.context);
    this.context.restore();
    this.isStale = false;
    this.paintedAt = performance.now();
  }
}
