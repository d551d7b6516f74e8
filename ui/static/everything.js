/** All objects of the photo at once: the search, and choosing among what it found. */

import { candidatesFrom, insideOf, smallestAt, stateOf } from './candidates.js';
import { EverythingPanel } from './everything_panel.js';
import { join } from './joining.js';
import { colourOf } from './palette.js';
import { Search } from './search.js';

const REST = 200; // ms without a change of the thresholds before they are asked about

export class Everything {
  /** The photo that was searched last, or is being searched; null for none. */
  doc = null;
  /** What was found there, the largest first; null while it is not known. */
  candidates = null;
  /** The candidates that are kept. */
  kept = new Set();
  /** Whether everything was looked at; the server's time may have been over before. */
  isComplete = true;
  /** Why there is nothing, as a sentence, or null. */
  error = null;
  /** The candidate under the pointer, or null. */
  pointed = null;
  #search = new Search(() => this.page.bench.draw());
  #timer = null;
  #isStale = false; // other thresholds were set since the search began

  /** page: {at, app, tools, settings, stage, toasts, documents, exporter, bench, hand}. */
  constructor(page) {
    this.page = page;
    this.panel = new EverythingPanel(page.at('everything'), this);
  }

  /** The tool was taken: the photo is searched, unless it was before. */
  begin() {
    if (this.page.bench.doc && !(this.isHere && (this.candidates || this.isSearching))) this.search();
  }

  /** Search the photo that is looked at, anew. */
  search() {
    this.forget();
    this.doc = this.page.bench.doc;
    this.#ask();
  }

  /** The search ends, and what it found goes. */
  forget() {
    this.#rest();
    this.#search.stop();
    this.kept.clear();
    Object.assign(this, { doc: null, candidates: null, error: null });
    this.#point(null);
  }

  /** A photo was closed, or another one opened: what belongs to one that is gone, goes. */
  photosChanged() {
    if (this.doc && !this.page.documents.list.includes(this.doc)) this.forget();
  }

  /** What is asked of the search: see settings.js. Another grid is another search; the rest only chooses. */
  set(values) {
    const { settings } = this.page;
    const before = settings.everything;
    settings.set({ everything: { ...before, ...values } });
    if (!this.isHere || 'largest' in values) return;
    this.#rest();
    if (settings.everything.pointsPerSide !== before.pointsPerSide) this.search();
    else if (this.candidates || this.isSearching) this.#timer = setTimeout(() => this.#choose(), REST);
  }

  /** Whether the photo that is looked at is the one that was searched. */
  get isHere() {
    return this.doc !== null && this.doc === this.page.bench.doc;
  }

  /** Whether nothing is known yet, or all is looked for anew. */
  get isSearching() {
    return this.#search.isOn && (!this.candidates || this.#search.progress !== null);
  }

  /** Whether an answer is awaited, or will be asked for shortly: for the tests. */
  get isBusy() {
    return this.#search.isOn || this.#timer !== null;
  }

  /** {done, total} of the search, or null before it tells. */
  get progress() {
    return this.#search.progress;
  }

  /** Whether clicks and drags choose now; with an object in the making they go on with that. */
  get isChoosing() {
    const { tools, bench } = this.page;
    return tools.tool === 'everything' && this.isHere && this.candidates !== null && !bench.editor?.making;
  }

  /** The pointer is at this image point; null: it left. */
  over(point) {
    this.#point(point && this.isChoosing ? smallestAt(this.candidates, ...point) : null);
  }

  /** Keep the smallest candidate at an image point, or keep it no longer. */
  toggleAt(point) {
    const candidate = smallestAt(this.candidates, ...point);
    if (!candidate) return;
    const isKept = this.kept.delete(candidate);
    if (!isKept) this.kept.add(candidate);
    this.page.bench.draw();
  }

  /** Keep all that lie within a box of the image, beside those that are kept. */
  keepInside(box) {
    this.#keep([...this.kept, ...insideOf(this.candidates, box)]);
  }

