/** What each command of the keys' table, and each button, does. */

const OPACITY_STEP = 0.1;

/** {command: function}; bench: the Workbench; more: {documents, choose, camera, exporter, menu, help}. */
export function commandsOf(bench, { documents, choose, camera, exporter, menu, help }) {
  const { tools, hand, view, stage, settings, toasts, everything } = bench;
  const edit = (name) => () => bench.editor?.[name]();
  const opacity = (step) => () => settings.set({ opacity: clamp(settings.opacity + step, 0, 0.9) });
  const commands = {
    addMode: () => tools.setMode('add'),
    removeMode: () => tools.setMode('remove'),
    swapButtons: () => tools.swap(),
    smallerBrush: () => tools.resize(-1),
    largerBrush: () => tools.resize(1),
    nextImage: () => step(1),
    previousImage: () => step(-1),
    finish: () => (everything.isChoosing ? everything.done() : bench.editor?.finish()),
    cancel: () => (hand.drop(), everything.escape() || bench.editor?.cancel()),
    undo: edit('undo'),
    redo: edit('redo'),
    deleteLast: edit('deleteLast'),
    deleteSelected: edit('removeSelected'),
    merge: edit('mergeSelected'),
    subtract: edit('subtractSelected'),
    reopen: () => withOne((thing) => bench.editor.reopen(thing.id)),
    duplicate: () => withOne((thing) => bench.editor.duplicate(thing.id)),
    rename: () => withOne((thing) => bench.cards.edit(thing.id)),
    hideSelected: () => withSome(hide),
    lockSelected: () => withSome(lock),
    menu: () => withSome(() => menu.openOfSelection()),
    showMasks: (isHeld) => stage.setOptions({ showMasks: !isHeld }),
    showPoints: () => stage.setOptions({ showPoints: (bench.pointsShown = bench.pointsShown === false) }),
    moreOpacity: opacity(OPACITY_STEP),
    lessOpacity: opacity(-OPACITY_STEP),
    fit: () => view.fit(),
    oneToOne: () => view.oneToOne(),
    cutOut: () => withSome((things) => exporter.cutOut(things)),
    copyCutOut: () => withSome((things) => exporter.copy(things)),
    save: () => exporter.saveSession(),
    export: () => exporter.exportNow(),
    choose,
    camera,
    help,
    click: () => hand.press(false),
    otherClick: () => hand.press(true),
    left: () => hand.step(-1, 0),
    right: () => hand.step(1, 0),
    up: () => hand.step(0, -1),
    down: () => hand.step(0, 1),
  };
  for (const tool of ['box', 'brush', 'eraser', 'lasso', 'everything', 'select', 'hand'])
    commands[`${tool}Tool`] = () => tools.take(tool);
  for (const number of [1, 2, 3]) commands[`candidate${number}`] = () => bench.chips.choose(number);
  for (let number = 1; number <= 9; number += 1) commands[`label${number}`] = () => label(number);
  return commands;

  function step(places) {
    const doc = documents.next(places);
    if (doc) documents.open(doc);
  }

  function label(number) {
    const name = settings.numbered(number);
    if (!name) return;
    for (const { id } of bench.selectedThings) bench.editor.rename(id, name);
    settings.set({ label: name });
  }

  function lock(things) {
    const isLocked = things.every(({ locked }) => locked);
    bench.editor.lock(
      things.map(({ id }) => id),
      !isLocked,
    );
  }

  function hide(things) {
    const isHidden = things.every(({ id }) => bench.doc.hidden.has(id));
    bench.hide(things, !isHidden);
  }

  function withSome(act) {
    const things = bench.selectedThings;
    if (things.length) act(things);
    else toasts.say('Select an object first: with the Select tool, or in the list.');
  }

  function withOne(act) {
    withSome(([thing]) => act(thing));
  }
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
