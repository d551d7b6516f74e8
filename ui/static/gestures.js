/**
 * Pointer, wheel and touch to intents. What an intent means is the editor's to say; here is only what the hand did.
 *
 * handlers, all with image coordinates [x, y]:
 *     hover(point, event)              the pointer moved, nothing held
 *     leave()                          it left the canvas
 *     click(point, {other, ctrl, marker, event})   less than 4 px moved; other: the right button, Shift or a long press
 *     double(point)                    clicked twice
 *     dragKind(point, {marker, event}) 'box', 'paint', 'marker' or 'pan': what a drag from here would be
 *     drag(kind, phase, from, to, {marker, event}) phase: 'start', 'move', 'end' or 'cancel'
 *     marker(screenPoint)              the number of the point marker there, or null
 */

const STILL = 4; // CSS pixels: less is a click
const LONG_PRESS = 500; // ms
const WHEEL_STEP = 0.0015; // of zoom to a wheel's pixel

export class Gestures {
  #pointers = new Map(); // id -> [px, py]
  #press = null; // {from, screen, other, marker, kind, event}
  #pinch = null; // {distance, centre}
  spaceHeld = false;
  hasPanned = false; // since `spaceHeld` was set

  constructor(element, view, handlers) {
    Object.assign(this, { element, view, handlers });
    const on = (name, handle, options) => element.addEventListener(name, handle.bind(this), options);
    on('pointerdown', this.#down);
    on('pointermove', this.#move);
    on('pointerup', this.#up);
    on('pointercancel', this.#cancel);
    on('lostpointercapture', this.#lost);
    on('pointerleave', (event) => event.pointerType !== 'touch' && !this.#press && handlers.leave());
    on('dblclick', (event) => handlers.double(view.toImage(...this.#at(event))));
    on('wheel', this.#wheel, { passive: false });
    on('contextmenu', (event) => event.preventDefault());
    on('auxclick', (event) => event.preventDefault());
  }

  #at(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  #down(event) {
    this.element.focus({ preventScroll: true });
    const screen = this.#at(event);
    this.#pointers.set(event.pointerId, screen);
    this.element.setPointerCapture(event.pointerId);
    if (this.#pointers.size === 2) {
      this.#startPinch();
      return;
    }
    if (this.#press || this.#pinch) return;
    if (event.button === 1) event.preventDefault(); // no automatic scrolling
    const marker = this.handlers.marker(screen);
    const other = event.button === 2 || event.shiftKey;
    this.#press = {
      id: event.pointerId,
      from: this.view.toImage(...screen),
      screen,
      last: screen,
      other,
      marker,
      kind: null,
      event,
    };
    if (event.pointerType === 'touch') this.#press.timer = setTimeout(() => this.#longPress(), LONG_PRESS);
  }

  #move(event) {
    const screen = this.#at(event);
    if (this.#pointers.has(event.pointerId)) this.#pointers.set(event.pointerId, screen);
    if (this.#pinch) this.#movePinch();
    else if (!this.#press) this.handlers.hover(this.view.toImage(...screen), event);
    else if (event.pointerId === this.#press.id) this.#dragTo(screen, event);
  }

  #dragTo(screen, event) {
    const press = this.#press;
    if (press.kind === null) {
      if (press.spent || distance(screen, press.screen) < STILL) return;
      clearTimeout(press.timer);
      press.kind = this.#kindOf(press);
      if (press.kind !== 'pan') this.handlers.drag(press.kind, 'start', press.from, press.from, press);
    }
    if (press.kind === 'pan') this.hasPanned = true;
    if (press.kind === 'pan') this.view.panBy(screen[0] - press.last[0], screen[1] - press.last[1]);
    else if (press.kind !== 'none') this.#tell('move', screen, event);
    press.last = screen;
  }

  #kindOf(press) {
    const { button } = press.event;
    if (button === 1 || this.spaceHeld) return 'pan';
    if (button === 2) return 'none';
    return this.handlers.dragKind(press.from, press);
  }

  /** Every place in between too, so that a quick stroke has no corners. */
  #tell(phase, screen, event) {
    const between = phase === 'move' ? (event.getCoalescedEvents?.() ?? []) : [];
    const places = between.length ? between.map((one) => this.#at(one)) : [screen];
    for (const place of places) {
      this.handlers.drag(this.#press.kind, phase, this.#press.from, this.view.toImage(...place), {
        ...this.#press,
        event,
      });
    }
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
    if (this.#pinch) {
      if (this.#pointers.size === 0) this.#pinch = null;
      return;
    }
    const press = this.#press;
    if (!press || press.id !== event.pointerId) return;
    clearTimeout(press.timer);
    if (press.kind === null) this.#click(press, event);
    else if (press.kind !== 'pan' && press.kind !== 'none') this.#tell('end', this.#at(event), event);
    this.#press = null;
  }

  #click(press, event) {
    if (press.spent || press.event.button === 1 || this.spaceHeld) return;
    const ctrl = event.ctrlKey || event.metaKey;
    this.handlers.click(press.from, { other: press.other, ctrl, marker: press.marker, event });
  }

  #longPress() {
    const press = this.#press;
    if (!press || press.kind !== null) return;
    press.spent = true;
    navigator.vibrate?.(10);
    this.handlers.click(press.from, { other: !press.other, ctrl: false, marker: press.marker, event: press.event });
  }

  /** Escape, or the system took the pointer: what was begun does not happen. */
  cancel() {
    const press = this.#press;
    this.#press = null;
    if (!press) return false;
    clearTimeout(press.timer);
    if (press.kind === null || press.kind === 'pan' || press.kind === 'none') return false;
    this.handlers.drag(press.kind, 'cancel', press.from, press.from, press);
    return true;
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    this.#pinch = null;
    this.cancel();
  }

  #lost(event) {
    if (this.#pointers.has(event.pointerId)) this.#cancel(event);
  }

  #startPinch() {
    this.cancel();
    const [a, b] = [...this.#pointers.values()];
    this.#pinch = { distance: distance(a, b), centre: middle(a, b) };
  }

  #movePinch() {
    const [a, b] = [...this.#pointers.values()];
    if (!b) return;
    const now = { distance: distance(a, b), centre: middle(a, b) };
    this.view.panBy(now.centre[0] - this.#pinch.centre[0], now.centre[1] - this.#pinch.centre[1]);
    this.view.zoomAt(...now.centre, now.distance / Math.max(1, this.#pinch.distance));
    this.#pinch = now;
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const pixels = Math.max(-240, Math.min(240, event.deltaY * lines));
    const speed = event.ctrlKey ? 4 : 1; // a pinch on a touch pad comes as small steps with Ctrl
    this.view.zoomAt(...this.#at(event), Math.exp(-pixels * WHEEL_STEP * speed));
  }
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ay - by);
const middle = ([ax, ay], [bx, by]) => [(ax + bx) / 2, (ay + by) / 2];
