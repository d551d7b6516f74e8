/** The files of a drop, those inside its folders included. */

const BY_NAME = new Intl.Collator(undefined, { numeric: true });
const HIDDEN = /^(\.|Thumbs\.db$|desktop\.ini$)/i; // what systems leave in folders of photos

/**
 * The files of a DataTransfer, in their order, folders' by name: promise of [{file, folder}].
 * folder: the name of the dropped folder it came in, or null. Must be called while the event is dispatched.
 * file is null for one that the browser does not let us read; `name` says which.
 */
export async function filesOf(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const dropped = items.map((item) => ({ entry: item.webkitGetAsEntry?.() ?? null, file: item.getAsFile() }));
  const found = await Promise.all(
    dropped.map(({ entry, file }) => (entry?.isDirectory ? inside(entry) : [plain(file)])),
  );
  return found.flat();
}

const plain = (file) => ({ file, name: file?.name ?? 'A file', folder: null });

async function inside(folder) {
  const files = (await walk(folder)).map((entry) => fileOf(entry, folder.name));
  return files.length ? Promise.all(files) : [{ file: null, name: folder.name, folder: folder.name }];
}

async function walk(folder) {
  const entries = await entriesOf(folder);
  const walked = entries.map((entry) => (entry.isDirectory ? walk(entry) : [entry]));
  return (await Promise.all(walked)).flat();
}

async function entriesOf(folder) {
  const reader = folder.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) break; // they come in portions
    entries.push(...some);
  }
  return entries.filter(({ name }) => !HIDDEN.test(name)).sort((a, b) => BY_NAME.compare(a.name, b.name));
}

const fileOf = (entry, folder) =>
  new Promise((resolve) => {
    const done = (file) => resolve({ file, name: entry.name, folder });
    entry.file(done, () => done(null));
  });
