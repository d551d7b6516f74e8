/** A small browser of the server's folders: where the photos of a batch are. */

import { el, setText } from './dom.js';

export class FolderBrowser {
  /** The folder that is chosen, or ''. */
  path = '';
  #asked = 0;

  /** api: see batch_api.js. onChange(): another folder is chosen. */
  constructor(api, onChange) {
    Object.assign(this, { api, onChange });
    this.trail = el('nav', { class: 'cm-trail', 'aria-label': 'Folder' });
    this.rows = el('ul', { class: 'cm-folders' });
    this.said = el('p', { class: 'cm-dim', role: 'status' });
    this.element = el('div', { class: 'cm-browser' }, this.trail, this.rows, this.said);
  }

  /** Go to a folder; '' shows those that the server was given. */
  async go(path) {
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const found = await this.api.folders(path);
      if (asked === this.#asked) this.#show(found);
    } catch (error) {
      setText(this.said, error.message);
    }
  }

  #show({ path, photos, folders, complete }) {
    const hadFocus = this.element.contains(document.activeElement);
    this.path = path;
    this.trail.replaceChildren(...this.#steps(path));
    this.rows.replaceChildren(...folders.map((folder) => this.#row(folder)));
    setText(this.said, words(path, photos, folders.length, complete));
    if (hadFocus) (this.rows.querySelector('button') ?? this.trail.querySelector('button:last-of-type'))?.focus();
    this.onChange();
  }

  #steps(path) {
    const parts = path ? path.split('/') : [];
    const step = (name, to) =>
      el(
        'button',
        { type: 'button', 'aria-current': to === path ? 'true' : null, onclick: () => this.go(to) },
        name,
      );
    const arrow = () => el('span', { 'aria-hidden': 'true' }, '›');
    const steps = parts.map((name, n) => [arrow(), step(name, parts.slice(0, n + 1).join('/'))]);
    return [step('All folders', ''), ...steps.flat()];
  }

  #row({ name, path, photos, has_results: hasResults }) {
    const about = [photos && counted(photos), hasResults && 'results of a batch'].filter(Boolean).join(', ');
    return el(
      'li',
      {},
      el('button', { type: 'button', onclick: () => this.go(path) }, el('span', {}, name), el('small', {}, about)),
    );
  }
}

export const counted = (count, word = 'photo') =>
  count === 1 ? `1 ${word}` : `${count ? count.toLocaleString('en') : 'no'} ${word}s`;

function words(path, photos, folders, complete) {
  if (!path) return folders ? 'Choose a folder.' : 'The server was given no folders.';
  const more = complete ? '' : ' More folders are there than are listed.';
  const deeper = folders ? ', and those of the folders in it' : '';
  return `Chosen: ${path} (${counted(photos)}${deeper}).${more}`;
}
