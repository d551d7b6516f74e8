/** The tool in hand, and what clicks do with it. */

const SMALLEST = 2;
const LARGEST = 200; // CSS pixels
const STEP = 1.25;

export class Tools {
  tool = 'point';
  mode = 'add';
  isSwapped = false;
  brush = 14; // radius, CSS pixels: a brush is as large on the screen at every zoom

  /** onChange(): another tool or mode. onTake(tool): it was taken, anew or again. */
  constructor(onChange = () => {}, onTake = () => {}) {
    Object.assign(this, { onChange, onTake });
  }

  /** 'point', 'box', 'brush', 'eraser', 'lasso', 'everything', 'select' or 'hand'. */
  take(tool) {
    this.#set({ tool });
    this.onTake(tool);
  }

  /** What a plain click does: 'add' or 'remove'. Clicking needs the point tool. */
  setMode(mode) {
    this.#set({ mode, tool: this.tool === 'box' ? 'box' : 'point' });
  }

  /** The left button does what the right one did. */
  swap() {
    this.#set({ isSwapped: !this.isSwapped });
  }

  resize(direction) {
    this.#set({ brush: Math.min(LARGEST, Math.max(SMALLEST, this.brush * STEP ** direction)) });
  }

  /** Whether clicks place points, and drags boxes: with 'everything' while there is nothing to choose from. */
  get places() {
    return ['point', 'box', 'everything'].includes(this.tool);
  }

  get paints() {
    return ['brush', 'eraser', 'lasso'].includes(this.tool);
  }

  /** Whether a click alone paints: a lasso needs an outline. */
  get dabs() {
    return this.tool === 'brush' || this.tool === 'eraser';
  }

  /** The label of a point: 1 adds, 0 removes. other: by the right button, with Shift, or by a long press. */
  label(other) {
    const adds = this.mode === 'add';
    return Number(other !== this.isSwapped ? !adds : adds);
  }

  /**
   * A stroke of the tool in hand, in image pixels. other: as above, it erases with the brush and paints with the
   * eraser.
   */
  stroke(points, scale, other = false) {
    const kind = this.tool === 'lasso' ? 'lasso' : 'brush';
    const erases = this.tool === 'eraser' || (this.tool === 'lasso' && this.mode === 'remove');
    return { op: erases !== other ? 'erase' : 'add', kind, radius: this.brush / scale, points };
  }

  #set(values) {
    Object.assign(this, values);
    this.onChange();
  }
}
