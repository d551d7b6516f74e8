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

  /** element: where to. actions: pick(picked), preview(mask | null). */
  constructor(element, actions) {
    Object.assign(this, { element, actions });
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
    if (answer !== this.#shown) this.#fill(answer);
    this.#shown = answer;
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
    const title = `${n + 1}: ${NAMES[n]}, ${Math.round(mask.score * 100)} % sure`;
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
      String(n + 1),
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
