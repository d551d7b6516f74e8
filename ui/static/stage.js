/**
 * What is seen: the photo, the finished objects, the one in the making, and the prompts, each on a canvas of its own.
 * Setters only note what changed; it is drawn once in the next frame, and only on the canvases it concerns.
 */

import { drawGlow, drawMask, enterImage, PREVIEW_OPACITY } from "./draw_masks.js";
import { drawBox, drawBrushCursor, drawPrompts, drawStroke } from "./draw_prompts.js";
import { Layer } from "./layer.js";
import { PREVIEW } from "./palette.js";
import { contains } from "./rle.js";

const PIXELATED = 4; // CSS pixels per image pixel from which on pixels are shown as squares
const NO_PROMPTS = { points: [], labels: [], box: null, pending: null, selectedPoint: null };

export class Stage {
  #element;
  #view;
  #layers;
  #frame = 0;
  #waiting = [];
  #observer;
  #stopListening;
  #photo = null;
  #objects = [];
  #current = null;
  #preview = null;
  #prompts = NO_PROMPTS;
  #rubberBand = null;
  #stroke = null;
  #brush = null;
  #options = { opacity: 0.4, showMasks: true, showPoints: true, previewColour: PREVIEW };

  /**
   * @param {HTMLElement} element positioned; the canvases fill it
   * @param {import("./view.js").View} view is told the element's size
   */
  constructor(element, view) {
    this.#element = element;
    this.#view = view;
    this.#layers = {
      photo: new Layer(element, (context) => this.#paintPhoto(context)),
      objects: new Layer(element, (context) => this.#paintObjects(context)),
      current: new Layer(element, (context) => this.#paintCurrent(context)),
      prompts: new Layer(element, (context) => this.#paintPrompts(context)),
    };
    this.#stopListening = view.onChange(() => this.#mark("photo", "objects", "current", "prompts"));
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(element);
    this.#resize();
  }

  /** The photo; null for none. It is not closed here. @param {ImageBitmap | null} photo */
  setPhoto(photo) {
    this.#photo = photo;
    this.#mark("photo");
  }

  /**
   * The finished objects, the lowest first.
   * @param {{id: any, mask: object, colour: number[], hidden?: boolean, selected?: boolean, hovered?: boolean,
   *          label?: string}[]} objects colour: [r, g, b]
   */
  setObjects(objects) {
    this.#objects = objects;
    this.#mark("objects");
  }

  /** The object in the making. @param {{mask, colour, strokes?, dashed?} | null} current */
  setCurrent(current) {
    this.#current = current;
    this.#mark("current");
  }

  /** What a click would give. @param {{mask: object, sign: 1 | -1} | null} preview */
  setPreview(preview) {
    this.#preview = preview;
    this.#mark("current");
  }

  /** @param {{points, labels, box, pending, selectedPoint} | null} prompts image coordinates */
  setPrompts(prompts) {
    this.#prompts = prompts ?? NO_PROMPTS;
    this.#mark("prompts");
  }

  /** The box being drawn. @param {number[] | null} box [x0, y0, x1, y1], image coordinates */
  setRubberBand(box) {
    this.#rubberBand = box;
    this.#mark("prompts");
  }

  /** The stroke being drawn. @param {object | null} stroke */
  setStroke(stroke) {
    this.#stroke = stroke;
    this.#mark("prompts");
  }

  /** @param {{x: number, y: number, radius: number} | null} cursor image coordinates */
  setBrushCursor(cursor) {
    this.#brush = cursor;
    this.#mark("prompts");
  }

  /** @param {{opacity?: number, showMasks?: boolean, showPoints?: boolean, previewColour?: number[]}} options */
  setOptions(options) {
    Object.assign(this.#options, options);
    this.#mark("objects", "current", "prompts");
  }

  /** The id of the topmost visible object at an image point; null for none. */
  pick(x, y) {
    if (!this.#options.showMasks) return null;
    const found = this.#objects.findLast(({ mask, hidden }) => !hidden && isOn(mask, x, y));
    return found ? found.id : null;
  }

  /** When each layer was last painted, by performance.now(): {photo, objects, current, prompts}. */
  get paintedAt() {
    return Object.fromEntries(Object.entries(this.#layers).map(([name, layer]) => [name, layer.paintedAt]));
  }

  /** Resolves when all that was set until now is painted. @returns {Promise<void>} */
  whenPainted() {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#request();
    });
  }

  /** Takes the canvases off the element. */
  close() {
    this.#observer.disconnect();
    this.#stopListening();
    cancelAnimationFrame(this.#frame);
    for (const layer of Object.values(this.#layers)) layer.canvas.remove();
  }

  #mark(...names) {
    for (const name of names) this.#layers[name].isStale = true;
    this.#request();
  }

  #request() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.#frame = 0;
    for (const layer of Object.values(this.#layers)) {
      if (layer.isStale) layer.paint(this.#view.ratio);
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#element;
    for (const layer of Object.values(this.#layers)) layer.resize(clientWidth, clientHeight, devicePixelRatio);
    this.#view.setCanvas(clientWidth, clientHeight, devicePixelRatio);
    this.#paint();
  }

  #paintPhoto(context) {
    if (!this.#photo) return;
    enterImage(context, this.#view);
    context.imageSmoothingEnabled = this.#view.scale < PIXELATED;
    context.drawImage(this.#photo, 0, 0);
  }

  #paintObjects(context) {
    if (!this.#options.showMasks) return;
    enterImage(context, this.#view);
    for (const { mask, colour, hidden, selected } of this.#objects) {
      if (!hidden) drawMask(context, this.#view, mask, { colour, selected, opacity: this.#options.opacity });
    }
  }

  #paintCurrent(context) {
    if (!this.#options.showMasks) return;
    enterImage(context, this.#view);
    const hovered = this.#objects.find((object) => object.hovered && !object.hidden);
    if (hovered) drawGlow(context, this.#view, hovered.mask, hovered.colour);
    if (this.#current?.mask) drawMask(context, this.#view, this.#current.mask, this.#look(this.#current));
    if (this.#preview) {
      const look = { colour: this.#options.previewColour, opacity: PREVIEW_OPACITY, dashed: this.#current !== null };
      drawMask(context, this.#view, this.#preview.mask, look);
    }
  }

  #look({ colour, dashed }) {
    return { colour, dashed, opacity: this.#options.opacity };
  }

  #paintPrompts(context) {
    const colour = this.#current?.colour ?? this.#options.previewColour;
    if (this.#stroke) drawStroke(context, this.#view, this.#stroke, colour);
    if (this.#options.showPoints) drawPrompts(context, this.#view, this.#prompts);
    if (this.#rubberBand) drawBox(context, this.#view, this.#rubberBand);
    if (this.#brush) drawBrushCursor(context, this.#view, this.#brush);
  }
}

function isOn({ rle, box: [x0, y0, x1, y1] }, x, y) {
  const [height, width] = rle.size;
  return contains(rle, Math.floor(((x - x0) / (x1 - x0)) * width), Math.floor(((y - y0) / (y1 - y0)) * height));
}
