/**
 * Photos in, and the work on them: dropped, pasted, chosen, taken or fetched. Each is looked at before anything is sent
 * anywhere.
 */

import { takePicture } from './camera.js';
import { filesOf } from './folders.js';
import { isDocument, SNIFFED, sniff } from './kinds.js';

const ACCEPTED =
  '.jpg,.jpeg,.png,.webp,.bmp,.gif,.tif,.tiff,image/jpeg,image/png,image/webp,image/bmp,image/gif,image/tiff,' +
  '.json,application/json';
const LARGEST_DOCUMENT = 256e6; // bytes; browsers have no longer texts than twice that
const DROP_RESTS = 700; // milliseconds without a word of the drag after which it is over; browsers speak every 350

export class Intake {
  #batches = Promise.resolve();
  #listening = new AbortController();
  #input = null;
  #pasted = 0;
  #isOwnDrag = false;
  #dropTimer = null;

  /**
   * Takes what is dropped on the page or pasted into it from now on. element: has the class `is-dropping` while files
   * are dragged over the page. maxBytes: that the server takes. onFiles(files): photos that came together, in order.
   * onDocuments(files): JSON documents that came with them, or alone; called after it.
   * onRefused(name, sentence): for each file that is neither, and why.
   */
  constructor(element, { maxBytes = Infinity, onFiles, onDocuments = () => {}, onRefused }) {
    Object.assign(this, { element, maxBytes, onFiles, onDocuments, onRefused });
    this.#listen();
  }

  /** Ask for files in the browser's dialog; must be called from a click or a key. */
  choose() {
    const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true, accept: ACCEPTED });
    input.onchange = () => this.take([...input.files]);
    this.#input = input; // kept, or the browser may forget it before the user has chosen
    input.click();
  }

  /** Take a picture with the camera; must be called from a click or a key. */
  async camera() {
    try {
      const file = await takePicture(this.element);
      if (file) await this.take([file]);
    } catch (error) {
      this.onRefused('camera', error.message);
    }
  }

  /** Fetch a photo of this site. */
  async takeExample(url) {
    const name = decodeURIComponent(new URL(url, location.href).pathname.split('/').at(-1));
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const blob = await response.blob();
      await this.take([new File([blob], name, { type: blob.type })]);
    } catch (error) {
      this.onRefused(name, `${name} cannot be fetched: ${error.message}.`);
    }
  }

  /** Files from elsewhere; resolves when they were handed on or refused. */
  take(files) {
    return this.#take(files.map((file) => ({ file, name: file.name, folder: null })));
  }

  /** No more drops and pastes. */
  stop() {
    this.#listening.abort();
  }

  #listen() {
    const on = (name, listener) => document.addEventListener(name, listener, { signal: this.#listening.signal });
    on('dragstart', () => (this.#isOwnDrag = true));
    on('dragend', () => (this.#isOwnDrag = false));
    on('dragover', (event) => this.#onDragOver(event));
    on('dragleave', (event) => event.relatedTarget === null && this.#showDrop(100));
    on('drop', (event) => this.#onDrop(event));
    on('paste', (event) => this.#onPaste(event));
  }

  /** found: [{file, name, folder}] or a promise of it. Batches come one after the other. */
  #take(found) {
    const taken = this.#batches.then(async () => {
      const looked = await Promise.all((await found).map((one) => this.#look(one)));
      const taken = looked.filter(({ refusal }) => !refusal);
      this.#refuse(looked.filter(({ refusal }) => refusal));
      const [documents, files] = [true, false].map((wanted) =>
        taken.filter(({ isText }) => isText === wanted).map(({ file }) => file),
      );
      if (files.length) this.onFiles(files);
      if (documents.length) this.onDocuments(documents);
    });
    this.#batches = taken.catch(() => {}); // a fault in `onFiles` is its caller's to hear of
    return taken;
  }

  /** One by one; of a folder's other files only how many there are. */
  #refuse(refused) {
    const strangers = new Map();
    for (const { name, folder, refusal } of refused) {
      if (folder && refusal.includes('not a photo')) strangers.set(folder, (strangers.get(folder) ?? 0) + 1);
      else this.onRefused(name, `${name} ${refusal}.`);
    }
    for (const [folder, count] of strangers) this.onRefused(folder, leftOut(folder, count));
  }

  async #look(one) {
    return { ...one, isText: false, ...(await this.#judge(one)) };
  }

  /** {refusal, isText}: why it is not taken, if it is not, and whether it is a document. */
  async #judge({ file, name, folder }) {
    if (!file) return { refusal: name === folder ? 'has no files in it' : 'cannot be read' };
    if (file.size === 0) return { refusal: 'is empty (0 bytes)' };
    try {
      const head = await headOf(file);
      if (isDocument(head)) return { isText: true, refusal: tooLarge(file, LARGEST_DOCUMENT, 'this page opens') };
      return { refusal: sniff(head).refusal ?? tooLarge(file, this.maxBytes, 'the server takes') };
    } catch {
      return { refusal: 'cannot be read: it was moved or changed, or is a folder' };
    }
  }

  #onDragOver(event) {
    if (!this.#isForUs(event)) return this.#showDrop(0);
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    this.#showDrop(DROP_RESTS);
  }

  #onDrop(event) {
    this.#showDrop(0);
    if (!this.#isForUs(event)) return;
    event.preventDefault(); // or the browser leaves the page to show the file
    this.#take(filesOf(event.dataTransfer));
  }

  /** Not what another part of the page takes, nor what is dragged about within it: pictures count as files there. */
  #isForUs(event) {
    return !event.defaultPrevented && !this.#isOwnDrag && event.dataTransfer.types.includes('Files');
  }

  #onPaste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    const isTyping = event.target.closest?.('input, textarea, [contenteditable]');
    if (event.defaultPrevented || (isTyping && event.clipboardData.types.includes('text/plain'))) return;
    const text = files.length ? '' : (event.clipboardData?.getData('text/plain') ?? '');
    if (text.trimStart().startsWith('{')) files.push(new File([text], 'pasted.json', { type: 'application/json' }));
    if (!files.length) return;
    event.preventDefault();
    this.take(files.map((file) => this.#named(file)));
  }

  /** Browsers call every pasted picture the same. */
  #named(file) {
    if (file.name !== 'image.png') return file;
    this.#pasted += 1;
    return new File([file], `pasted ${this.#pasted}.png`, { type: file.type });
  }

  #showDrop(milliseconds) {
    clearTimeout(this.#dropTimer);
    this.element.classList.toggle('is-dropping', milliseconds > 0);
    if (milliseconds) this.#dropTimer = setTimeout(() => this.#showDrop(0), milliseconds);
  }
}

/** Whether browsers cannot show it, and the server can: TIFF. */
export const needsServerPicture = async (file) => sniff(await headOf(file)).needsServerPicture ?? false;

const headOf = async (file) => new Uint8Array(await file.slice(0, SNIFFED).arrayBuffer());

const leftOut = (folder, count) =>
  count === 1
    ? `One file in ${folder} is no photo and was left out.`
    : `${count} files in ${folder} are no photos and were left out.`;

const tooLarge = ({ size }, most, who) =>
  size > most ? `is too large: ${mb(size)}, and ${who} at most ${mb(most)}` : null;

const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
