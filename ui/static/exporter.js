/** Files out, as the page asks for them: of the photo looked at or of all, cut-outs, the session itself. */

const writers = () => import('./exports.js'); // only those who export wait for it

export class Exporter {
  /** What `exportNow` writes, set by the controls around the page: {formats, all, polygons, pad, feather}. */
  options = { formats: ['cutout'], all: false };
  #cancel = null;

  /** page: {api, bench, documents, toasts}. */
  constructor(page) {
    this.page = page;
  }

  /** The finished objects, in the chosen formats; one that is being made is finished first. */
  async exportNow(options = {}) {
    Object.assign(this.options, options);
    if (!this.options.formats.length) {
      this.page.toasts.error('Choose under Export what is to be written: no format is ticked.');
      return;
    }
    this.page.bench.editor?.finish();
    await this.#tell(() => (this.options.all ? this.#all() : this.#one(this.page.bench.doc, null, this.options)));
  }

  /** Cut-outs of these objects. */
  cutOut(things) {
    return this.#tell(() => this.#one(this.page.bench.doc, things, { ...this.options, formats: ['cutout'] }));
  }

  /** An object's cut-out on the clipboard. */
  async copy(things) {
    if (!navigator.clipboard?.write) {
      this.page.toasts.error(
        'The browser lets no page copy pictures here: open the page over https, or save the cut-out.',
      );
      return;
    }
    const blob = this.#written(this.page.bench.doc, things.slice(0, 1), { ...this.options, formats: ['cutout'] }).then(
      (file) => file.blob,
    );
    await this.#tell(async () => {
      // A promise: the click's right must not expire.
      await navigator.clipboard.write([new ClipboardItem({ 'image/png': blob })]);
      this.page.toasts.say('The cut-out is on the clipboard.');
    });
  }

  /** The session as a file: prompts, masks, labels; it can be opened again. */
  async saveSession() {
    const { doc } = this.page.bench;
    if (!doc?.session || !doc.size) return;
    const { sessionOf } = await import('./session_file.js');
    const blob = new Blob([await sessionOf(doc)], { type: 'application/json' });
    await this.#download({ name: `${doc.name}.clickmask.json`, blob });
  }

  async #one(doc, things, options) {
    this.#download(await this.#written(doc, things, options));
  }

  async #written(doc, things, options) {
    const objects = await objectsOf(doc, things);
    if (!objects.length) throw new Error('There is no finished object to export yet.');
    const { exportOne } = await writers();
    return exportOne(this.page.api, imageOf(doc), objects, options);
  }

  async #all() {
    const { documents, toasts, api } = this.page;
    this.#cancel = new AbortController();
    const images = [];
    for (const doc of documents.list) {
      await doc.loadSession();
      const objects = await objectsOf(doc, null);
      if (objects.length) images.push({ ...imageOf(doc), objects });
    }
    if (!images.length) throw new Error('There is no finished object to export yet.');
    const stop = { name: 'Stop', run: () => this.#cancel.abort() };
    const onProgress = (done, all) =>
      toasts.say(`Exporting: ${done} of ${all} photos`, { key: 'export', action: stop, stays: true });
    const { exportAll } = await writers();
    const file = await exportAll(api, images, this.options, onProgress, this.#cancel.signal);
    toasts.drop('export');
    for (const { image, error } of file.failed) toasts.error(`${image.name} is not in the zip: ${error.message}`);
    this.#download(file);
  }

  async #download({ name, blob }) {
    const { download } = await writers();
    download(name, blob);
  }

  async #tell(work) {
    try {
      await work();
    } catch (error) {
      this.page.toasts.drop('export');
      if (error.name !== 'AbortError') this.page.toasts.error(error.message);
    }
  }
}

const imageOf = (doc) => ({
  id: doc.id,
  name: doc.name,
  size: doc.size,
  ensureImage: () => doc.remote.id(),
  forget: () => doc.remote.forget(),
});

/** The objects as the API takes them, their masks at the image's own resolution. */
async function objectsOf(doc, things) {
  const wanted = things ?? doc.session.state.objects.filter((thing) => !doc.hidden.has(thing.id));
  const masks = await Promise.all(wanted.map((thing) => doc.finals.settle(thing)));
  return wanted.map((thing, n) => toObject(thing, masks[n])).filter(({ rle }) => rle !== null);
}

function toObject(thing, mask) {
  const { score, stability, rle, bounds } = mask;
  const question = thing.making.answers.at(-1)?.question;
  const prompt = question && {
    points: question.points,
    labels: question.labels,
    box: question.box,
    previous: question.previous !== null,
  };
  return { rle: bounds === null ? null : rle, label: thing.label || null, score, stability, ...(prompt && { prompt }) };
}
