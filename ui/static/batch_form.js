/** What a new batch is to do: which photos, what to look for, which formats. */

import { OwnFiles } from './batch_files.js';
import { FolderBrowser } from './batch_folders.js';
import { el } from './dom.js';

const FORMATS = [
  ['png', 'Masks', 'a black and white PNG for each object'],
  ['cutout', 'Cut-outs', 'the object alone, on transparent ground'],
  ['overlay', 'Overlay', 'the photo with its objects marked'],
  ['coco', 'COCO', 'one document of all photos'],
  ['yolo', 'YOLO', 'a text file a photo, and data.yaml'],
  ['labelme', 'LabelMe', 'what labelme opens beside the photo'],
  ['json', 'clickmask JSON', 'all there is to know; this page opens it'],
  ['labelmap', 'Label map', 'one picture, the objects’ numbers as its values'],
  ['geojson', 'GeoJSON', 'polygons with holes, in pixels'],
  ['csv', 'Measurements', 'scores, area, box and more as a table'],
  ['sa1b', 'SA-1B', 'as SA-1B’s own files'],
  ['amg', 'amg.py', 'the folder that segment_anything’s script writes'],
];
const WAYS = [
  ['point', 'The object in the middle of each photo'],
  ['box', 'The object that fills each photo'],
  ['everything', 'All objects'],
  ['subject', 'What each photo is of, where that is one thing'],
  ['prompts', 'What a file says: points, boxes and labels'],
];
const GRIDS = { 16: '16 × 16: quick', 32: '32 × 32', 64: '64 × 64: finer, slower' };
const RESULTS = 'results';

export class BatchForm {
  #prompts = null; // the text of the file

