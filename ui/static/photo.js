/** A photo to draw at any zoom, with smaller copies of it: a large one is shown small quickly and without grain. */

const SMALLEST = 512; // longer side of the last copy, pixels
const STRIP = 1 << 19; // pixels that are halved at a time: some milliseconds on the main thread
const PIXELS_SHOW = 4; // CSS pixels per image pixel from which on pixels are squares

export class Photo {
  #levels;
  #isClosed = false;

  /** @param {ImageBitmap} bitmap stays the caller's */
  constructor(bitmap) {
    this.width = bitmap.width;
    this.height = bitmap.height;
    this.#levels = [bitmap];
  }

  /** What it was made of. @returns {ImageBitmap} */
  get bitmap() {
    return this.#levels[0];
  }

  /** Makes the copies, each half as wide as the one before, in small steps. @returns {Promise<void>} */
  async prepare() {
    let last = this.bitmap;
    while (!this.#isClosed && isLarge(last)) {
      last = await halve(last);
      this.#levels.push(last);
    }
    if (this.#isClosed) this.close();
  }

  /** The smallest copy that has a pixel for each one drawn. @param {number} scale device pixels per image pixel */
  level(scale) {
    return this.#levels.findLast((level) => level.width >= this.width * Math.min(scale, 1)) ?? this.bitmap;
  }

  /**
   * Draws what can be seen of it.
   * @param {CanvasRenderingContext2D} context in image coordinates
   * @param {import('./view.js').View} view
   */
  draw(context, view) {
    const box = view.visibleBox();
    if (!box || this.bitmap.width === 0) return; // its owner has closed it
    context.imageSmoothingEnabled = view.scale < PIXELS_SHOW;
    this.drawBox(context, box, view.scale * view.ratio);
  }

  /** Draws the box [x0, y0, x1, y1] of it, and a pixel more: its edge is blended with what lies beside it. */
  drawBox(context, [x0, y0, x1, y1], scale) {
    const level = this.level(scale);
    const step = this.width / level.width;
    const stepDown = this.height / level.height;
    const left = Math.max(Math.floor(x0 / step) - 1, 0);
    const top = Math.max(Math.floor(y0 / stepDown) - 1, 0);
    const wide = Math.min(Math.ceil(x1 / step) + 1, level.width) - left;
    const high = Math.min(Math.ceil(y1 / stepDown) + 1, level.height) - top;
    context.drawImage(level, left, top, wide, high, left * step, top * stepDown, wide * step, high * stepDown);
  }

  /** Gives the copies back. */
  close() {
    this.#isClosed = true;
    for (const level of this.#levels.splice(1)) level.close();
  }
}

/** Whether half of it is a picture still, and large enough to be of use. */
const isLarge = ({ width, height }) => Math.max(width, height) >= 2 * SMALLEST && Math.min(width, height) >= 2;

/** Half as wide and high, strip by strip with pauses: a browser resizes a bitmap at one go, on the main thread. */
async function halve(bitmap) {
  const width = bitmap.width >> 1;
  const height = bitmap.height >> 1;
  const rows = Math.max(1, Math.floor(STRIP / bitmap.width / 2));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  for (let top = 0; top < height; top += rows) {
    const high = Math.min(rows, height - top);
    const resize = { resizeWidth: width, resizeHeight: high, resizeQuality: 'medium' };
    const strip = await createImageBitmap(bitmap, 0, 2 * top, 2 * width, 2 * high, resize);
    context.drawImage(strip, 0, top);
    strip.close();
    await new Promise((resolve) => setTimeout(resolve));
  }
  return canvas.transferToImageBitmap();
}
