/** What the user does with one image: prompts, objects, undo; what follows from it is drawn by whoever listens. */

import * as chain from './chain.js';
import * as session from './session.js';

export class Editor {
  /**
   * doc: {id, name, size, session, asker, finals, windows}. settings: {label, isRapid, keepsOff}: the label new objects
   * get, whether each click finishes an object, whether finished objects leave out what others cover.
   * tell(sentence): a hint for the user. onChange(): draw again.
   */
  constructor(doc, settings, { tell, onChange }) {
    Object.assign(this, { doc, settings, tell, onChange });
    this.selected = new Set();
    this.placed = null; // a making with points placed while Ctrl is held, not asked about yet
  }

  get state() {
    return this.doc.session.state;
  }

  get current() {
    return this.state.current;
  }

  /** The object in the making as it looks now, or null. */
  get making() {
    return this.placed ?? this.current?.making ?? null;
  }

  /**
   * What a click at this place would go on with: the object in the making or a new one, seen so that the place is in
   * it.
   */
  at([x, y]) {
    return this.#fitting(this.making ?? this.#fresh(), [x, y, x, y]);
  }

  /** A point: label 1 adds, 0 removes. hold: more will follow before the question is asked. */
  addPoint([x, y], label, { hold = false } = {}) {
    if (!this.#isInside(x, y)) return;
    if (!this.making && label === 0) {
      this.tell('Click on the thing first; then take away what does not belong to it.');
      return;
    }
    const before = this.at([x, y]);
    const making = chain.addPoint(before, x, y, label);
    if (hold) {
      this.placed = making;
      this.onChange();
    } else this.#edit('Add point', making, { finishes: label === 1 });
  }

  /** The points placed so far are asked about. */
  askPlaced() {
    if (!this.placed) return;
    const making = this.placed;
    this.placed = null;
    this.#edit('Add points', making);
  }

  /** The box of this object, drawn or drawn anew. */
  setBox(box) {
    const [width, height] = this.doc.size;
    const [x0, y0, x1, y1] = box;
    const inside = [Math.max(0, x0), Math.max(0, y0), Math.min(width, x1), Math.min(height, y1)];
    if (inside[2] - inside[0] < 1 || inside[3] - inside[1] < 1) return;
    const before = this.#fitting(this.making ?? this.#fresh(), inside);
    this.#edit('Draw box', chain.setBox(before, inside), { finishes: true });
  }

  movePoint(point, [x, y]) {
    const [width, height] = this.doc.size;
    const inside = [Math.min(Math.max(x, 0), width - 0.5), Math.min(Math.max(y, 0), height - 0.5)];
    this.#edit('Move point', chain.movePoint(this.#fitting(this.making, [...inside, ...inside]), point, ...inside));
  }

  deletePoint(point) {
    this.#edit('Delete point', chain.deletePoint(this.making, point));
  }

  /** Take the newest point or box away. */
  deleteLast() {
    if (this.placed || !this.current) this.placed = null;
    else if (this.making.elements.length) this.#edit('Delete point', chain.dropLast(this.making));
    this.onChange();
  }

  /** Candidate number `picked` of `chain.candidatesOf`. */
  pick(picked) {
    if (!chain.candidatesOf(this.making ?? chain.EMPTY)[picked]) return;
    this.#edit('Choose candidate', chain.pick(this.making, picked));
  }

  /** A stroke of brush, eraser or lasso. */
  paint(stroke) {
    if (!this.making && stroke.op === 'erase') {
      this.tell('There is nothing to erase: begin or open an object first.');
      return;
    }
    this.#edit(stroke.op === 'add' ? 'Paint' : 'Erase', chain.addStroke(this.making ?? this.#fresh(), stroke));
  }

  /** Specks and holes below this share of the area go; of the object in the making, or of the selected ones. */
  setClean(share) {
    if (this.current) {
      this.#edit('Clean up', chain.setClean(this.making, share));
      return;
    }
    let { state } = this;
    for (const id of this.selected)
      state = this.#remade(state, id, chain.setClean(session.find(state, id).making, share));
    this.#run('Clean up', state);
  }

  /** Take the selected objects' pixels off the one in the making. */
  subtractSelected() {
    if (!this.current || !this.selected.size) return;
    const strokes = this.#selectedThings().map((thing) => chain.wholeStroke('erase', thing));
    this.#edit('Subtract', strokes.reduce(chain.addStroke, this.making));
  }

  /** The object is done, and the next may begin. */
  finish() {
    this.askPlaced();
    const { current } = this;
    if (!current) return;
    let { making } = current;
    if (this.settings.keepsOff) making = this.#keptOff(making, current.id);
    const state = session.commit(
      { ...this.state, current: { ...current, making } },
      this.settings.label,
      this.doc.finals.begin(making),
    );
    this.#run('Finish object', state);
    this.#settle(current.id);
  }

  /** Give up what is being made; with nothing in the making, what is selected. */
  cancel() {
    this.placed = null;
    if (this.current) this.#run('Cancel', session.cancel(this.state));
    else this.select([]);
  }

  /** Open an object again, with its prompts. */
  reopen(id) {
    const thing = session.find(this.state, id);
    if (!thing || this.#isLocked(thing)) return;
    if (this.current) this.finish();
    this.selected = new Set();
    this.#run('Open object', session.reopen(this.state, id));
  }

  select(ids, { adding = false } = {}) {
    const before = adding ? [...this.selected] : [];
    const toggled = ids.filter((id) => !before.includes(id));
    this.selected = new Set([...before.filter((id) => !ids.includes(id)), ...toggled]);
    this.onChange();
  }

  /** Another label for an object, or for the one in the making once it is finished. */
  rename(id, label) {
    if (session.find(this.state, id).label !== label) this.#run('Rename', session.update(this.state, id, { label }));
  }

  /** Another colour, by its number in the palette. */
  recolour(id, colour) {
    this.#run('Change colour', session.update(this.state, id, { colour }));
  }

  /** Locked objects are neither opened nor deleted. */
  lock(ids, locked) {
    const state = ids.reduce((before, id) => session.update(before, id, { locked }), this.state);
    this.#run(locked ? 'Lock' : 'Unlock', state);
  }

  remove(ids) {
    const free = ids.filter((id) => !this.#isLocked(session.find(this.state, id)));
    if (free.length) this.#run('Delete', session.remove(this.state, free));
  }

  removeSelected() {
    this.remove([...this.selected]);
  }

  reorder(id, place) {
    this.#run('Reorder', session.reorder(this.state, id, place));
  }

  duplicate(id) {
    this.#run('Duplicate', session.duplicate(this.state, id));
  }

  mergeSelected() {
    const things = this.#selectedThings();
    if (things.length < 2) {
      this.tell('Select two objects or more to merge them (Shift+click).');
      return;
    }
    const id = this.state.next;
    const final = { mask: things[0].final.mask, isReady: false };
    this.#run(
      'Merge',
      session.merge(
        this.state,
        things.map((thing) => thing.id),
        final,
      ),
    );
    this.selected = new Set([id]);
    this.#settle(id);
  }

  undo() {
    if (this.placed) this.placed = null;
    else if (!this.doc.session.undo()) this.tell('Nothing left to undo.');
    this.#wake();
  }

  redo() {
    if (!this.doc.session.redo()) this.tell('Nothing left to redo.');
    this.#wake();
  }

  /** After a reload or an undo: questions without an answer are asked, unfinished masks are fetched. */
  #wake() {
    const ids = new Set(this.state.objects.map((thing) => thing.id));
    this.selected = new Set([...this.selected].filter((id) => ids.has(id)));
    this.wake();
    this.onChange();
  }

  wake() {
    const answer = this.current && chain.lastAnswer(this.current.making);
    if (answer) this.doc.asker.fill(answer);
    for (const thing of this.state.objects) if (!thing.final.isReady) this.#settle(thing.id);
  }

  #fresh() {
    return { ...chain.EMPTY, source: this.doc.windows.active };
  }

