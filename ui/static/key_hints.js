/** Keys in the buttons' tooltips, as they are now. */

/** keyMap: see key_map.js. A button's title in the page is its name; the key is put behind. */
export function showKeys(app, keyMap) {
  for (const button of app.querySelectorAll('[data-tool], [data-mode], [data-command]')) {
    const name = (button.dataset.name ??= button.title);
    const key = keyMap.nameFor(commandOf(button.dataset));
    if (!button.textContent.trim()) button.setAttribute('aria-label', name);
    button.title = key ? `${name} (${key})` : name;
  }
}

function commandOf({ tool, mode, command }) {
  if (tool) return tool === 'point' ? 'addMode' : `${tool}Tool`;
  return mode ? `${mode}Mode` : command;
}
