/** The controls of the Everything tool: progress, thresholds, and what to keep. */

import { el, setText } from './dom.js';

const GRIDS = { 16: '16 × 16: quick', 32: '32 × 32', 64: '64 × 64: finer, slower' };
const FLOORS = { score: 0.7, stability: 0.8 }; // what the server keeps in mind
const MOST_SHARE = 1 / 4; // of the photo's shorter side: the smallest object that can be asked for

export class EverythingPanel {
  /** element: where to. everything: see everything.js. */
  constructor(element, everything) {
    Object.assign(this, { element, everything });
    this.said = el('p', { class: 'cm-tally', role: 'status' });
    this.bar = el('progress', { 'aria-label': 'Search for all objects' });
    this.stop = button('Stop', 'End the search', () => this.#leave());
    this.again = button('Find all objects', 'Search this photo', () => everything.search());
    this.working = el('div', { class: 'cm-working' }, this.bar, this.stop);
    this.fields = this.#makeFields();
    this.keeping = this.#makeKeeping();
    element.append(this.#makeHead(), this.said, this.working, this.again, this.keeping, this.fields);
    element.addEventListener('keydown', (event) => event.key === 'Escape' && this.#escape(event));
  }

  /** Bring it up to date. */
  render() {
    const { everything, element } = this;
    const { tools, bench, settings } = everything.page;
    element.hidden = tools.tool !== 'everything' || !bench.doc;
    if (element.hidden) return;
    const { isHere, isSearching, candidates, kept } = everything;
    const isFound = isHere && candidates !== null;
    setText(this.said, isHere ? this.#words() : 'This photo was not searched yet.');
    this.working.hidden = !(isHere && isSearching);
    this.again.hidden = isFound || (isHere && isSearching);
    this.keeping.hidden = !isFound;
    this.#renderProgress(everything.progress);
    this.#renderFields(settings.everything, bench.doc.size);
    setText(this.done, kept.size ? `Done: ${kept.size} kept` : 'Done');
    this.done.disabled = isFound && !everything.isChoosing;
  }

  #words() {
    const { candidates, kept, error, isSearching, isChoosing, progress } = this.everything;
    const number = (count) => count.toLocaleString('en');
    if (error) return `The search failed: ${error}.`;
    if (isSearching && !progress) return 'Looking for all objects…';
    if (isSearching) return `Looking: ${number(progress.done)} of ${number(progress.total)} points`;
    if (!candidates) return 'This photo was not searched yet.';
    if (!isChoosing) return `${number(candidates.length)} found. Finish the object in the making, then choose.`;
    if (!candidates.length) return 'Nothing is as sure as that: move the sliders to the left.';
    const found = `${number(candidates.length)} found, ${number(kept.size)} kept.`;
    if (!this.everything.isComplete) return `${found} The server had no time to look everywhere: take a coarser grid.`;
    return `${found} Click to keep, or drag around several.`;
  }

  #renderProgress(progress) {
    if (!progress) this.bar.removeAttribute('value');
    else Object.assign(this.bar, { max: progress.total, value: progress.done });
  }

  #renderFields({ pointsPerSide, score, stability, side, largest }, size) {
    this.#show('score', score, score.toFixed(2));
    this.#show('stability', stability, stability.toFixed(2));
    if (size) this.inputs.side.max = Math.round(Math.min(...size) * MOST_SHARE);
    this.#show('side', side, side ? `${side} × ${side} px` : 'any');
    const { grid, count } = this;
    if (![...grid.options].some(({ value }) => value === String(pointsPerSide)))
      grid.append(el('option', { value: pointsPerSide }, `${pointsPerSide} × ${pointsPerSide}`));
    if (grid.value !== String(pointsPerSide)) grid.value = pointsPerSide;
    if (document.activeElement !== count) count.value = largest;
  }

  #show(name, value, words) {
    const input = this.inputs[name];
    if (Number(input.value) !== value) input.value = value;
    input.setAttribute('aria-valuetext', words);
    setText(this.outputs[name], words);
  }

  #makeHead() {
    const close = el(
      'button',
      { type: 'button', class: 'cm-close', 'aria-label': 'Leave without keeping', onclick: () => this.#leave() },
      '×',
    );
    return el('div', { class: 'cm-everything-head' }, el('strong', {}, 'Everything'), close);
  }

  #makeFields() {
    Object.assign(this, { inputs: {}, outputs: {} });
    const grids = Object.entries(GRIDS).map(([value, words]) => el('option', { value }, words));
    const onchange = () => this.everything.set({ pointsPerSide: Number(this.grid.value) });
    this.grid = el('select', { name: 'grid', onchange }, ...grids);
    return el(
      'div',
      { class: 'cm-thresholds' },
      this.#slider('score', 'Score at least', { min: FLOORS.score, max: 1, step: 0.01 }),
      this.#slider('stability', 'Stability at least', { min: FLOORS.stability, max: 1, step: 0.01 }),
      this.#slider('side', 'Size at least', { min: 0, max: 100, step: 1 }),
      el('label', { class: 'cm-grid' }, el('span', {}, 'Grid of points'), this.grid),
    );
  }

  #slider(name, words, range) {
    const input = el('input', { type: 'range', name, 'aria-label': words, ...range });
    input.addEventListener('input', () => this.everything.set({ [name]: Number(input.value) }));
    this.inputs[name] = input;
    this.outputs[name] = el('output', {});
    return el('label', {}, el('span', {}, words), this.outputs[name], input);
  }

  #makeKeeping() {
    const { everything } = this;
    const onchange = () => everything.set({ largest: this.#number() });
    const name = 'How many of the largest';
    this.count = el('input', { type: 'number', min: 1, step: 1, name: 'count', 'aria-label': name, onchange });
    this.done = button('Done', 'The kept ones become objects', () => this.#do(() => everything.done()));
    this.done.classList.add('cm-primary');
    return el(
      'div',
      { class: 'cm-keeping' },
      button('Keep all', 'Keep all that were found', () => everything.keepAll()),
      button('Keep none', 'Keep none of them', () => everything.keepNone()),
      el(
        'span',
        { class: 'cm-largest' },
        button('Keep largest', 'Keep the so many largest, and no others', () => everything.keepLargest(this.#number())),
        this.count,
      ),
      button('Cut out all', 'All become objects, and are saved as cut-outs', () =>
        this.#do(() => everything.cutOutAll()),
      ),
      this.done,
    );
  }

  #number() {
    return Math.max(1, Math.round(Number(this.count.value) || 1));
  }

  #escape(event) {
    event.preventDefault();
    this.#do(() => this.everything.escape());
  }

  #leave() {
    this.#do(() => this.everything.leave());
  }

  /** The panel goes, and the photo gets the focus. */
  #do(act) {
    act();
    this.everything.page.at('stage').focus({ preventScroll: true });
  }
}

const button = (name, title, onclick) => el('button', { type: 'button', title, onclick }, name);
