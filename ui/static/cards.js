/** The list of objects: one card each, the topmost first. */

import { el, setText } from './dom.js';
import { colourOf, css } from './palette.js';

const THUMBNAIL = 44; // CSS pixels

export class Cards {
  #cards = new Map(); // id -> card
  #filter = '';
  #before = null; // what had the focus before a label

  /**
   * list, header: where to. actions: select(id, adding), reopen, rename, recolour, setHidden, showAll, setLocked,
   * remove, reorder, hover(id | null). thumbnail(mask, size): a canvas.
   */
  constructor(list, header, actions, thumbnail) {
    Object.assign(this, { list, actions, thumbnail });
    this.count = el('span', { class: 'cm-count', 'aria-live': 'polite' });
    this.filter = el('select', {
      'aria-label': 'Show objects labelled',
      onchange: () => this.#setFilter(this.filter.value),
    });
    this.sight = [
      el('button', { type: 'button', title: 'Show all objects', onclick: () => actions.showAll(true) }, 'Show'),
      el('button', { type: 'button', title: 'Hide all objects', onclick: () => actions.showAll(false) }, 'Hide'),
    ];
    this.labels = el('datalist', { id: 'cm-labels' });
    this.none = el(
      'p',
      { class: 'cm-none' },
      'Click a thing on the photo and finish it: finished objects are listed here.',
    );
    header.append(this.count, this.filter, ...this.sight, this.labels);
    list.before(this.none);
  }

  /**
   * Show these. objects: Things from the lowest up. shown: {hidden: Set, selected: Set, current: id | null, area,
   * labels}: area is the photo's, labels those used, the newest first.
   */
  render(objects, shown) {
    Object.assign(this, { objects, shown });
    this.#offerLabels();
    const ids = new Set(objects.map((thing) => thing.id));
    for (const [id, card] of this.#cards) if (!ids.has(id)) this.#drop(id, card);
    [...objects].reverse().forEach((thing, place) => this.#place(this.#card(thing), place));
    for (const thing of objects) this.#update(this.#cards.get(thing.id), thing);
    for (const part of this.sight) part.hidden = !objects.length;
    this.none.hidden = objects.length > 0;
    setText(this.count, objects.length === 1 ? '1 object' : `${objects.length} objects`);
  }

  /** Bring an object's card into view, and flash it. */
  reveal(id) {
    const card = this.#cards.get(id);
    if (card) intoView(this.list, card.root);
    card?.root.animate?.([{ opacity: 0.4 }, { opacity: 1 }], 300);
  }

  /** Put the cursor into an object's label; the focus goes back to where it was. */
  edit(id) {
    const label = this.#cards.get(id)?.label;
    if (!label) return;
    this.#before = document.activeElement;
    label.focus();
    label.select();
  }

  #drop(id, card) {
    card.root.remove();
    this.#cards.delete(id);
  }

  #place(card, place) {
    if (this.list.children[place] !== card.root) this.list.insertBefore(card.root, this.list.children[place] ?? null);
  }

  #card({ id }) {
    if (!this.#cards.has(id)) this.#cards.set(id, this.#make(id));
    return this.#cards.get(id);
  }

  #make(id) {
    const { actions } = this;
    const button = (className, onclick) => el('button', { type: 'button', class: className, onclick });
    const card = {
      picture: el('span', { class: 'cm-thumb' }),
      swatch: button('cm-swatch', () => this.#nextColour(id)),
      label: this.#labelField(id),
      facts: el('span', { class: 'cm-facts' }),
      eye: button('cm-eye', () => actions.setHidden(id, !this.shown.hidden.has(id))),
      lock: button('cm-lock', () => actions.setLocked(id, !this.#thing(id).locked)),
      bin: button('cm-bin', () => actions.remove(id)),
    };
    const tools = el('span', { class: 'cm-card-tools' }, card.eye, card.lock, card.bin);
    card.root = el(
      'li',
      { class: 'cm-card', tabindex: '0', draggable: 'true', 'data-id': id },
      card.picture,
      el('span', { class: 'cm-name' }, card.swatch, card.label),
      tools,
      card.facts,
    );
    this.#listen(card.root, id);
    return card;
  }

  #listen(root, id) {
    const { actions } = this;
    const own = (event) => !event.target.closest('button, input');
    root.addEventListener('click', (event) => own(event) && actions.select(id, isAdding(event)));
    root.addEventListener('dblclick', (event) => own(event) && actions.reopen(id));
    root.addEventListener('pointerenter', () => actions.hover(id));
    root.addEventListener('pointerleave', () => actions.hover(null));
    root.addEventListener('keydown', (event) => event.target === root && this.#key(event, id));
    root.addEventListener('dragstart', (event) =>
      event.dataTransfer.setData('application/x-clickmask-object', String(id)),
    );
    root.addEventListener('dragover', (event) => carriesObject(event) && event.preventDefault());
    root.addEventListener('drop', (event) => carriesObject(event) && this.#dropOn(event, id));
  }

  #key(event, id) {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    const { actions } = this;
    if (step && (event.ctrlKey || event.metaKey)) this.#move(id, this.#rank(id) + step);
    else if (step)
      (step > 0 ? event.currentTarget.previousElementSibling : event.currentTarget.nextElementSibling)?.focus();
    else if (event.key === 'Enter') actions.reopen(id);
    else if (event.key === ' ') actions.select(id, isAdding(event));
    else if (event.key === 'Delete') actions.remove(id);
    else if (event.key === 'F2') this.edit(id);
    else return;
    event.preventDefault();
  }

  #labelField(id) {
    const field = el('input', {
      class: 'cm-label',
      list: 'cm-labels',
      placeholder: 'no label',
      'aria-label': 'Label',
      maxlength: 200,
    });
    field.addEventListener('blur', () => (this.#before = null));
    field.addEventListener('change', () => this.actions.rename(id, field.value.trim()));
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') field.value = this.#thing(id).label;
      if (event.key === 'Escape' || event.key === 'Enter') this.#leave(field);
    });
    return field;
  }

  #leave(field) {
    const before = this.#before;
    field.blur();
    before?.focus({ preventScroll: true });
  }

