/** Zip files, written as their files come and read as a whole. */

import { unzip, Zip, ZipDeflate, ZipPassThrough } from './vendor/fflate.js';

import { Unique } from './file_names.js';

const TEXT = /\.(json|geojson|csv|txt|svg|yaml)$/i;
const SLICE = 1 << 18; // bytes pressed at a time, so that the page stays awake

/** Grows by `add`; what it holds lies in Blobs, which the browser may keep out of memory. */
export class Archive {
  #names = new Unique();
  #parts = [];
  #zip = new Zip((error, chunk) => this.#take(error, chunk));
  #error = null;

  /** A file, under its name or, where that is taken, one like it. blob: a Blob. */
  async add(name, blob) {
    const Kind = TEXT.test(name) ? ZipDeflate : ZipPassThrough; // pictures are pressed already
    const entry = new Kind(this.#names.take(name));
    this.#zip.add(entry);
    for (let at = 0; at < blob.size || at === 0; at += SLICE) {
      const bytes = new Uint8Array(await blob.slice(at, at + SLICE).arrayBuffer());
      entry.push(bytes, at + SLICE >= blob.size);
    }
    if (this.#error) throw this.#error;
  }

  /** The zip file, as a Blob. Nothing can be added any more. */
  finish() {
    this.#zip.end();
    return new Blob(this.#parts, { type: 'application/zip' });
  }

  #take(error, chunk) {
    this.#error ??= error;
    if (chunk) this.#parts.push(new Blob([chunk]));
  }
}

/** The files in a zip file: [{name, blob}]. Throws where it is none. */
export async function unpack(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const files = await new Promise((resolve, reject) => {
    unzip(bytes, (error, found) => (error ? reject(new Error(error.message)) : resolve(found)));
  });
  return Object.entries(files).map(([name, data]) => ({ name, blob: new Blob([data]) }));
}
