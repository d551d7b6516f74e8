/** Small pictures of photos, made when they come into sight, one at a time. */

import { decodeThumbnail } from './decode.js';

const SIDE = 192; // pixels: sharp on dense screens too
const AHEAD = '0px 300px'; // made so far before they come into sight

export class Thumbnails {
  #wanted = new Map(); // canvas -> id, in the order in which they came into sight
  #observer;
  #isBusy = false;

  /** scroller: what the canvases scroll in. fileOf(id): promise of the photo's file, or of null. */
  constructor(scroller, fileOf) {
    this.fileOf = fileOf;
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { root: scroller, rootMargin: AHEAD });
  }

  /** Have the photo drawn on the canvas once that is in sight; its parent has the class `has-picture` then. */
  add(canvas, id) {
    canvas.dataset.photo = id;
    this.#observer.observe(canvas);
  }

  /** It has gone. */
  drop(canvas) {
    this.#observer.unobserve(canvas);
    this.#wanted.delete(canvas);
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#wanted.set(target, target.dataset.photo);
      else this.#wanted.delete(target); // scrolled past: those in sight first
    }
    this.#make();
  }

  async #make() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let next; (next = this.#wanted.entries().next().value);) {
      const [canvas, id] = next;
      this.drop(canvas);
      await this.#draw(canvas, id);
    }
    this.#isBusy = false;
  }

  async #draw(canvas, id) {
    try {
      const file = await this.fileOf(id);
      const bitmap = file && (await decodeThumbnail(file, SIDE));
      if (!bitmap) return;
      [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
      canvas.getContext('bitmaprenderer').transferFromImageBitmap(bitmap);
      canvas.parentElement.classList.add('has-picture');
    } catch {
      // without a picture there is still the name; whoever opens the photo is told why
    }
  }
}
