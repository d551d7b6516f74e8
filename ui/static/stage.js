/**
 * What is seen: the photo, the finished objects, the one in the making, and the prompts, each on a canvas of its own.
 * Setters only note what changed; it is drawn once in the next frame, and only on the canvases it concerns.
 */

import { createFrame, watchSize } from './frame.js';
import { Layer } from './layer.js';
import { emptyMask, isOn } from './masks.js';
import { looksSame, ObjectsLayer } from './objects_layer.js';
import { Photo } from './photo.js';
import { Rasters } from './rasters.js';
import { drawnObjects, emptyScene, visibleObjects } from './scene.js';
import { paintCurrent, paintHeat, paintPhoto, paintPrompts } from './scene.js';
import { thumbnail } from './thumbnail.js';

const HOLD = 200; // ms at most that the object in the making waits for the finished ones, so that both change at once
const MODEL_SIDE = 1024; // pixels of a raster on which strokes are shown that have no mask below them

export class Stage {
  #element;
  #view;
  #rasters;
  #ownRasters;
  #layers;
  #objectsLayer;
  #objectsStale = true;
  #heldUntil = 0; // until when the object in the making stays as it is, by performance.now()
  #scene = emptyScene();
  #frame = 0;
  #wanted = null; // the current object as it was set last
  #painting = 0; // strokes that are being laid on a mask
  #waiting = [];
  #stops = [];

