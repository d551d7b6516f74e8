/** Work that was saved, here or by others, back onto its photos: session files, COCO and LabelMe. */

import { DocumentError, mapping } from './fields.js';
import { join } from './joining.js';
import { photoFor, sizeOf, Unmatched } from './matching.js';
import { isCoco, readCoco } from './reading_coco.js';
import { isLabelMe, readLabelMe } from './reading_labelme.js';
import { isResult, readResult } from './reading_result.js';
import { isSession, readSession } from './session_file.js';
import { newImage } from './store.js';

const NAMED = 3; // photos that a sentence names before it only counts

export class Reopening {
  /** page: {documents, bench, toasts}. */
  constructor(page) {
    this.page = page;
  }

  /** Open documents, one after the other; resolves when all that can be is on its photos. What cannot be is told. */
  async open(files) {
    const found = [];
    for (const file of files)
      found.push({ name: file.name, records: await this.#records(file), done: [], missing: [] });
    await this.#openPictures(found.flatMap(({ records }) => records));
    for (const one of found) {
      for (const record of one.records) await this.#put(record, one);
      this.#tell(one);
    }
    const docs = found.flatMap(({ done }) => done.map(({ doc }) => doc));
    if (docs.length && !docs.includes(this.page.documents.current)) this.page.documents.open(docs[0]);
  }

  async #records(file) {
    try {
      return recordsOf(await file.text(), file.name);
    } catch (error) {
      this.#refuse(file.name, error);
      return [];
    }
  }

  /** Photos that stand in the documents themselves, unless they are open already. */
  async #openPictures(records) {
    const { documents } = this.page;
    const pictures = [];
    for (const record of records.filter(({ picture }) => picture)) {
      const isOpen = await photoFor(record, documents).then(
        () => true,
        () => false,
      );
      if (isOpen) continue;
      const image = newImage(record.picture);
      record.docId = image.id;
      pictures.push(image);
    }
    if (pictures.length) documents.add(pictures);
  }

  /** One record onto its photo, as one command. */
  async #put(record, { name, done, missing }) {
    const { documents } = this.page;
    try {
      const doc = await photoFor(record, documents);
      const state = await record.read(await sizeOf(doc, documents));
      await doc.loadSession();
      this.#add(doc, state, name);
      done.push({ doc, count: state.objects.length + (state.current && !state.current.of ? 1 : 0) });
    } catch (error) {
      if (error instanceof Unmatched) missing.push({ name: record.name, error });
      else this.#refuse(name, error);
    }
  }

  #add(doc, state, name) {
    if (!state.objects.length && !state.current) return;
    doc.session.run(
      `Open ${name}`,
      join(doc.session.state, state, (making) => doc.finals.begin(making)),
    );
    this.page.bench.renew(doc);
  }

  #tell({ name, done, missing }) {
    const { toasts } = this.page;
    const count = done.reduce((sum, one) => sum + one.count, 0);
    const where = done.length === 1 ? done[0].doc.name : `${done.length} photos`;
    if (done.length) toasts.say(`${name}: ${count === 1 ? '1 object' : `${count} objects`} on ${where}.`);
    if (missing.length === 1) toasts.error(`${name}: ${missing[0].error.message}.`);
    else if (missing.length)
      toasts.error(
        `${name}: ${missing.length} of its photos are not open here: ${listed(missing.map((one) => one.name))}.`,
      );
  }

  #refuse(name, error) {
    this.page.toasts.error(`${name} was not opened: ${error.message}.`, { key: `refused ${name}` });
  }
}

function recordsOf(text, name) {
  const document = mapping(parsed(text), 'the document');
  if (isSession(document)) return readSession(document);
  if (isResult(document)) return readResult(document);
  if (isCoco(document)) return readCoco(document);
  if (isLabelMe(document)) return readLabelMe(document, name);
  throw new DocumentError('it is no session of this page, and no COCO, LabelMe or clickmask JSON file');
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new DocumentError('it is no whole JSON');
  }
}

function listed(names) {
  const rest = names.length - NAMED;
  return names.slice(0, NAMED).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}
