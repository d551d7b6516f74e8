/** The menu of the selected objects: what can be done with them. */

import { Menu } from './menu.js';

export class ObjectMenu {
  /** page: {app, at, bench, view, keyMap, run}. */
  constructor(page) {
    this.page = page;
    this.menu = new Menu(page.app);
  }

  /** Of the object at an image point, with those that are selected beside it. */
  openAt(id, point) {
    const { editor } = this.page.bench;
    if (!editor.selected.has(id)) editor.select([id]);
    this.#show(point, false);
  }

  /** Of what is selected, by key. */
  openOfSelection() {
    const { bench, view } = this.page;
    const [x0, y0, x1, y1] = bench.selectedThings[0].final.mask.bounds ?? [0, 0, view.imageWidth, view.imageHeight];
    this.#show([(x0 + x1) / 2, (y0 + y1) / 2], true);
  }

  #show(point, byKey) {
    const { at, bench, view } = this.page;
    const things = bench.selectedThings;
    const stage = at('stage').getBoundingClientRect();
    const [px, py] = view.toScreen(...point);
    const place = [within(stage.left + px, stage.left, stage.right), within(stage.top + py, stage.top, stage.bottom)];
    const label = things.length === 1 ? things[0].label || `object ${things[0].id}` : `${things.length} objects`;
    this.menu.show(this.#items(things), { place, label, byKey });
  }

  #items(things) {
    const { bench, keyMap } = this.page;
    const isHidden = things.every(({ id }) => bench.doc.hidden.has(id));
    const isLocked = things.every(({ locked }) => locked);
    const isOne = things.length === 1;
    const groups = [
      isOne ? { reopen: 'Open again', rename: 'Rename', duplicate: 'Duplicate' } : { merge: 'Merge' },
      bench.editor.making ? { subtract: 'Subtract' } : {},
      { hideSelected: isHidden ? 'Show' : 'Hide', lockSelected: isLocked ? 'Unlock' : 'Lock' },
      { cutOut: 'Save cut-out', ...(isOne && { copyCutOut: 'Copy cut-out' }) },
      { deleteSelected: 'Delete' },
    ].map((group) => Object.entries(group));
    const item = ([command, name]) => ({ name, key: keyMap.nameFor(command), run: () => this.page.run(command) });
    return groups.filter((group) => group.length).flatMap((group, n) => [...(n ? [null] : []), ...group.map(item)]);
  }
}

const within = (value, low, high) => Math.min(Math.max(value, low), high);
