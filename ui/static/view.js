/**
 * The image's place on the screen. Screen coordinates are CSS pixels from the canvas's top left corner, image
 * coordinates are the image's own pixels; screen = image * scale + (x, y).
 */

const MARGIN = 16; // CSS pixels left around an image that is fitted
const MOST_SCALE = 64; // CSS pixels per image pixel
const IN_SIGHT = 48; // CSS pixels of the image that can never be pushed out

export class View {
  #listeners = new Set();
  #fitted = true;

  /** CSS pixels per image pixel, and where the image's corner lies. Read only: move it by the methods. */
  scale = 1;
  x = 0;
  y = 0;
  /** The canvas, CSS pixels; device pixels per CSS pixel; the image, pixels (0 x 0 for none). */
  width = 0;
  height = 0;
  ratio = 1;
  imageWidth = 0;
  imageHeight = 0;

  /**
   * Calls `listener(view)` after every change.
   * @param {(view: View) => void} listener
   * @returns {() => void} stops it
   */
  onChange(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether the image was fitted and not moved since: it then stays fitted when the canvas changes. */
  get isFitted() {
    return this.#fitted;
  }

  /** The canvas's size, CSS pixels, and device pixels per CSS pixel. What is in its middle stays there. */
  setCanvas(width, height, ratio = 1) {
    if (width === this.width && height === this.height && ratio === this.ratio) return;
    const middle = this.toImage(this.width / 2, this.height / 2);
    Object.assign(this, { width, height, ratio });
    if (this.#fitted) this.#place(this.#fitScale(), ...this.#centred(this.#fitScale()));
    else this.#place(this.scale, width / 2 - middle[0] * this.scale, height / 2 - middle[1] * this.scale);
  }

  /** Another image, pixels; it is fitted. */
  setImage(imageWidth, imageHeight) {
    Object.assign(this, { imageWidth, imageHeight });
    this.fit();
  }

  /** @returns {[number, number]} screen coordinates of an image point */
  toScreen(imageX, imageY) {
    return [imageX * this.scale + this.x, imageY * this.scale + this.y];
  }

  /** @returns {[number, number]} image coordinates of a screen point; they may lie outside the image */
  toImage(screenX, screenY) {
    return [(screenX - this.x) / this.scale, (screenY - this.y) / this.scale];
  }

  /** The whole image, with a small margin. */
  fit() {
    const scale = this.#fitScale();
    this.#fitted = true;
    this.#place(scale, ...this.#centred(scale));
  }

  /** One image pixel per device pixel, about a screen point (the canvas's middle when none is given). */
  oneToOne(screenX = this.width / 2, screenY = this.height / 2) {
    this.zoomAt(screenX, screenY, 1 / this.ratio / this.scale);
  }

  /** Larger by `factor`; the image point under the screen point stays under it. */
  zoomAt(screenX, screenY, factor) {
    const scale = this.#clampScale(this.scale * factor);
    const [imageX, imageY] = this.toImage(screenX, screenY);
    this.#fitted = false;
    this.#place(scale, screenX - imageX * scale, screenY - imageY * scale);
  }

  /** CSS pixels. */
  panBy(deltaX, deltaY) {
    this.#fitted = false;
    this.#place(this.scale, this.x + deltaX, this.y + deltaY);
  }

  /** So much of the image that this box of it, [x0, y0, x1, y1], fills the canvas but for the margin. */
  showBox([x0, y0, x1, y1]) {
    const scale = this.#clampScale(scaleToFit(x1 - x0, y1 - y0, this.width, this.height));
    this.#fitted = false;
    this.#place(scale, this.width / 2 - ((x0 + x1) / 2) * scale, this.height / 2 - ((y0 + y1) / 2) * scale);
  }

  /** [x0, y0, x1, y1] of the image, not rounded, that can be seen; null when there is none. */
  visibleBox() {
    const [left, top] = this.toImage(0, 0);
    const [right, bottom] = this.toImage(this.width, this.height);
    const box = [Math.max(left, 0), Math.max(top, 0)];
    box.push(Math.min(right, this.imageWidth), Math.min(bottom, this.imageHeight));
    return box[0] < box[2] && box[1] < box[3] ? box : null;
  }

  /** Whether an image point lies on the image. */
  isInside(imageX, imageY) {
    return imageX >= 0 && imageY >= 0 && imageX < this.imageWidth && imageY < this.imageHeight;
  }

  /** The lowest and the highest scale. @returns {[number, number]} */
  scaleLimits() {
    const fit = this.#fitScale();
    return [Math.min(fit / 2, 1 / this.ratio), Math.max(fit, MOST_SCALE)];
  }

  #fitScale() {
    return scaleToFit(this.imageWidth, this.imageHeight, this.width, this.height);
  }

  #centred(scale) {
    return [(this.width - this.imageWidth * scale) / 2, (this.height - this.imageHeight * scale) / 2];
  }

  #clampScale(scale) {
    const [low, high] = this.scaleLimits();
    return Math.min(Math.max(scale, low), high);
  }

  #place(scale, x, y) {
    this.scale = scale;
    this.x = clampPlace(x, this.imageWidth * scale, this.width);
    this.y = clampPlace(y, this.imageHeight * scale, this.height);
    for (const listener of this.#listeners) listener(this);
  }
}

function scaleToFit(width, height, canvasWidth, canvasHeight) {
  const room = (size) => Math.max(size - 2 * MARGIN, 1);
  if (width <= 0 || height <= 0) return 1;
  return Math.min(room(canvasWidth) / width, room(canvasHeight) / height);
}

/** Keeps some of `length`, from `place` on, within 0..room. */
function clampPlace(place, length, room) {
  const inSight = Math.min(IN_SIGHT, length, room);
  return Math.min(Math.max(place, inSight - length), room - inSight);
}
