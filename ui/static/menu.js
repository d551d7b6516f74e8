/** A menu at a place of the window, for hand and keys; one at a time. */

import { el } from './dom.js';

const EDGE = 8; // CSS pixels left free at the window's sides

export class Menu {
  #open = null; // {element, before: what had the focus, listening: AbortController}

  /** app: where it is put, so that it looks like the rest. */
  constructor(app) {
    this.app = app;
  }

  /**
   * items: [{name, key, run}], null for a line between. place: [x, y], CSS pixels of the window. label: what it is the
   * menu of. byKey: the first item has the focus at once. The focus goes back to where it was.
   */
  show(items, { place, label, byKey = false }) {
    this.close();
    const element = el(
      'div',
      { class: 'cm-menu', role: 'menu', 'aria-label': label, tabindex: '-1', popover: 'manual' },
      ...items.map((item) => this.#item(item)),
    );
    this.#open = { element, before: document.activeElement, listening: new AbortController() };
    this.app.append(element);
    element.showPopover();
    put(element, place);
    this.#listen(element);
    (byKey ? element.querySelector('button') : element).focus({ preventScroll: true });
  }

  close() {
    if (!this.#open) return;
    const { element, before, listening } = this.#open;
    this.#open = null;
    listening.abort();
    element.remove();
    before?.focus({ preventScroll: true });
  }

  #item(item) {
    if (!item) return el('div', { role: 'separator' });
    const run = () => {
      this.close();
      item.run();
    };
    const keys = item.key ? [el('kbd', { 'aria-hidden': 'true' }, item.key)] : [];
    const values = {
      type: 'button',
      role: 'menuitem',
      tabindex: '-1',
      onclick: run,
      onpointerenter: (event) => event.currentTarget.focus(),
    };
    return el('button', values, el('span', {}, item.name), ...keys);
  }

  #listen(element) {
    const { signal } = this.#open.listening;
    element.addEventListener('keydown', (event) => this.#key(event), { signal });
    element.addEventListener('contextmenu', (event) => event.preventDefault(), { signal });
    document.addEventListener('pointerdown', (event) => this.#outside(event), { signal, capture: true });
    for (const name of ['blur', 'resize']) addEventListener(name, () => this.close(), { signal });
    document.addEventListener('scroll', (event) => event.target !== element && this.close(), { signal, capture: true });
  }

  /** A press beside the menu closes it, and does nothing else; the other button may open the next. */
  #outside(event) {
    if (this.#open.element.contains(event.target)) return;
    if (event.button === 0) event.stopPropagation();
    this.close();
  }

  #key(event) {
    const items = [...this.#open.element.querySelectorAll('button')];
    const at = items.indexOf(document.activeElement);
    const next = placeAfter(event, at, items);
    if (next !== null) items[next].focus();
    else if (event.key === 'Escape' || event.key === 'Tab') this.close();
    else return;
    event.preventDefault();
  }
}

/** The number of the item that a key goes to, or null. */
function placeAfter({ key }, at, items) {
  const count = items.length;
  const places = {
    ArrowDown: (at + 1) % count,
    ArrowUp: (Math.max(at, 0) + count - 1) % count,
    Home: 0,
    End: count - 1,
  };
  if (key in places) return places[key];
  if (key.length !== 1 || key === ' ') return null;
  const order = items.map((_, n) => (at + 1 + n) % count);
  return order.find((n) => items[n].textContent.toLowerCase().startsWith(key.toLowerCase())) ?? null;
}

/** Beside the place, and inside the window. */
function put(element, [x, y]) {
  const { offsetWidth: width, offsetHeight: height } = element;
  const left = Math.min(x, innerWidth - width - EDGE);
  const top = y + height > innerHeight - EDGE ? y - height : y;
  Object.assign(element.style, {
    left: `${Math.max(EDGE, left)}px`,
    top: `${Math.max(EDGE, Math.min(top, innerHeight - height - EDGE))}px`,
  });
}
