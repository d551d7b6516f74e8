/** One canvas of the stage, over the whole of it, and when it was last drawn. */

export class Layer {
  #paint;
  #isBlank = true;

  /** When it was last painted, by performance.now(). */
  paintedAt = 0;
  isStale = true;

  /**
   * @param {HTMLElement} element
   * @param {(context: CanvasRenderingContext2D) => boolean} paint draws on a cleared canvas, CSS pixels; false when
   *   there was nothing to draw
   */
  constructor(element, paint) {
    this.#paint = paint;
    this.canvas = createCanvas(element);
    this.context = this.canvas.getContext('2d');
  }

  /** CSS pixels, and device pixels per CSS pixel. */
  resize(width, height, ratio) {
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    this.#isBlank = true;
    this.isStale = true;
  }

  paint(ratio) {
    this.#clear();
    this.context.save();
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#isBlank = !this.#paint(this.context);
    this.context.restore();
    this.canvas.style.display = this.#isBlank ? 'none' : 'block'; // an empty canvas costs the compositor as much
    this.isStale = false;
    this.paintedAt = performance.now();
  }

  #clear() {
    if (!this.#isBlank) this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
}

/** A canvas over the element that takes no part in what is pointed at or read out. @param {HTMLElement} element */
export function createCanvas(element) {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('aria-hidden', 'true');
  Object.assign(canvas.style, { position: 'absolute', left: '0', top: '0', maxWidth: 'none', pointerEvents: 'none' });
  element.append(canvas);
  return canvas;
}
