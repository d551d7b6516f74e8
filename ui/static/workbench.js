/** The photo that is looked at, with everything around it: keeps what is on the screen in step with the work. */

import * as chain from './chain.js';
import { Cards } from './cards.js';
import { Chips } from './chips.js';
import { Editor } from './editor.js';
import { colourOf } from './palette.js';
import { find } from './session.js';
import { thumbnail } from './thumbnail.js';
import { named } from './words.js';

const NEAR = [14, 14]; // CSS pixels from a click to its chips

export class Workbench {
  editor = null;
  doc = null;
  #hovered = null; // the id of the object under the pointer or whose card is
  #isStale = false;

  /** parts: {stage, view, hand, hover, tools, settings, keyMap, everything, toasts, status, elements}. */
  constructor(parts) {
    Object.assign(this, parts);
    const { elements } = this;
    this.chips = new Chips(elements.chips, (n) => this.keyMap.nameFor(`candidate${n}`), {
      pick: (picked) => this.editor.pick(picked),
      preview: (mask) => this.stage.setPreview(mask && { mask, sign: 1 }),
    });
    this.cards = new Cards(elements.list, elements.listHeader, this.#cardActions(), (mask, size) =>
      this.#thumbnail(mask, size),
    );
    this.view.onChange(() => this.#viewChanged());
  }

  /** Look at another photo; null: there is none. */
  show(doc) {
    this.doc = doc;
    this.hover.clear();
    const isUsable = doc?.session && doc.size;
    this.editor = isUsable
      ? new Editor(doc, this.settings, { tell: (words) => this.toasts.say(words), onChange: () => this.changed() })
      : null;
    this.stage.setPhoto(doc?.bitmap ?? null);
    this.elements.app.toggleAttribute('data-empty', !doc);
    this.elements.stage.setAttribute('aria-label', doc ? `Photo ${doc.name}` : 'Photo');
    if (doc?.size) this.view.setImage(...doc.size);
    this.editor?.wake();
    this.draw();
  }

  /** The work has changed: the pointer's preview may be another, and everything is drawn anew. */
  changed() {
    this.hover.clear();
    this.draw();
    this.hand.again();
  }

  /** The work on a photo is another, and it was not the editor that changed it. */
  renew(doc) {
    if (doc !== this.doc || !this.editor) return;
    this.editor.wake();
    this.changed();
  }

  /** Bring everything on the screen up to date, once for all that changes now. */
  draw() {
    if (this.#isStale) return;
    this.#isStale = true;
    queueMicrotask(() => {
      this.#isStale = false;
      this.#draw();
    });
  }

  /** An object is pointed at, on the photo or in the list. */
  over(id) {
    if (id === this.#hovered) return;
    this.#hovered = id;
    this.draw();
  }

  #draw() {
    const { editor, doc } = this;
    const state = editor?.state ?? { objects: [], current: null };
    this.#drawObjects(state);
    this.#drawCurrent(state);
    this.drawPrompts();
    this.#drawChips();
    this.#drawSide(state);
    this.#drawTools();
    this.everything.draw();
    this.#say(doc);
  }

  #drawObjects({ objects, current }) {
    const drawn = objects.map((thing) => ({
      id: thing.id,
      mask: thing.final.mask,
      colour: colourOf(thing.colour),
      label: thing.label,
      hidden: this.doc.hidden.has(thing.id) || current?.of?.id === thing.id,
      selected: this.editor.selected.has(thing.id),
      hovered: this.#hovered === thing.id,
    }));
    this.stage.setObjects(drawn);
  }

  #drawCurrent({ current }) {
    const mask = current && this.shownMask();
    const colour = current && (current.of?.colour ?? current.id);
    this.stage.setCurrent(mask ? { mask, colour: colourOf(colour) } : null);
  }

  /** Points and box, with a point that is being dragged where it is now, and the keyboard's cursor. */
  drawPrompts() {
    const { dragged, cursor } = this.hand;
    const making = this.editor?.making ?? chain.EMPTY;
    const points = chain.pointsOf(making).map(({ x, y }, n) => (dragged?.point === n ? dragged.to : [x, y]));
    this.stage.setPrompts({
      points,
      labels: chain.pointsOf(making).map(({ label }) => label),
      box: chain.boxOf(making),
      pending: cursor && { x: cursor[0], y: cursor[1], label: this.tools.label(false) },
    });
  }

