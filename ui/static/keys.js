/**
 * Keys: one table, by the character they give, so that QWERTZ and AZERTY work. Active with the canvas focused only.
 *
 * A chord is the character in lower case, or the key's name, with "Ctrl+" and "Shift+" before; on a Mac Cmd is Ctrl.
 * Alt belongs to window managers, Tab to the browser.
 */

/** [command, chords, when, what it says in the help]; when: 'always', 'editing' or 'idle'. */
export const TABLE = [
  ['addMode', ['q'], 'always', 'Clicks add'],
  ['removeMode', ['e'], 'always', 'Clicks remove'],
  ['swapButtons', ['x'], 'always', 'Swap what left and right button do'],
  ['boxTool', ['r'], 'always', 'Box'],
  ['brushTool', ['b'], 'always', 'Brush'],
  ['eraserTool', ['shift+b'], 'always', 'Eraser'],
  ['lassoTool', ['l'], 'always', 'Lasso'],
  ['everythingTool', ['g'], 'always', 'Everything: all objects at once, to choose from'],
  ['selectTool', ['s'], 'always', 'Select'],
  ['handTool', ['v'], 'always', 'Hand'],
  ['smallerBrush', ['['], 'always', 'Smaller brush'],
  ['largerBrush', [']'], 'always', 'Larger brush'],
  ['nextImage', ['d'], 'always', 'Next image'],
  ['previousImage', ['a'], 'always', 'Previous image'],
  ['finish', ['enter', 'f', 'n'], 'editing', 'Finish the object; with Everything, done'],
  ['cancel', ['escape'], 'always', 'Give up the object; again: select nothing'],
  ['undo', ['ctrl+z'], 'always', 'Undo'],
  ['redo', ['ctrl+shift+z', 'ctrl+y'], 'always', 'Redo'],
  ['deleteLast', ['backspace'], 'editing', 'Take the last point away'],
  ['deleteSelected', ['delete'], 'always', 'Delete the selected objects'],
  ['menu', ['contextmenu', 'shift+f10'], 'always', 'Menu of the selected objects'],
  ['duplicate', [], 'always', 'Duplicate the selected object'],
  ['hideSelected', [], 'always', 'Hide or show the selected objects'],
  ['lockSelected', [], 'always', 'Lock or unlock the selected objects'],
  ['reopen', ['enter'], 'idle', 'Open the selected object again'],
  ['candidate1', ['1'], 'editing', 'First candidate: the whole'],
  ['candidate2', ['2'], 'editing', 'Second candidate: a part'],
  ['candidate3', ['3'], 'editing', 'Third candidate: a part of it'],
  ...Array.from({ length: 9 }, (_, n) => [`label${n + 1}`, [`${n + 1}`], 'idle', `Label ${n + 1}`]),
  ['showMasks', ['h'], 'always', 'Hide masks while held'],
  ['showPoints', ['p'], 'always', 'Hide or show points'],
  ['moreOpacity', ['+', '='], 'always', 'Stronger colours'],
  ['lessOpacity', ['-'], 'always', 'Fainter colours'],
  ['fit', ['0'], 'always', 'Fit the photo'],
  ['oneToOne', ['ctrl+0'], 'always', '100 %'],
  ['cutOut', ['c'], 'always', 'Save the selected objects as cut-outs'],
  ['copyCutOut', ['ctrl+c'], 'always', 'Copy the cut-out'],
  ['save', ['ctrl+s'], 'always', 'Save the session as a file'],
  ['export', ['ctrl+e'], 'always', 'Export'],
  ['merge', ['m'], 'always', 'Merge the selected objects'],
  ['subtract', ['u'], 'editing', 'Take the selected objects off this one'],
  ['rename', ['f2', 't'], 'always', 'Name the object'],
  ['left', ['arrowleft'], 'always', 'Move the cursor'],
  ['right', ['arrowright'], 'always', 'Move the cursor'],
  ['up', ['arrowup'], 'always', 'Move the cursor'],
  ['down', ['arrowdown'], 'always', 'Move the cursor'],
  ['help', ['?', 'shift+?'], 'always', 'This help'],
];

const states = (when) => (when === 'always' ? ['editing', 'idle'] : [when]);

/** Whether there is a state to which both belong. */
export const meet = (when, other) => states(when).some((state) => states(other).includes(state));

/** Whether two commands claim one chord in one state: pairs of them, for the tests. */
export function conflicts(table = TABLE) {
  const claims = new Map();
  for (const [command, chords, when] of table) {
    for (const state of states(when)) {
      for (const chord of chords)
        claims.set(`${state} ${chord}`, [...(claims.get(`${state} ${chord}`) ?? []), command]);
    }
  }
  return [...claims.values()].filter((commands) => commands.length > 1);
}

/** The chord of a key event. */
export function chordOf(event, isMac = IS_MAC) {
  const ctrl = isMac ? event.metaKey : event.ctrlKey;
  const key = event.key.toLowerCase();
  // Shift is part of how a sign such as ? or + is typed; it counts for letters and named keys.
  const isSign = key.length === 1 && key.toUpperCase() === key;
  const shift = event.shiftKey && !isSign;
  return `${ctrl ? 'ctrl+' : ''}${shift ? 'shift+' : ''}${key}`;
}

export const IS_MAC = /Mac|iPhone|iPad/.test(
  globalThis.navigator?.userAgentData?.platform ?? globalThis.navigator?.platform ?? '',
);

export class Keys {
  /**
   * element: what must have the focus. state(): 'editing' or 'idle'. run(command, isDown): a command's key went down,
   * or, for commands that hold, up again. map: its `table` is TABLE, or the user's own.
   */
  constructor(element, { state, run, map }) {
    Object.assign(this, { element, state, run, map, held: null });
    element.addEventListener('keydown', (event) => this.#down(event));
    element.addEventListener('keyup', (event) => this.#up(event));
    element.addEventListener('blur', () => this.#release());
  }

  #down(event) {
    if (event.altKey || event.isComposing || event.target !== this.element) return;
    const command = this.#find(chordOf(event));
    if (!command) return;
    event.preventDefault();
    if (event.repeat && command === 'showMasks') return;
    if (command === 'showMasks') this.held = event.key;
    this.run(command, true);
  }

  #up(event) {
    if (this.held !== null && event.key === this.held) this.#release();
  }

  #release() {
    if (this.held === null) return;
    this.held = null;
    this.run('showMasks', false);
  }

  #find(chord) {
    const state = this.state();
    return this.map.table.find(
      ([, chords, when]) => chords.includes(chord) && (when === 'always' || when === state),
    )?.[0];
  }
}
