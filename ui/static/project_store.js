/**
 * What a photo of the project has instead of the browser's store (store.js): its file and its work are at the server.
 */

import { sniff, SNIFFED } from './kinds.js';
import { patiently } from './patience.js';

const KEPT = 3; // files in memory: the photo looked at, the next one and the one before

export class ProjectStore {
  #files = new Map(); // id -> promise of a File, those asked for last at the end
  #works = new Map(); // id -> ProjectWork

  /** workOf(id): a new ProjectWork. on: {fetched(id), wait(error | null)}. */
  constructor(api, photos, workOf, on) {
    Object.assign(this, { api, workOf, on });
    this.names = new Map(photos.map(({ id, name }) => [id, name]));
    document.addEventListener('visibilitychange', () => document.hidden && this.#urge());
  }

  /** The photo's file, fetched where it is not at hand. */
  file(id) {
    const file = this.#files.get(id) ?? this.#fetched(id);
    this.#files.delete(id);
    this.#files.set(id, file);
    if (this.#files.size > KEPT) this.#files.delete(this.#files.keys().next().value);
    return file;
  }

  /** The same, or null where it is not at hand. */
  async fileAtHand(id) {
    return (await this.#files.get(id)?.catch(() => null)) ?? null;
  }

  session(id) {
    if (!this.#works.has(id)) this.#works.set(id, this.workOf(id));
    return this.#works.get(id).open();
  }

  saveSession(id, session) {
    return this.#works.get(id).save(session);
  }

  /** The server knows better. */
  async updateImage() {}

  /** Out of the strip it goes, not out of the folder. */
  async removeImage() {}

  #fetched(id) {
    const file = this.#fetch(id);
    file.then(
      () => this.on.fetched(id),
      () => this.#files.delete(id),
    );
    return file;
  }

  async #fetch(id) {
    const blob = await patiently(() => this.api.photo(id), { onWait: this.on.wait });
    const { kind, refusal } = sniff(new Uint8Array(await blob.slice(0, SNIFFED).arrayBuffer()));
    const name = this.names.get(id);
    if (!kind) throw new Error(`${name} ${refusal}.`);
    return new File([blob], name, { type: `image/${kind.toLowerCase()}` });
  }

  #urge() {
    for (const work of this.#works.values()) work.urge();
  }
}
