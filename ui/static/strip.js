/**
 * The film strip: all photos, which of them is open, and how far each has come.
 *
 *     Frame {id, name, state, progress, count, hasWork}
 *
 * state: waiting, uploading, encoding, ready or failed; progress: 0 to 1 while uploading; count: its objects;
 * hasWork: there are some, uncounted yet.
 */

import { el, setText } from './dom.js';
import { Thumbnails } from './thumbnails.js';
import { named } from './words.js';

const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };

export class FilmStrip {
  #tiles = new Map(); // id -> its parts
  #currentId = null;
  #roving = null; // the id of the one photo that Tab reaches
  #focusNext = null; // where the focus goes when the photo that has it is gone: a place in the row

  /**
   * on: {onOpen(id), onRemove(id)}: what the user wants; onRetry(id): of one that failed, else it is opened; onAdd():
   * more photos, a tile for which there is only with it. fileOf(id): promise of the photo's file or of a picture of it.
   */
  constructor(element, { onOpen, onRemove, onRetry = onOpen, onAdd = null, fileOf = async () => null }) {
    Object.assign(this, { element, onOpen, onRemove, onRetry });
    this.list = el('ul', { class: 'cm-frames', 'aria-label': 'Photos' });
    this.add =
      onAdd &&
      el(
        'li',
        { class: 'cm-frame' },
        el('button', { type: 'button', class: 'cm-add', onclick: () => onAdd() }, 'Add photos'),
      );
    this.thumbnails = new Thumbnails(this.list, fileOf);
    this.list.addEventListener('keydown', (event) => this.#onKey(event));
    this.list.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
  }

  /** Show these photos, of which one is open; nothing at all when there are none. */
  render(frames, currentId = null) {
    this.#dropOthers(new Set(frames.map(({ id }) => id)));
    for (const frame of frames) this.#show(frame, frame.id === currentId);
    this.#arrange(frames.map(({ id }) => this.#tiles.get(id).item));
    if (currentId !== this.#currentId) this.#roving = currentId;
    this.#rove(frames);
    const current = this.#tiles.get(currentId);
    if (current && currentId !== this.#currentId) this.#reveal(current.item);
    this.#currentId = currentId;
  }

  /** A photo's file is at hand now: have its picture drawn. */
  refresh(id) {
    const tile = this.#tiles.get(id);
    if (tile) this.thumbnails.add(tile.canvas, id);
  }

  #dropOthers(kept) {
    for (const [id, { item, canvas }] of this.#tiles) {
      if (kept.has(id)) continue;
      if (item.contains(document.activeElement)) this.#focusNext = [...this.list.children].indexOf(item);
      this.thumbnails.drop(canvas);
      this.#tiles.delete(id);
      item.remove();
    }
  }

  #show(frame, isCurrent) {
    const tile = this.#tiles.get(frame.id) ?? this.#build(frame);
    const { item, button, bar, state, retry } = tile;
    item.dataset.state = frame.state;
    if (isCurrent) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
    setText(state, wordsOf(frame));
    setName(button, `${named(frame.name)}, ${frame.state === 'uploading' ? 'uploading' : wordsOf(frame)}`);
    bar.style.transform = `scaleX(${frame.state === 'uploading' ? frame.progress : 0})`;
    retry.hidden = frame.state !== 'failed';
  }

  #build({ id, name: given }) {
    const name = named(given);
    const canvas = el('canvas', { 'aria-hidden': 'true' });
    const bar = el('span', { class: 'cm-frame-bar' });
    const state = el('span', { class: 'cm-frame-state' });
    const picture = el('span', { class: 'cm-frame-picture' }, canvas, state, bar);
    const label = el('span', { class: 'cm-frame-name' }, name);
    const button = el(
      'button',
      { type: 'button', class: 'cm-frame-open', title: name, onclick: () => this.onOpen(id) },
      picture,
      label,
    );
    const retry = this.#extra('cm-frame-retry', `Try ${name} again`, 'Retry', () => this.onRetry(id));
    const remove = this.#extra('cm-frame-remove', `Remove ${name}`, '×', () => this.onRemove(id));
    const item = el('li', { class: 'cm-frame' }, button, retry, remove);
    const tile = { item, button, canvas, bar, state, retry };
    this.#tiles.set(id, tile);
    this.thumbnails.add(canvas, id);
    return tile;
  }

  /** For the pointer; the keyboard has Delete, and Enter. */
  #extra(name, label, text, run) {
    return el(
      'button',
      { type: 'button', class: name, 'aria-label': label, title: label, tabindex: '-1', onclick: run },
      text,
    );
  }

  #arrange(items) {
    const wanted = [...items, ...(this.add ? [this.add] : [])];
    if (!items.length) this.list.remove();
    else if (!this.list.isConnected) this.element.append(this.list);
    wanted.forEach((item, place) => {
      if (this.list.children[place] !== item) this.list.insertBefore(item, this.list.children[place] ?? null);
    });
  }

  /** One photo can be reached by Tab, the others from there by the arrows. */
  #rove(frames) {
    if (!this.#tiles.has(this.#roving)) this.#roving = frames[0]?.id ?? null;
    for (const [id, { button }] of this.#tiles) button.tabIndex = id === this.#roving ? 0 : -1;
    if (this.#focusNext === null) return;
    const next = frames[Math.min(this.#focusNext, frames.length - 1)];
    this.#focusNext = null;
    if (next) this.#focus(next.id);
  }

  #onKey(event) {
    const ids = [...this.list.querySelectorAll('.cm-frame-open')].map((button) => this.#idOf(button));
    const place = ids.indexOf(this.#idOf(event.target));
    if (place < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Delete') this.onRemove(ids[place]);
    else if (event.key in STEPS) this.#focus(ids[Math.min(Math.max(place + STEPS[event.key], 0), ids.length - 1)]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #idOf(button) {
    for (const [id, tile] of this.#tiles) if (tile.item.contains(button)) return id;
    return null;
  }

  #focus(id) {
    this.#roving = id;
    for (const [other, { button }] of this.#tiles) button.tabIndex = other === id ? 0 : -1;
    const { button, item } = this.#tiles.get(id);
    button.focus({ preventScroll: true });
    this.#reveal(item);
  }

  /** Not `scrollIntoView`, which scrolls the page too. */
  #reveal(item) {
    const { list } = this;
    const [left, right] = [item.offsetLeft - list.offsetLeft, item.offsetLeft - list.offsetLeft + item.offsetWidth];
    const margin = item.offsetWidth / 2; // so that there is something of its neighbour to be seen
    if (left - margin < list.scrollLeft) list.scrollTo({ left: left - margin });
    else if (right + margin > list.scrollLeft + list.clientWidth)
      list.scrollTo({ left: right + margin - list.clientWidth });
  }

  #onWheel(event) {
    if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    const before = this.list.scrollLeft;
    this.list.scrollBy({ left: event.deltaY, behavior: 'instant' });
    if (this.list.scrollLeft !== before) event.preventDefault();
  }
}

function wordsOf({ state, progress, count, hasWork }) {
  if (state === 'uploading') return `${Math.round(100 * progress)} %`;
  if (state === 'failed') return 'failed';
  if (count) return count === 1 ? '1 object' : `${count} objects`;
  if (hasWork) return 'saved';
  return state;
}

function setName(button, name) {
  if (button.getAttribute('aria-label') !== name) button.setAttribute('aria-label', name);
}