  /** api: see batch_api.js. server: {has_folders, upload, upload_photos}. onStart(request, photos or null). */
  constructor(api, server, onStart) {
    Object.assign(this, { api, server, onStart });
    this.browser = new FolderBrowser(api, () => this.#proposeOut());
    this.own = new OwnFiles({ bytes: server.upload, count: server.upload_photos }, () => this.#say(''));
    this.error = el('p', { class: 'cm-alarm', role: 'alert' });
    this.start = el('button', { type: 'submit', class: 'cm-primary' }, 'Start');
    this.element = el(
      'form',
      { class: 'cm-form', 'aria-label': 'New batch', onsubmit: (event) => this.#submit(event) },
      el('h2', {}, 'New batch'),
      this.#makePhotos(),
      this.#makeWays(),
      this.#makeFormats(),
      this.error,
      el('p', {}, this.start),
    );
    this.#show();
    if (server.has_folders) this.browser.go('');
  }

  /** While it is sent: share of the upload, or null when nothing is. */
  set sending(share) {
    this.start.disabled = share !== null;
    this.start.textContent = share === null ? 'Start' : `Uploading: ${Math.round(share * 100)} %`;
  }

  /** Why it was not begun. */
  fail(error) {
    this.#say(error.message);
  }

  get #isServers() {
    return this.#value('from') === 'server';
  }

  #value(name) {
    return this.element.elements[name]?.value ?? '';
  }

  #makePhotos() {
    const { has_folders: hasFolders, upload_photos: takes } = this.server;
    const ways = [];
    if (hasFolders) ways.push(this.#radio('from', 'server', 'In a folder at the server', true));
    if (takes) ways.push(this.#radio('from', 'own', 'Mine: they are uploaded', !hasFolders));
    this.out = el('input', { type: 'text', name: 'out', autocomplete: 'off', spellcheck: 'false' });
    const out = el('label', { class: 'cm-row' }, 'Folder for the results', this.out);
    this.servers = el('div', {}, this.browser.element, out);
    return fieldset('Photos', ...(ways.length > 1 ? ways : hide(ways)), this.servers, this.own.element);
  }

  #makeWays() {
    const rows = WAYS.map(([value, text], n) => this.#radio('way', value, text, n === 0));
    const grids = Object.entries(GRIDS).map(([value, text]) => el('option', { value }, text));
    this.grid = el('select', { name: 'grid' }, ...grids);
    this.grid.value = '32';
    this.search = el(
      'div',
      { class: 'cm-grid' },
      el('label', { class: 'cm-row' }, 'Points that are asked', this.grid),
      number('score', 'Predicted IoU above', { value: 0.88, min: 0, max: 1, step: 0.01 }),
      number('stability', 'Stability at least', { value: 0.95, min: 0, max: 1, step: 0.01 }),
      number('area', 'Pixels at least', { value: 0, min: 0, max: 1e9, step: 1 }),
    );
    const accept = '.csv,.jsonl,.json,.txt';
    this.file = el('input', { type: 'file', name: 'file', accept, onchange: () => this.#read() });
    this.prompts = el(
      'div',
      {},
      el('label', { class: 'cm-row' }, 'Prompts', this.file),
      el('p', { class: 'cm-dim' }, 'JSON Lines or CSV, an object a line: image, points, labels, box, label.'),
    );
    return fieldset('What to look for', ...rows, this.search, this.prompts);
  }

  #makeFormats() {
    const rows = FORMATS.map(([value, name, words]) =>
      el(
        'label',
        { class: 'cm-choice' },
        el('input', { type: 'checkbox', name: 'format', value, checked: ['png', 'coco'].includes(value) }),
        el('span', {}, name, el('small', {}, words)),
      ),
    );
    return fieldset('Results', el('div', { class: 'cm-formats' }, ...rows));
  }

  #radio(name, value, text, checked) {
    const input = el('input', { type: 'radio', name, value, checked, onchange: () => this.#show() });
    return el('label', { class: 'cm-choice' }, input, el('span', {}, text));
  }

  #show() {
    this.servers.hidden = !this.#isServers;
    this.own.element.hidden = this.#isServers;
    this.search.hidden = this.#value('way') !== 'everything';
    this.prompts.hidden = this.#value('way') !== 'prompts';
    this.#say('');
  }

  #proposeOut() {
    this.out.value = this.browser.path ? `${this.browser.path}/${RESULTS}` : '';
    this.#say('');
  }

  async #read() {
    const [file] = this.file.files;
    this.#prompts = file ? await file.text() : null;
    this.#say('');
  }

  async #submit(event) {
    event.preventDefault();
    const trouble = this.#trouble();
    this.#say(trouble);
    if (!trouble) await this.onStart(this.#request(), this.#isServers ? null : this.own.photos);
  }

  #trouble() {
    if (this.#isServers && !this.browser.path) return 'Choose a folder first.';
    if (this.#isServers && !this.out.value.trim()) return 'Name a folder for the results.';
    if (!this.#isServers && this.own.trouble) return this.own.trouble;
    if (this.#value('way') === 'prompts' && !this.#prompts) return 'Choose a file of prompts.';
    return this.#formats.length ? '' : 'Tick at least one kind of results.';
  }

  get #formats() {
    return [...this.element.querySelectorAll('[name=format]:checked')].map(({ value }) => value);
  }

  #request() {
    const where = this.#isServers ? { photos: this.browser.path, out: this.out.value.trim() } : {};
    return { ...where, ...this.#asked(), formats: this.#formats };
  }

  #asked() {
    const way = this.#value('way');
    if (way === 'point') return { point: 'center' };
    if (way === 'box') return { box: 'full' };
    if (way === 'prompts') return { prompts: this.#prompts };
    if (way === 'subject') return { subject: {} };
    return {
      everything: {
        points_per_side: Number(this.grid.value),
        pred_iou_thresh: Number(this.#value('score')),
        stability_score_thresh: Number(this.#value('stability')),
        min_area: Number(this.#value('area')),
      },
    };
  }

  #say(text) {
    this.error.textContent = text;
  }
}

const fieldset = (legend, ...children) => el('fieldset', {}, el('legend', {}, legend), ...children);

const number = (name, text, values) =>
  el('label', { class: 'cm-row' }, text, el('input', { type: 'number', name, required: true, ...values }));

function hide(rows) {
  for (const row of rows) row.hidden = true;
  return rows;
}