  #update(card, thing) {
    const { hidden, selected, current, area } = this.shown;
    const isHidden = hidden.has(thing.id);
    const { mask } = thing.final;
    const name = thing.label || `object ${thing.id}`;
    card.root.classList.toggle('is-selected', selected.has(thing.id));
    card.root.classList.toggle('is-open', current === thing.id);
    card.root.hidden = this.#filter !== '' && thing.label !== this.#filter;
    card.root.setAttribute('aria-label', `${name}${selected.has(thing.id) ? ', selected' : ''}`);
    card.swatch.style.background = css(colourOf(thing.colour));
    if (document.activeElement !== card.label) card.label.value = thing.label;
    setText(card.facts, facts(mask, area));
    describe(card.swatch, 'Change the colour');
    describe(card.eye, isHidden ? `Show ${name}` : `Hide ${name}`, !isHidden);
    describe(card.lock, thing.locked ? `Unlock ${name}` : `Lock ${name}`, thing.locked);
    describe(card.bin, `Delete ${name}`);
    if (card.drawn !== mask) card.picture.replaceChildren(this.thumbnail(mask, THUMBNAIL));
    card.drawn = mask;
  }

  #nextColour(id) {
    this.actions.recolour(id, this.#thing(id).colour + 1);
  }

  #dropOn(event, target) {
    event.preventDefault();
    this.#move(Number(event.dataTransfer.getData('application/x-clickmask-object')), this.#rank(target));
  }

  #move(id, rank) {
    const place = Math.max(0, Math.min(this.objects.length - 1, rank));
    if (this.#thing(id) && place !== this.#rank(id)) this.actions.reorder(id, place);
  }

  #rank(id) {
    return this.objects.findIndex((thing) => thing.id === id);
  }

  #thing(id) {
    return this.objects.find((thing) => thing.id === id);
  }

  #setFilter(label) {
    this.#filter = label;
    this.render(this.objects, this.shown);
  }

  #offerLabels() {
    const { labels } = this.shown;
    const text = labels.join('\n');
    if (this.offered === text) return;
    this.offered = text;
    if (!labels.includes(this.#filter)) this.#filter = '';
    this.labels.replaceChildren(...labels.map((label) => el('option', { value: label })));
    this.filter.replaceChildren(
      el('option', { value: '' }, 'all labels'),
      ...labels.map((label) => el('option', {}, label)),
    );
    this.filter.value = this.#filter;
    this.filter.hidden = labels.length === 0;
  }
}

const carriesObject = (event) => event.dataTransfer.types.includes('application/x-clickmask-object');

/** Whether what is clicked joins what is selected. */
const isAdding = (event) => event.ctrlKey || event.metaKey || event.shiftKey;

/** The list scrolls, and nothing around it: on a narrow screen the photo would be pushed out of sight. */
function intoView(list, card) {
  const [around, own] = [list.getBoundingClientRect(), card.getBoundingClientRect()];
  if (own.top < around.top) list.scrollTop -= around.top - own.top;
  else if (own.bottom > around.bottom) list.scrollTop += own.bottom - around.bottom;
}

function facts(mask, area) {
  const share = (100 * mask.area) / area;
  const score = mask.score === null ? '' : `${Math.round(mask.score * 100)} % sure · `;
  return `${score}${mask.area.toLocaleString('en')} px · ${share < 0.1 ? '< 0.1' : share.toFixed(1)} %`;
}

function describe(button, title, pressed = null) {
  button.title = title;
  button.setAttribute('aria-label', title);
  if (pressed !== null) button.setAttribute('aria-pressed', pressed);
}