  keepAll() {
    this.#keep(this.candidates);
  }

  keepNone() {
    this.#keep([]);
  }

  /** Keep the so many largest, and no others. */
  keepLargest(count) {
    this.#keep(this.candidates.slice(0, count));
  }

  /** Those that are kept become objects, as one command. */
  done() {
    const chosen = this.candidates.filter((candidate) => this.kept.has(candidate));
    const { doc } = this;
    if (chosen.length) {
      const state = stateOf(chosen, this.page.settings.label);
      doc.session.run('Keep objects', join(doc.session.state, state));
    }
    this.kept.clear();
    this.leave();
    this.page.bench.renew(doc);
    return doc.session.state.objects.slice(doc.session.state.objects.length - chosen.length);
  }

  /** All become objects, and leave as cut-outs. */
  async cutOutAll() {
    this.keepAll();
    const things = this.done();
    if (things.length) await this.page.exporter.cutOut(things);
  }

  /** Escape: nothing more is kept, and a search that is not done ends. Whether there was something to leave. */
  escape() {
    if (this.page.tools.tool !== 'everything' || this.page.bench.editor?.making) return false;
    this.leave();
    return true;
  }

  /** Another tool in hand; what was found stays until another photo is searched. */
  leave() {
    if (this.isHere && this.isSearching) this.#giveUp();
    this.#point(null);
    this.page.tools.take('point');
  }

  /** Bring the screen up to date. */
  draw() {
    const { stage, app } = this.page;
    const { isChoosing } = this;
    app.toggleAttribute('data-choosing', isChoosing);
    stage.setCandidates(isChoosing ? this.candidates.map((candidate) => this.#look(candidate)) : []);
    if (!isChoosing) this.#point(null);
    this.panel.render();
  }

  #keep(candidates) {
    this.kept = new Set(candidates);
    this.page.bench.draw();
  }

  #point(candidate) {
    if (candidate === this.pointed) return;
    this.pointed = candidate;
    this.page.stage.setPointed(candidate && this.#look(candidate));
  }

  #look(candidate) {
    return { mask: candidate.mask, colour: colourOf(candidate.colour), isKept: this.kept.has(candidate) };
  }

  #giveUp() {
    if (this.candidates) this.#search.stop();
    else this.forget();
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Other thresholds count: now, or when the search that is on its way is done. */
  #choose() {
    this.#rest();
    if (this.isSearching) this.#isStale = true;
    else this.#ask();
  }

  async #ask() {
    const { doc, page } = this;
    this.error = null;
    this.#isStale = false;
    try {
      const answer = await this.#search.ask(doc, page.settings.everything);
      if (answer) this.#take(doc, answer);
    } catch (error) {
      this.error = error.message;
    }
    page.bench.changed();
    if (this.#isStale && this.candidates) this.#ask();
  }

  #take(doc, answer) {
    const isNew = this.candidates === null;
    this.isComplete = answer.complete;
    this.candidates = candidatesFrom(answer, doc.size, this.candidates ?? []);
    const found = new Set(this.candidates);
    this.kept = new Set([...this.kept].filter((candidate) => found.has(candidate)));
    if (isNew && !(this.isHere && this.page.tools.tool === 'everything')) this.#offer(doc);
  }

  /** The search was left alone, and is done. */
  #offer(doc) {
    const { toasts, documents, tools } = this.page;
    const choose = async () => {
      if (documents.current !== doc) await documents.open(doc);
      tools.take('everything');
      this.page.at('stage').focus({ preventScroll: true });
    };
    toasts.say(`${doc.name}: ${counted(this.candidates.length)} found.`, { action: { name: 'Choose', run: choose } });
  }
}

/** A number of objects, in words. */
export const counted = (count) => (count === 1 ? '1 object' : `${count.toLocaleString('en')} objects`);
