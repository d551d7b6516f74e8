/** Zoomed in on something small, the visible part of the image is encoded by itself, and clicks are asked of that. */

const REST = 350; // ms without moving before a window is opened
const PART = 0.5; // of the image's longer side: less must be visible
const ROOMY = 1.6; // times what is visible: a window up to this size still serves
const SMALLEST = 32; // image pixels

export class Windows {
  /** The window (x0, y0, x1, y1) that is ready, or null for the whole image. */
  active = null;
  #timer = null;
  #wanted = null;

  /** remote: the image at the server. size: [width, height]. onChange(): `active`, or `isOpening`, changed. */
  constructor(remote, size, onChange) {
    Object.assign(this, { remote, size, onChange, isOn: true, isOpening: false });
  }

  /** The view has moved: box is what can be seen of the image, or null. */
  look(box) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(box), REST);
  }

  #settle(box) {
    const wanted = this.isOn ? windowFor(box, this.size) : null;
    if (wanted === null) this.#set(null, null);
    else if (!serves(this.#wanted, wanted)) this.#open(wanted);
  }

  async #open(box) {
    this.#set(null, box);
    try {
      await this.remote.encoded(box);
      if (this.#wanted === box) this.#set(box, box);
    } catch {
      if (this.#wanted === box) this.#set(null, null); // the whole image serves as well
    }
  }

  #set(active, wanted) {
    const isOpening = wanted !== null && active === null;
    const changed = this.active !== active || this.isOpening !== isOpening;
    Object.assign(this, { active, isOpening });
    this.#wanted = wanted;
    if (changed) this.onChange();
  }
}

/** The window to open for what is visible, in whole pixels, or null where the whole image does. */
export function windowFor(box, [width, height]) {
  if (!box) return null;
  const [x0, y0, x1, y1] = [Math.floor(box[0]), Math.floor(box[1]), Math.ceil(box[2]), Math.ceil(box[3])];
  const sides = [x1 - x0, y1 - y0];
  if (Math.max(...sides) > PART * Math.max(width, height) || Math.min(...sides) < SMALLEST) return null;
  return [x0, y0, x1, y1];
}

function serves(open, wanted) {
  if (!open) return false;
  const holds = open[0] <= wanted[0] && open[1] <= wanted[1] && open[2] >= wanted[2] && open[3] >= wanted[3];
  return (
    holds &&
    Math.max(open[2] - open[0], open[3] - open[1]) <= ROOMY * Math.max(wanted[2] - wanted[0], wanted[3] - wanted[1])
  );
}
