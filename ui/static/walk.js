/** From patches to the mask in six steps, in the numbers of this click; each product can be computed again, here. */

import { el, setText } from './dom.js';
import { fetchWalk, NOTHING_YET, STEPS } from './walk_steps.js';

export class AttentionWalk {
  isOpen = false;
  step = 0;
  numbers = null; // what the steps are told from
  fault = null; // why there are none
  #key = ''; // of the numbers
  #drawn = '';

  /** tab: the AttentionTab. */
  constructor(tab) {
    this.tab = tab;
    this.steps = STEPS.map(({ name }, n) =>
      el('button', { type: 'button', onclick: () => this.go(n) }, `${n + 1} ${name}`),
    );
    this.back = el('button', { type: 'button', onclick: () => this.go(this.step - 1) }, 'Back');
    this.next = el('button', { type: 'button', class: 'cm-primary', onclick: () => this.go(this.step + 1) }, 'Next');
    this.about = el('p', { class: 'cm-dim' });
    this.content = el('div', { class: 'cm-walk-step', 'aria-live': 'polite' });
    this.element = el(
      'details',
      { class: 'cm-walk', ontoggle: () => this.#toggled() },
      el('summary', {}, 'From patches to the mask, in six steps'),
      el('div', { class: 'cm-walk-steps', role: 'group', 'aria-label': 'Steps' }, ...this.steps),
      this.about,
      this.content,
      el('div', { class: 'cm-buttons' }, this.back, this.next),
    );
  }

  /** Show step number `step`. */
  go(step) {
    this.step = Math.min(Math.max(step, 0), STEPS.length - 1);
    if (this.fault) this.#key = ''; // once more
    this.draw();
  }

  /** Bring it up to date: it follows the token, layer and head that are chosen. */
  draw() {
    const { seen, choice } = this.tab;
    if (!this.isOpen) return;
    const isLooking = choice.kind === 'looks' || !this.numbers;
    const layer = choice.kind === 'looks' ? choice.layer : (this.numbers?.layer ?? 2);
    const head = isLooking && choice.kind !== 'patch' ? (choice.head ?? 0) : (this.numbers?.head ?? 0);
    const { prompt, doc, source } = this.tab;
    const key = seen ? JSON.stringify([prompt, layer, head, doc.id, source]) : '';
    if (key !== this.#key) this.#ask(key, { layer, head });
    if (this.numbers) this.numbers.token = choice.token;
    this.#render();
  }

  #toggled() {
    this.isOpen = this.element.open;
    this.draw();
  }

  async #ask(key, wish) {
    Object.assign(this, { numbers: null, fault: null });
    this.#key = key;
    if (!key) return;
    try {
      const numbers = await fetchWalk(this.tab, wish);
      if (this.#key === key) this.numbers = { ...numbers, token: this.tab.choice.token };
    } catch (error) {
      if (this.#key === key) this.fault = error.message;
    }
    this.#render();
  }

  #render() {
    const { numbers, step } = this;
    this.steps.forEach((button, n) => button.setAttribute('aria-current', n === step ? 'step' : 'false'));
    this.back.disabled = step === 0;
    this.next.disabled = step === STEPS.length - 1;
    const { seen } = this.tab;
    if (!numbers) {
      setText(this.about, seen ? (this.fault ?? 'Asking…') : NOTHING_YET);
      this.content.replaceChildren();
      this.#drawn = '';
      return;
    }
    const { layer, head, token, tokens } = numbers;
    const who = `The token “${tokens[token]}”, layer ${layer + 1}, head ${head + 1}`;
    setText(this.about, `${who}: choose others above.`);
    const drawn = JSON.stringify([this.#key, token, step]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.content.replaceChildren(...STEPS[step].tell(numbers).map((part) => made(part)));
  }
}

/** A part of a step as an element: a paragraph, a formula, tables side by side, or a product. */
function made(part) {
  if (part.formula) return el('p', { class: 'cm-formula' }, part.formula);
  if (part.tables) return el('div', { class: 'cm-tables' }, ...part.tables.map(tableOf));
  if (part.product) return productOf(part.product);
  return el('p', {}, part.text);
}

/** {name, rows: number[][], rowNames, columnNames, more}: more: what is not shown, in words. */
function tableOf({ name, rows, rowNames = [], columnNames = null, more = '' }) {
  const columns = columnNames?.map((text) => el('th', { scope: 'col' }, text)) ?? [];
  const head = columns.length > 0 && el('tr', {}, ...(rowNames.length ? [el('td')] : []), ...columns);
  const lines = rows.map((row, n) => {
    const names = rowNames.length ? [el('th', { scope: 'row' }, rowNames[n])] : [];
    return el('tr', {}, ...names, ...[...row].map((value) => el('td', {}, shown(value))));
  });
  const parts = [el('caption', {}, name), ...(head ? [el('thead', {}, head)] : []), el('tbody', {}, ...lines)];
  const table = el('table', {}, ...parts);
  const scroll = { class: 'cm-numbers', tabindex: '0', role: 'region', 'aria-label': name };
  return el('div', scroll, table, el('small', { class: 'cm-dim' }, more));
}

/** {name, names, models: number[], compute(): number[]}: the model's numbers, and a button to compute them again. */
function productOf({ name, names, models, compute }) {
  const verdict = el('output', { class: 'cm-verdict' });
  const place = el('div');
  const show = () => {
    const own = compute();
    const rows = [[...models], own];
    place.replaceChildren(tableOf({ name, rows, rowNames: ['the model', 'computed here'], columnNames: names }));
    const most = Math.max(...own.map((value, n) => Math.abs(value - models[n])));
    setText(verdict, `They differ by ${most === 0 ? '0' : most.toExponential(1)} at most.`);
    Object.assign(verdict, { most });
  };
  place.append(tableOf({ name, rows: [[...models]], rowNames: ['the model'], columnNames: names }));
  const button = el('button', { type: 'button', onclick: show }, 'Compute it again');
  return el('div', { class: 'cm-product' }, place, el('div', { class: 'cm-buttons' }, button, verdict));
}

/** Four digits that count; numbers of one table stay comparable. */
function shown(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size < 1e-3 || size >= 1e5 ? value.toExponential(1) : value.toFixed(size < 1 ? 4 : size < 100 ? 2 : 0);
}
