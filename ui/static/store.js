/**
 * What survives a reload: photos, the work on them, and the page's settings.
 *
 *     Image {id, workspace, name, size, type, width, height, sha256, added, order}
 *
 * size in bytes; width and height of the upright image, or null; sha256 of the file in hex, or null where the browser
 * cannot reckon it; added in milliseconds since 1970; order rises along the film strip. Sessions are plain values.
 */

import { BrowserDatabase, MemoryDatabase, StorageFull } from './database.js';
import { digest, newId } from './ids.js';
import { WriteBehind } from './write_behind.js';

export { StorageFull, StoreError } from './database.js';
export { openWorkspace, takeUp } from './workspace.js';

const NOT_KEPT = 'This browser keeps nothing for this page (a private window?): export your work before you close it.';

/** The store of this page, in memory where the browser refuses to keep anything: see `persistent`. */
export async function openStore() {
  const store = await BrowserDatabase.open().then(
    (database) => new Store(database),
    (error) => new Store(new MemoryDatabase(), error.cause?.name === 'VersionError' ? error.message : NOT_KEPT),
  );
  addEventListener('pagehide', () => store.urge());
  document.addEventListener('visibilitychange', () => document.hidden && store.urge());
  return store;
}

/** An Image for a file, with the file in it: for `addImage`, and to show at once. values: what else is known of it. */
export const newImage = (file, values = {}) => ({
  id: newId(),
  name: file.name ?? 'photo',
  size: file.size,
  type: file.type,
  width: null,
  height: null,
  sha256: null,
  added: Date.now(),
  order: nextOrder(),
  file,
  ...values,
});

export class Store {
  #database;
  #behind;
  #removed = new Set();
  #digests = Promise.resolve();
  #updates = Promise.resolve();

  /** why: a sentence for the user where nothing outlives the page, else null. */
  constructor(database, why = null) {
    this.#database = database;
    this.#behind = new WriteBehind((changes) => this.#write(changes));
    Object.assign(this, { workspace: newId(), why, makeRoom: async () => 0 });
  }

  /** Whether anything outlives the page. */
  get persistent() {
    return this.why === null;
  }

  /** The workspace's images, in their order. */
  async images(workspace = this.workspace) {
    const unsaved = this.#behind.unsaved('images');
    const images = new Map((await this.#database.imagesOf(workspace)).map((image) => [image.id, image]));
    for (const [id, image] of unsaved) images.set(id, image);
    return [...images.values()].filter((image) => image?.workspace === workspace).sort((a, b) => a.order - b.order);
  }

  /**
   * Keep an image and its file (see `newImage`); the Image. Its sha256 follows by itself.
   * Throws StoreError; the image can be read all the same, as long as the page is open.
   */
  async addImage(record) {
    const { file, ...values } = { ...newImage(record.file), ...record };
    const image = { ...values, workspace: this.workspace };
    const down = this.#putImage(image, file);
    this.#digests = this.#digests
      .then(() => down)
      .catch(() => {})
      .then(() => this.#addDigest(image.id, file));
    await down;
    return image;
  }

  /** Other values of an image: its width and height, say. Throws StoreError. */
  updateImage(id, values) {
    const update = async () => {
      const image = await this.#get('images', id);
      if (image) await this.#putImage({ ...image, ...values }, this.#behind.unsaved('files').get(id));
    };
    const updated = this.#updates.then(update); // each begins with what the one before left
    this.#updates = updated.catch(() => {});
    return updated;
  }

  /** The original file as a File, or null. */
  async file(id) {
    const [image, blob] = [await this.#get('images', id), await this.#get('files', id)];
    return image && blob ? new File([blob], image.name, { type: image.type, lastModified: image.added }) : null;
  }

  /** The same; here all files are at hand. */
  fileAtHand(id) {
    return this.file(id);
  }

  /** Keep an image's session as it is when the write begins: the newest wins. Throws StoreError; it stays readable. */
  async saveSession(id, session) {
    if (!this.#removed.has(id)) await this.#behind.put(`session ${id}`, [['sessions', id, session], this.#used()]);
  }

  /** An image's session, or null. */
  async session(id) {
    return (await this.#get('sessions', id)) ?? null;
  }

  /** Forget an image, its file and its session; what had no room may have some now. */
  async removeImage(id) {
    this.#removed.add(id);
    await Promise.all([
      this.#behind.put(`image ${id}`, [
        ['images', id],
        ['files', id],
      ]),
      this.#behind.put(`about ${id}`, [['images', id]]),
      this.#behind.put(`session ${id}`, [['sessions', id]]),
    ]);
    this.#behind.urge();
  }

  /** The page's settings, those of all tabs together. */
  async settings() {
    const unsaved = this.#behind.unsaved('settings');
    const saved = (await this.#database.all('settings')).map((setting) => [setting.name, setting]);
    const settings = [...new Map([...saved, ...unsaved]).values()].filter(Boolean);
    return Object.fromEntries(settings.map(({ name, value }) => [name, value]));
  }

  /** Keep some settings; the others stay as they are. undefined forgets one. Throws StoreError. */
  async saveSettings(partial) {
    const puts = Object.entries(partial).map(([name, value]) =>
      this.#behind.put(`setting ${name}`, [['settings', name, value === undefined ? undefined : { name, value }]]),
    );
    await Promise.all(puts);
  }

  /** Resolves when all is down. Throws StoreError when some of it cannot be kept. */
  async flush() {
    await this.#digests;
    await this.#behind.flush();
  }

  /** Begin every write that waits: the page may go. */
  urge() {
    this.#behind.urge();
  }

  /** All workspaces with their images, the one used last first: [{id, used, images}]. */
  async workspaces() {
    const found = await this.#database.all('workspaces');
    const listed = found.map(async ({ id, used }) => ({ id, used, images: await this.images(id) }));
    return (await Promise.all(listed)).sort((a, b) => b.used - a.used);
  }

  /** Forget a workspace that no page is using. */
  async removeWorkspace({ id, images }) {
    const tables = ['images', 'files', 'sessions'];
    await this.#database.write([
      ['workspaces', id],
      ...images.flatMap((image) => tables.map((table) => [table, image.id])),
    ]);
  }

  /** file: where it is not down yet; an image must not come without. */
  async #putImage(image, file) {
    const { id } = image;
    const changes = [['images', id, image], this.#used()];
    if (this.#removed.has(id)) return;
    if (file) await this.#behind.put(`image ${id}`, [...changes, ['files', id, file]]);
    else await this.#behind.put(`about ${id}`, changes);
  }

  async #addDigest(id, file) {
    try {
      const sha256 = await digest(file);
      if (sha256) await this.updateImage(id, { sha256 });
    } catch {
      // a file that cannot be read, or no room: `addImage` has said so
    }
  }

  #used() {
    return ['workspaces', this.workspace, { id: this.workspace, used: Date.now() }];
  }

  async #get(table, key) {
    const unsaved = this.#behind.unsaved(table);
    return unsaved.has(key) ? unsaved.get(key) : this.#database.get(table, key);
  }

  async #write(changes) {
    try {
      await this.#database.write(changes);
    } catch (error) {
      if (!(error instanceof StorageFull) || !(await this.makeRoom())) throw error;
      await this.#database.write(changes);
    }
  }
}

let lastOrder = 0;
const nextOrder = () => (lastOrder = Math.max(lastOrder + 1, Date.now()));