  #drawChips() {
    const making = this.editor?.placed ? null : this.editor?.making;
    const [point] = making ? chain.pointsOf(making) : [];
    const place = point && this.view.toScreen(point.x, point.y);
    this.chips.render(making, place && [place[0] + NEAR[0], place[1] + NEAR[1]]);
  }

  #drawSide({ objects, current }) {
    const { elements, editor, doc, settings } = this;
    const shown = {
      hidden: doc?.hidden ?? new Set(),
      selected: editor?.selected ?? new Set(),
      current: current?.id ?? null,
      area: doc?.size ? doc.size[0] * doc.size[1] : 1,
      labels: settings.labels,
    };
    this.cards.render(objects, shown);
    elements.making.hidden = !current;
    this.#drawSelection(shown.selected.size, Boolean(current));
  }

  /** Only what can be done with so many. */
  #drawSelection(count, isMaking) {
    const { selection } = this.elements;
    const fits = {
      reopen: count === 1,
      duplicate: count === 1,
      copyCutOut: count === 1,
      merge: count > 1,
      subtract: isMaking,
    };
    selection.hidden = count === 0;
    for (const button of selection.children) button.hidden = fits[button.dataset.command] === false;
  }

  #drawTools() {
    const { tools, editor, elements } = this;
    elements.app.setAttribute('data-tool-now', tools.tool);
    for (const button of elements.app.querySelectorAll('[data-tool]'))
      press(button, button.dataset.tool === tools.tool);
    for (const button of elements.app.querySelectorAll('[data-mode]'))
      press(button, button.dataset.mode === tools.mode);
    elements.app.querySelector('[data-command="undo"]').disabled = !editor?.doc.session.canUndo && !editor?.placed;
    elements.app.querySelector('[data-command="redo"]').disabled = !editor?.doc.session.canRedo;
  }

  #say(doc) {
    const answer = this.editor?.current && chain.lastAnswer(this.editor.current.making);
    this.status.set('photo', doc ? stateOf(doc) : 'No photo yet');
    const { isOpening = false, active = null } = doc?.windows ?? {};
    const closeUp = active ? 'close up: the visible part is encoded' : '';
    this.status.set('window', isOpening ? 'looking closer…' : closeUp);
    this.status.set('answer', answer?.error ? answer.error : doc?.asker.waiting ? 'asking…' : '');
    this.status.set('hover', this.hover.isSlow ? 'preview off: the line is slow' : '');
    const { progress } = this.elements;
    progress.hidden = !doc || doc.state === 'ready' || doc.state === 'failed';
    progress.classList.toggle('is-endless', doc?.state !== 'uploading');
    progress.firstElementChild.style.width = doc?.state === 'uploading' ? `${100 * doc.progress}%` : '';
  }

  #viewChanged() {
    this.doc?.windows?.look(this.view.visibleBox());
    this.#drawChips();
    this.status.set('zoom', this.doc ? `${Math.round(this.view.scale * this.view.ratio * 100)} %` : '');
  }

  #thumbnail(mask, size) {
    if (!this.doc.bitmap) return document.createElement('canvas');
    return thumbnail(this.doc.bitmap, mask, size * devicePixelRatio);
  }

  #cardActions() {
    const act =
      (name) =>
      (...values) =>
        this.editor[name](...values);
    return {
      select: (id, adding) => this.editor.select([id], { adding }),
      reopen: act('reopen'),
      rename: (id, label) => (this.settings.use(label), this.editor.rename(id, label)),
      recolour: act('recolour'),
      setLocked: (id, locked) => this.editor.lock([id], locked),
      reorder: act('reorder'),
      remove: (id) => this.editor.remove([id]),
      hover: (id) => this.over(id),
      setHidden: (id, hidden) => this.hide([{ id }], hidden),
      showAll: (all) => this.#showAll(all),
    };
  }

  /** Take objects out of sight, or bring them back. */
  hide(things, isHidden) {
    for (const { id } of things) this.doc.hidden[isHidden ? 'add' : 'delete'](id);
    this.draw();
  }

  #showAll(all) {
    if (!this.doc) return;
    this.doc.hidden = new Set(all ? [] : this.editor.state.objects.map(({ id }) => id));
    this.draw();
  }

  /** Select an object on the photo; null: none. */
  select(id, adding) {
    this.editor.select(id === null ? [] : [id], { adding });
    if (id !== null) this.cards.reveal(id);
  }

  /** The mask of the object in the making as it is shown, or null. */
  shownMask() {
    return this.doc.finals.shown(this.editor.making);
  }

  /** Whether something is awaited, or not drawn yet. */
  get isBusy() {
    const { doc, editor } = this;
    const isReady = ({ final }) => final.isReady;
    if (!editor) return doc.state !== 'failed';
    return this.#isStale || doc.asker.waiting > 0 || doc.finals.isPainting || !editor.state.objects.every(isReady);
  }

  /** The selected objects' Things. */
  get selectedThings() {
    return [...(this.editor?.selected ?? [])].map((id) => find(this.editor.state, id));
  }
}

const press = (button, isPressed) => button.setAttribute('aria-pressed', String(isPressed));

function stateOf(doc) {
  const size = doc.size ? `${doc.size[0]} × ${doc.size[1]}` : '';
  const states = {
    waiting: 'waiting',
    uploading: `uploading, ${Math.round(100 * doc.progress)} %`,
    encoding: 'encoding; clicks are kept until it is done',
    ready: 'ready',
    failed: doc.error,
  };
  return [named(doc.name), size, states[doc.state]].filter(Boolean).join(' · ');
}
