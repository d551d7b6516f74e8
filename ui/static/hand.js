/** What the hand's gestures mean with the tool in hand: the editor's commands, the hover preview, the view. */

import * as chain from './chain.js';

const ON_MARKER = 10; // CSS pixels around a point marker
const CURSOR_STEP = 12; // CSS pixels, for the arrow keys

export class Hand {
  cursor = null; // image point that the arrow keys move, or null
  dragged = null; // {point, to}: a point marker on its way
  #corner = null; // first corner of a box drawn by keys
  #stroke = null;

  /**
   * now(): {editor, view} of the photo looked at, or null. parts: {stage, hover, tools, everything, mostPoints};
   * mostPoints: that the server takes of one object.
   * select(id | null, adding), reopen(id), menu(id, point),
   * over(id | null): of the select tool. redraw(): cursor or dragged changed.
   */
  constructor(now, { stage, hover, tools, everything, mostPoints }, { select, reopen, menu, over, redraw }) {
    Object.assign(this, {
      now,
      stage,
      hover,
      tools,
      everything,
      mostPoints,
      select,
      reopen,
      menu,
      over,
      redraw,
      point: null,
      isShifted: false,
    });
  }

  /** For Gestures: the number of the point marker at a screen point, or null. */
  marker([px, py]) {
    const { editor, view } = this.now() ?? {};
    if (!editor?.making || !this.tools.places) return null;
    const points = chain.pointsOf(editor.making).map(({ x, y }) => view.toScreen(x, y));
    const near = points.findLastIndex(([x, y]) => Math.hypot(x - px, y - py) <= ON_MARKER);
    return near < 0 ? null : near;
  }

  moved(point, event) {
    if (this.cursor) this.drop();
    this.#track(point, event.shiftKey);
  }

  left() {
    this.point = null;
    this.hover.clear();
    this.stage.setBrushCursor(null);
    this.over(null);
    this.everything.over(null);
  }

  /** The same place with another sign, as when Shift goes down; or after the object has changed. */
  again(isShifted = this.isShifted) {
    if (this.point) this.#track(this.point, isShifted);
  }

  #track(point, isShifted) {
    Object.assign(this, { point, isShifted });
    const { editor, view } = this.now() ?? {};
    if (!editor) return;
    if (this.tools.paints) this.stage.setBrushCursor(this.#brushCursor(point, view));
    else if (this.tools.tool === 'select') this.over(this.stage.pick(...point));
    this.everything.over(point);
    const places = this.tools.places && !this.#isChoosing && !this.#isFull(editor);
    if (!places || !view.isInside(...point)) this.hover.clear();
    else this.hover.ask(this.#question(editor, point, this.tools.label(isShifted)));
  }

  get #isChoosing() {
    return this.everything.isChoosing;
  }

