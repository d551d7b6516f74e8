/** The three candidates of an ambiguous click, to choose from: a key, a click, or a notch of the wheel. */

import { candidatesOf, lastAnswer } from './chain.js';
import { el } from './dom.js';

const NAMES = ['whole', 'part', 'smaller part'];

/** The candidates from the largest to the smallest: their numbers in `candidatesOf`. */
export function bySize(making) {
  const masks = candidatesOf(making);
  return masks.map((_, n) => n).sort((a, b) => masks[b].area - masks[a].area);
}

export class Chips {
  #order = [];
  #shown = null; // the answer whose chips there are
  #keys = ''; // that they name

  /** element: where to. keyOf(n): the key of chip 1, 2 or 3. actions: pick(picked), preview(mask | null). */
  constructor(element, keyOf, actions) {
    Object.assign(this, { element, keyOf, actions });
    element.addEventListener('wheel', (event) => this.#turn(event), { passive: false });
    element.addEventListener('pointerleave', () => actions.preview(null));
  }

  /** Show those of an object in the making beside a screen point [x, y]; null hides them. */
  render(making, place) {
    this.#order = making ? bySize(making) : [];
    this.element.hidden = this.#order.length === 0 || !place;
    if (this.element.hidden) {
      this.#shown = null;
      return;
    }
    const answer = lastAnswer(making);
    const keys = [1, 2, 3].map((n) => this.keyOf(n)).join();
    if (answer !== this.#shown || keys !== this.#keys) this.#fill(answer);
    [this.#shown, this.#keys] = [answer, keys];
    this.element.style.transform = `translate(${Math.round(place[0])}px, ${Math.round(place[1])}px)`;
  }

  /** Take chip 1, 2 or 3. */
  choose(number) {
    const picked = this.#order[number - 1];
    if (picked !== undefined) this.actions.pick(picked);
  }

  #fill(answer) {
    this.element.replaceChildren(...this.#order.map((picked, n) => this.#chip(answer, picked, n)));
  }

  #chip(answer, picked, n) {
    const mask = answer.masks[picked];
    const key = this.keyOf(n + 1) || String(n + 1);
    const title = `${key}: ${NAMES[n]}, ${Math.round(mask.score * 100)} % sure`;
    return el(
      'button',
      {
        type: 'button',
        class: 'cm-chip',
        title,
        'aria-label': title,
        'aria-pressed': String(picked === answer.picked),
        onclick: () => this.actions.pick(picked),
        onpointerenter: () => this.actions.preview(mask),
      },
      key,
    );
  }

  #turn(event) {
    event.preventDefault();
    if (!this.#shown || event.deltaY === 0) return;
    const now = this.#order.indexOf(this.#shown.picked);
    const next = Math.max(0, Math.min(this.#order.length - 1, now + Math.sign(event.deltaY)));
    if (next !== now) this.actions.pick(this.#order[next]);
  }
}