  /**
   * @param {HTMLElement} element positioned; the canvases fill it
   * @param {import('./view.js').View} view is told the element's size
   * @param {Rasters} [rasters] to share; it is then not closed here
   */
  constructor(element, view, rasters) {
    this.#view = view;
    this.#rasters = rasters ?? new Rasters();
    this.#ownRasters = !rasters;
    this.#element = createFrame(element);
    const layer = (paint) => new Layer(this.#element, (context) => paint(context, view, this.#scene));
    const [photo, heat] = [layer(paintPhoto), layer(paintHeat)];
    this.#objectsLayer = new ObjectsLayer(this.#element, this.#rasters, () => this.#request());
    this.#layers = { photo, heat, current: layer(paintCurrent), prompts: layer(paintPrompts) };
    this.#stops.push(view.onChange(() => this.#move()));
    this.#stops.push(watchSize(this.#element, () => this.#resize()));
    this.#resize();
  }

  /**
   * The photo; null for none. It stays the caller's, but must not be closed while it is shown.
   * @param {ImageBitmap | null} bitmap
   * @returns {Promise<void>} when it can be drawn small as quickly as large
   */
  async setPhoto(bitmap) {
    if (bitmap && this.#scene.photo?.bitmap === bitmap) return;
    this.#scene.photo?.close();
    const photo = bitmap && new Photo(bitmap);
    this.#scene.photo = photo;
    this.#mark('photo', 'heat');
    await photo?.prepare();
    if (this.#scene.photo === photo) this.#mark('photo');
  }

  /** A map over the photo, from `heatOf`; null for none. */
  setHeat(heat) {
    this.#set('heat', heat, 'heat');
  }

  /**
   * The finished objects, the lowest first. Masks are known by identity: give the same one while it is the same.
   * @param {{id: any, mask: object, colour: number[], hidden?: boolean, selected?: boolean, hovered?: boolean,
   *          label?: string, opacity?: number}[]} objects colour: [r, g, b]; opacity: its own, of the fill
   */
  setObjects(objects) {
    if (!looksSame(objects, this.#scene.objects)) {
      this.#mark('objects');
      this.#heldUntil = performance.now() + HOLD;
    }
    this.#scene.objects = objects;
    this.#mark('current', 'prompts');
  }

  /**
   * The object in the making; strokes are laid on its mask, or on nothing when it has none.
   * @param {{mask: object | null, colour: number[], strokes?: object[], dashed?: boolean} | null} current
   */
  async setCurrent(current) {
    if (!current?.strokes?.length) {
      this.#showCurrent(current);
      return;
    }
    this.#wanted = current;
    this.#painting += 1;
    const mask = await this.#rasters.paint(current.mask ?? this.#nothing(), current.strokes);
    this.#painting -= 1;
    if (this.#wanted === current) this.#showCurrent(current, mask);
  }

  #showCurrent(current, mask = current?.mask) {
    this.#wanted = current;
    this.#scene.current = current && { ...current, mask };
    this.#mark('current');
  }

  /**
   * What there is to choose from, the largest first: outlines, and those that are kept as objects are.
   * @param {{mask: object, colour: number[], isKept: boolean}[]} candidates masks by identity, as of objects
   */
  setCandidates(candidates) {
    const look = ({ isKept, ...rest }) => ({ ...rest, opacity: Number(isKept) });
    if (!looksSame(candidates.map(look), this.#scene.candidates.map(look))) this.#mark('objects');
    this.#scene.candidates = candidates;
  }

  /** The candidate under the pointer. @param {{mask: object, colour: number[]} | null} pointed */
  setPointed(pointed) {
    this.#set('pointed', pointed, 'current');
  }

  /** What a click would give: + or - by its sign. @param {{mask: object, sign: 1 | -1} | null} preview */
  setPreview(preview) {
    this.#set('preview', preview, 'current');
  }

  /**
   * Image coordinates.
   * @param {{points: number[][], labels: number[], box?: number[] | null, pending?: {x, y, label} | null,
   *          selectedPoint?: number | null} | null} prompts
   */
  setPrompts(prompts) {
    this.#set('prompts', prompts, 'prompts');
  }

  /** The box being drawn. @param {number[] | null} box [x0, y0, x1, y1], image coordinates */
  setRubberBand(box) {
    this.#set('rubberBand', box, 'prompts');
  }

  /** The stroke being drawn. @param {import('./strokes.js').Stroke | null} stroke may go on growing */
  setStroke(stroke) {
    this.#set('stroke', stroke?.points.length ? stroke : null, 'current', 'prompts');
  }

  /** @param {{x: number, y: number, radius: number} | null} cursor image coordinates */
  setBrushCursor(cursor) {
    this.#set('brush', cursor, 'prompts');
  }

  /** @param {{opacity?: number, showMasks?: boolean, showPoints?: boolean, previewColour?: number[]}} options */
  setOptions(options) {
    this.#set('options', { ...this.#scene.options, ...options }, 'objects', 'current', 'prompts');
  }

  /** The id of the topmost visible object at an image point; null for none. */
  pick(x, y) {
    return visibleObjects(this.#scene).findLast(({ mask }) => isOn(mask, x, y))?.id ?? null;
  }

  /** As thumbnail.js has it, of the photo that is shown. @returns {HTMLCanvasElement | null} */
  thumbnail(mask, size) {
    return this.#scene.photo && thumbnail(this.#scene.photo, mask, size);
  }

  /** When each layer was last painted, by performance.now(): {photo, objects, current, prompts}. */
  get paintedAt() {
    const { photo, current, prompts } = this.#layers;
    const objects = this.#objectsLayer.paintedAt;
    return { photo: photo.paintedAt, objects, current: current.paintedAt, prompts: prompts.paintedAt };
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
    for (const stop of this.#stops) stop();
    cancelAnimationFrame(this.#frame);
    this.#scene.photo?.close();
    this.#element.remove();
    if (this.#ownRasters) this.#rasters.close();
  }

  #set(part, value, ...layers) {
    this.#scene[part] = value;
    this.#mark(...layers);
  }

  #move() {
    this.#heldUntil = 0;
    this.#mark('photo', 'heat', 'objects', 'current', 'prompts');
  }

  #mark(...names) {
    for (const name of names) {
      if (name === 'objects') this.#objectsStale = true;
      else this.#layers[name].isStale = true;
    }
    this.#request();
  }

  #request() {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.#frame = 0;
    if (this.#objectsStale) {
      this.#objectsLayer.show(drawnObjects(this.#scene), this.#view, this.#scene.options.opacity);
      this.#objectsStale = false;
    }
    this.#objectsLayer.follow(this.#view);
    for (const layer of Object.values(this.#layers)) {
      if (layer.isStale && !this.#isHeld(layer)) layer.paint(this.#view.ratio);
    }
    if (this.#layers.current.isStale) this.#request();
    else if (this.#objectsLayer.isDone && this.#painting === 0) this.#tellPainted();
  }

  #isHeld(layer) {
    if (layer !== this.#layers.current || this.#objectsLayer.isDone) return false;
    return performance.now() < this.#heldUntil;
  }

  #tellPainted() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.#element;
    for (const layer of Object.values(this.#layers)) layer.resize(clientWidth, clientHeight, devicePixelRatio);
    this.#view.setCanvas(clientWidth, clientHeight, devicePixelRatio);
    this.#paint();
  }

  #nothing() {
    const { imageWidth, imageHeight } = this.#view;
    const scale = Math.min(1, MODEL_SIDE / Math.max(imageWidth, imageHeight));
    const box = [0, 0, imageWidth, imageHeight];
    return emptyMask({ width: Math.ceil(imageWidth * scale), height: Math.ceil(imageHeight * scale), box });
  }
}