  #brushCursor([x, y], view) {
    return this.tools.tool === 'lasso' ? null : { x, y, radius: this.tools.brush / view.scale };
  }

  #question(editor, [x, y], label) {
    return chain.pending(editor.at([x, y]), x, y, editor.making ? label : 1);
  }

  click(point, { other, ctrl, marker, event = null }) {
    const { editor, view } = this.now() ?? {};
    if (!editor) return;
    if (this.#isChoosing) this.everything.toggleAt(point);
    else if (marker !== null) editor.deletePoint(marker);
    else if (this.tools.tool === 'select') this.#clickObject(point, { other, ctrl, event });
    else if (this.tools.dabs) editor.paint(this.tools.stroke([point], view.scale, other));
    else if (this.tools.places && this.#isFull(editor)) editor.tell(this.#tooMany);
    else if (this.tools.places) editor.addPoint(point, this.tools.label(other), { hold: ctrl });
  }

  #isFull({ making }) {
    return making !== null && chain.pointsOf(making).length >= this.mostPoints;
  }

  get #tooMany() {
    return `An object takes ${this.mostPoints} points: go on with brush and eraser, or delete points that do little.`;
  }

  /** Shift, as Ctrl, has it selected with the others; the other button opens its menu, if there is an object at all. */
  #clickObject(point, { other, ctrl, event }) {
    const id = this.stage.pick(...point);
    const isShifted = event?.button === 0 && event.shiftKey;
    if (isShifted || !other) this.select(id, isShifted || ctrl);
    else if (id !== null) this.menu(id, point);
  }

  double(point) {
    const id = this.tools.tool === 'select' ? this.stage.pick(...point) : null;
    if (id !== null) this.reopen(id);
  }

  dragKind(point, { marker }) {
    if (this.#isChoosing) return 'keep';
    if (marker !== null) return 'marker';
    if (this.tools.places) return 'box';
    return this.tools.paints ? 'paint' : 'pan';
  }

  drag(kind, phase, from, to, press) {
    const now = this.now();
    if (!now) return;
    if (phase === 'start') this.hover.clear();
    this[`drag_${kind}`](now, phase, from, to, press);
  }

  drag_box({ editor }, phase, from, to) {
    const box = boxBetween(from, to);
    this.stage.setRubberBand(phase === 'move' ? box : null);
    if (phase === 'end') editor.setBox(box);
  }

  drag_keep(now, phase, from, to) {
    const box = boxBetween(from, to);
    this.stage.setRubberBand(phase === 'move' ? box : null);
    if (phase === 'end') this.everything.keepInside(box);
  }

  drag_marker({ editor }, phase, from, to, { marker }) {
    this.dragged = phase === 'move' ? { point: marker, to } : null;
    this.redraw();
    if (phase === 'move') this.hover.ask(chain.lastAnswer(chain.movePoint(editor.making, marker, ...to)).question);
    else this.hover.clear();
    if (phase === 'end') editor.movePoint(marker, to);
  }

  drag_paint({ editor, view }, phase, from, to, { other, event }) {
    if (phase === 'start') this.#stroke = this.tools.stroke([from], view.scale, other);
    else this.#stroke.points.push(to);
    this.stage.setBrushCursor(this.#shownBrush(phase, to, view, event));
    this.stage.setStroke(phase === 'move' ? { ...this.#stroke } : null);
    if (phase === 'end') editor.paint(this.#stroke);
    if (phase === 'end' || phase === 'cancel') this.#stroke = null;
  }

  /** A finger that was lifted leaves no circle behind. */
  #shownBrush(phase, to, view, { pointerType }) {
    return pointerType === 'touch' && phase !== 'start' && phase !== 'move' ? null : this.#brushCursor(to, view);
  }

  /** Arrow keys: a cursor on the photo, which previews as the pointer does. */
  step(dx, dy) {
    const { view } = this.now() ?? {};
    if (!view) return;
    const start = this.cursor ?? view.toImage(view.width / 2, view.height / 2);
    const clamp = (value, limit) => Math.min(Math.max(value, 0), limit - 0.5);
    const step = CURSOR_STEP / view.scale;
    this.cursor = [clamp(start[0] + dx * step, view.imageWidth), clamp(start[1] + dy * step, view.imageHeight)];
    this.redraw();
    if (this.#corner) this.stage.setRubberBand(boxBetween(this.#corner, this.cursor));
    else this.#track(this.cursor, false);
  }

  /** The key that clicks: with the box tool, the first press is one corner and the second the other. */
  press(other) {
    const { editor } = this.now() ?? {};
    if (!editor || !this.cursor) return;
    if (this.tools.tool !== 'box') this.click(this.cursor, { other, ctrl: false, marker: null });
    else if (!this.#corner) this.#corner = this.cursor;
    else {
      editor.setBox(boxBetween(this.#corner, this.cursor));
      this.drop();
    }
  }

  /** The keyboard's cursor and corner go. */
  drop() {
    this.cursor = this.#corner = null;
    this.stage.setRubberBand(null);
    this.redraw();
  }
}

const boxBetween = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
