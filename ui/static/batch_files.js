/** Photos of one's own for a batch: dropped, or chosen as files or as a folder. */

import { counted } from './batch_folders.js';
import { el, setText } from './dom.js';
import { fit, Unique } from './file_names.js';
import { filesOf } from './folders.js';

const PHOTO = /\.(jpe?g|png|webp|bmp|gif|tiff?)$/i;

export class OwnFiles {
  /** [{name, file}]: names are paths, no two alike. */
  photos = [];

  /** most: {bytes, count} of an upload. onChange(): there are others. */
  constructor(most, onChange) {
    Object.assign(this, { most, onChange });
    this.files = el('input', { type: 'file', multiple: true, accept: 'image/*', hidden: true });
    this.folder = el('input', { type: 'file', webkitdirectory: true, hidden: true });
    for (const input of [this.files, this.folder]) input.addEventListener('change', () => this.#chosen(input));
    this.said = el('p', { class: 'cm-dim', role: 'status' }, 'Drop photos or folders here.');
    this.clear = button('Clear', () => this.take([]));
    const ways = el(
      'p',
      { class: 'cm-ways' },
      button('Choose photos', () => this.files.click()),
      button('Choose a folder', () => this.folder.click()),
      this.clear,
    );
    this.element = el('div', { class: 'cm-own' }, ways, this.said, this.files, this.folder);
    this.element.addEventListener('dragover', (event) => this.#over(event, true));
    this.element.addEventListener('dragleave', (event) => this.#over(event, false));
    this.element.addEventListener('drop', (event) => this.#dropped(event));
    this.#render(0);
  }

  /** In place of those before: [{path, file}]; what is no photo by its name is left out. */
  take(found) {
    const photos = found.filter(({ file, path }) => file && PHOTO.test(path));
    const names = new Unique();
    this.photos = photos.map(({ path, file }) => ({ name: names.take(path.split('/').map(fit).join('/')), file }));
    this.#render(found.length - photos.length);
    this.onChange();
  }

  /** Why these cannot be sent, or ''. */
  get trouble() {
    const bytes = this.photos.reduce((sum, { file }) => sum + file.size, 0);
    if (!this.photos.length) return 'Choose photos first.';
    if (this.photos.length > this.most.count) return `At most ${counted(this.most.count)} can be uploaded at once.`;
    return bytes > this.most.bytes ? `At most ${size(this.most.bytes)} can be uploaded at once.` : '';
  }

  #chosen(input) {
    this.take([...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file })));
    input.value = '';
  }

  #over(event, isOver) {
    if (event.dataTransfer?.types.includes('Files')) event.preventDefault();
    this.element.toggleAttribute('data-over', isOver);
  }

  async #dropped(event) {
    event.preventDefault();
    event.stopPropagation();
    this.element.removeAttribute('data-over');
    const found = await filesOf(event.dataTransfer);
    this.take(found.map(({ file, name, folder }) => ({ path: [folder, name].filter(Boolean).join('/'), file })));
  }

  #render(others) {
    const bytes = this.photos.reduce((sum, { file }) => sum + file.size, 0);
    const left = others ? ` ${counted(others, 'other file')} left out.` : '';
    const have = `${counted(this.photos.length)}, ${size(bytes)}.${left}`;
    setText(this.said, this.photos.length ? `${have} ${this.trouble}`.trim() : `Drop photos or folders here.${left}`);
    this.clear.hidden = !this.photos.length;
  }
}

const button = (text, run) => el('button', { type: 'button', onclick: run }, text);

const size = (bytes) => (bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);
