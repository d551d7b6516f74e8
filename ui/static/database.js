/**
 * The browser's database, and plain memory in its place where there is none.
 *
 * Both are tables of values by key. A Change is [table, key, value]; without a value, what was there goes.
 */

const NAME = 'clickmask';
const PATIENCE = 4000; // milliseconds; a page that must not write is better than one that never starts

/** Step n brings a database of version n - 1 to version n. Never change one that was released: add another. */
const MIGRATIONS = [
  (database) => {
    for (const table of ['workspaces', 'files', 'sessions', 'settings']) database.createObjectStore(table);
    database.createObjectStore('images').createIndex('workspace', 'workspace');
  },
];

/** The browser did not keep something; `message` is a sentence for the user. */
export class StoreError extends Error {
  constructor(message, cause) {
    super(message, { cause });
    this.name = 'StoreError';
  }
}

/** There is no room left for this page in the browser's storage. */
export class StorageFull extends StoreError {
  constructor(cause) {
    super(
      'The browser has no room left for this: it is not kept after a reload. Remove photos you have finished.',
      cause,
    );
    this.name = 'StorageFull';
  }
}

/** Tables in IndexedDB; they outlive the page. */
export class BrowserDatabase {
  #connection = null;

  /** Throws whatever keeps the browser from opening it. */
  static async open() {
    const database = new BrowserDatabase();
    await database.#connected();
    return database;
  }

  get(table, key) {
    return this.#read(table, (store) => store.get(key));
  }

  all(table) {
    return this.#read(table, (store) => store.getAll());
  }

  /** The images of a workspace. */
  imagesOf(workspace) {
    return this.#read('images', (store) => store.index('workspace').getAll(workspace));
  }

  /** All of the changes or none. Throws StoreError. */
  async write(changes) {
    const database = await this.#connected();
    try {
      await writing(database, changes);
    } catch (error) {
      throw explained(error);
    }
  }

  async #read(table, ask) {
    const database = await this.#connected();
    try {
      return await settled(ask(database.transaction(table).objectStore(table)));
    } catch (error) {
      throw explained(error);
    }
  }

  /** Opened again after the browser has closed it: somebody cleared the site's data, say. */
  #connected() {
    this.#connection ??= connect(() => (this.#connection = null)).catch((error) => {
      this.#connection = null;
      throw explained(error);
    });
    return this.#connection;
  }
}

/** The same in memory. */
export class MemoryDatabase {
  #tables = new Map();

  async get(table, key) {
    return this.#table(table).get(key);
  }

  async all(table) {
    return [...this.#table(table).values()];
  }

  async imagesOf(workspace) {
    return (await this.all('images')).filter((image) => image.workspace === workspace);
  }

  async write(changes) {
    for (const [table, key, value] of structuredClone(changes)) {
      if (value === undefined) this.#table(table).delete(key);
      else this.#table(table).set(key, value);
    }
  }

  #table(name) {
    if (!this.#tables.has(name)) this.#tables.set(name, new Map());
    return this.#tables.get(name);
  }
}

function connect(onClose) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, MIGRATIONS.length);
    request.onupgradeneeded = ({ oldVersion }) => {
      for (const migrate of MIGRATIONS.slice(oldVersion)) migrate(request.result, request.transaction);
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => resolve(watched(request.result, onClose));
    setTimeout(() => reject(new StoreError('The browser does not open its storage.')), PATIENCE);
  });
}

/** A page that comes with a later version must not wait for this one. */
function watched(database, onClose) {
  database.onclose = onClose;
  database.onversionchange = () => {
    database.close();
    onClose();
  };
  return database;
}

function writing(database, changes) {
  return new Promise((resolve, reject) => {
    const tables = [...new Set(changes.map(([table]) => table))];
    const transaction = database.transaction(tables, 'readwrite');
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    try {
      for (const change of changes) apply(transaction, change);
    } catch (error) {
      reject(error);
      transaction.abort();
      return;
    }
    transaction.commit(); // by itself it would wait for the answers, which a page that is closing never hears
  });
}

function apply(transaction, [table, key, value]) {
  const store = transaction.objectStore(table);
  if (value === undefined) store.delete(key);
  else store.put(value, key);
}

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function explained(error) {
  if (error instanceof StoreError) return error;
  if (error?.name === 'QuotaExceededError') return new StorageFull(error);
  if (error?.name === 'VersionError')
    return new StoreError('Another tab has a newer version of this page. Reload this one to keep your work.', error);
  return new StoreError(
    `The browser could not keep this: ${error?.message || error?.name || 'no reason given'}.`,
    error,
  );
}