  /** The making, seen through the whole image if the box does not lie in its window. */
  #fitting(making, [x0, y0, x1, y1]) {
    const { source } = making;
    if (!source) return making;
    const fits = x0 >= source[0] && y0 >= source[1] && x1 <= source[2] && y1 <= source[3];
    return fits ? making : { ...making, source: null, answers: [] };
  }

  #edit(name, making, { finishes = false } = {}) {
    this.placed = null;
    const state = this.current ? this.state : session.begin(this.state);
    this.#run(name, session.change(state, making));
    const answer = chain.lastAnswer(making);
    const done = answer ? this.doc.asker.fill(answer) : Promise.resolve();
    if (finishes && this.settings.isRapid) done.then(() => this.current?.making === making && this.finish());
  }

  #run(name, state) {
    this.doc.session.run(name, state);
    const ids = new Set(state.objects.map((thing) => thing.id));
    this.selected = new Set([...this.selected].filter((id) => ids.has(id)));
    this.onChange();
  }

  #remade(state, id, making) {
    if (this.#isLocked(session.find(state, id))) return state;
    const final = { mask: session.find(state, id).final.mask, isReady: false };
    const changed = session.update(state, id, { making, final });
    this.doc.finals.settle({ making, final }).catch((error) => this.tell(error.message));
    return changed;
  }

  #keptOff(making, id) {
    const others = this.state.objects.filter((thing) => thing.id !== id);
    return others.map((thing) => chain.wholeStroke('erase', thing)).reduce(chain.addStroke, making);
  }

  #settle(id) {
    const thing = session.find(this.state, id);
    if (thing)
      this.doc.finals.settle(thing).catch((error) => this.tell(`${thing.label || 'The object'}: ${error.message}`));
  }

  #selectedThings() {
    return this.state.objects.filter((thing) => this.selected.has(thing.id));
  }

  #isLocked(thing) {
    if (thing.locked) this.tell('It is locked: unlock it in the list first.');
    return thing.locked;
  }

  #isInside(x, y) {
    return x >= 0 && y >= 0 && x < this.doc.size[0] && y < this.doc.size[1];
  }
}
