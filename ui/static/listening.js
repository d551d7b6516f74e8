/** Listens to hand and keys: what they do at the page goes on to those who know what it means. */

import { Gestures } from './gestures.js';
import { Keys } from './keys.js';

const KEEPS_FOCUS = ['choose', 'camera', 'help', 'menu']; // these open something that takes it

export class Listening {
  /** page: {at, app, view, hand, bench, tools, settings, keyMap, run}. */
  constructor(page) {
    const { at, app, view, hand, bench, everything, keyMap } = page;
    Object.assign(this, { page, stage: at('stage') });
    this.gestures = new Gestures(this.stage, view, {
      hover: (point, event) => hand.moved(point, event),
      leave: () => hand.left(),
      click: (point, how) => hand.click(point, how),
      double: (point) => hand.double(point),
      marker: (screen) => hand.marker(screen),
      dragKind: (point, press) => hand.dragKind(point, press),
      drag: (...values) => hand.drag(...values),
    });
    this.keys = new Keys(this.stage, {
      state: () => (bench.editor?.making || everything.isChoosing ? 'editing' : 'idle'),
      run: (command, isDown) => page.run(command, isDown),
      map: keyMap,
    });
    this.stage.addEventListener('keydown', (event) => this.#modifier(event, true));
    this.stage.addEventListener('keyup', (event) => this.#modifier(event, false));
    app.addEventListener('click', (event) => this.#button(event));
    this.#listenToFields();
  }

  #listenToFields() {
    const { at, settings } = this.page;
    const onChange = (name, take) => at(name).addEventListener('change', (event) => take(event.target));
    onChange('active-label', ({ value }) => this.#setLabel(value.trim()));
    onChange('rapid', ({ checked }) => settings.set({ isRapid: checked }));
    onChange('keeps-off', ({ checked }) => settings.set({ keepsOff: checked }));
  }

  #setLabel(label) {
    const { settings } = this.page;
    settings.set({ label });
    settings.use(label);
  }

  #modifier(event, isDown) {
    const { hand, bench } = this.page;
    if (event.key === 'Shift') hand.again(isDown);
    if ((event.key === 'Control' || event.key === 'Meta') && !isDown) bench.editor?.askPlaced();
    if (event.key === ' ') this.#space(event, isDown);
  }

  /** Space held and dragged pans; tapped, it clicks where the keyboard's cursor is. */
  #space(event, isDown) {
    event.preventDefault();
    if (!isDown && !this.gestures.hasPanned) this.page.hand.press(event.shiftKey);
    if (!event.repeat) this.gestures.hasPanned = false;
    this.gestures.spaceHeld = isDown;
    this.stage.classList.toggle('is-panning', isDown);
  }

  #button(event) {
    const { tool, mode, command } = event.target.closest('button')?.dataset ?? {};
    if (tool) this.page.tools.take(tool);
    else if (mode) this.page.tools.setMode(mode);
    else if (command) this.page.run(command);
    else return;
    if (!KEEPS_FOCUS.includes(command)) this.stage.focus({ preventScroll: true });
  }
}
