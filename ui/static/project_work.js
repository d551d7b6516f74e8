/**
 * The work on one photo of the project: in this browser at once, in the project's folder soon after. Which is the newer
 * is told by the folder's versions, not by clocks; nobody's work takes the place of other work unasked.
 *
 *     Saved {entries, at, base, isDirty, sent, size}   what the browser keeps. base: the tag of the folder's work it
 *                                                      comes from, null for none; isDirty: it has gone on from there;
 *                                                      sent: the state on its way to the folder; size: of the photo
 */

import { DocumentError } from './fields.js';
import { patiently } from './patience.js';
import { readSession, sessionOf, stateText } from './session_file.js';

const REST = 800; // ms after a change before it is sent, with those that follow it
const AGAIN = 30_000; // ms until the next try after a refusal

export class ProjectWork {
  #base = null;
  #there = null; // the state in the folder, as a text
  #sent = null; // the same of that which was sent last: its answer may get lost
  #opening = null;
  #timer = null;
  #isSending = false;
  #isBlocked = false; // there is other work in the folder, or none that can be read
  #saved = null;

  /** doc: the photo's. on: {conflict(work), trouble(work, error), wait(error | null), dirty(id, isDirty)}. */
  constructor(doc, api, store, on) {
    Object.assign(this, { doc, api, store, on });
  }

  /** What to begin with: Saved, or null. */
  open() {
    this.#opening ??= this.#open();
    this.#opening.catch(() => (this.#opening = null));
    return this.#opening;
  }

  async #open() {
    const local = await this.store.session(this.doc.id);
    const kept = await this.#fetch();
    if (!local) return kept && this.#adopted(kept);
    if (kept && !local.isDirty && local.base !== kept.tag) return this.#adopted(kept);
    await this.#goOnWith(local, kept);
    return local;
  }

  /** Keep what there is now. session: as Session.toStore gives it. Throws StoreError. */
  save(session) {
    this.#saved = session;
    this.#soon(REST);
    return this.#keep(true);
  }

  /** Send what waits, at once: the page may go. */
  urge() {
    if (this.#timer !== null) this.#send();
  }

  /** The folder's work in place of that which is shown; undo has that back. */
  async takeTheirs() {
    const kept = await this.#fetch();
    const state = kept && (await this.#read(kept)).state;
    this.#isBlocked = false;
    this.#base = kept?.tag ?? null;
    if (state) this.doc.session.run('Take the saved work', state);
    else this.#soon(0);
  }

  /** What comes from the browser's own store, beside what is in the folder. */
  async #goOnWith(local, kept) {
    this.#saved = local;
    this.#base = local.base;
    this.#there =
      kept &&
      (await this.#read(kept).then(
        ({ text }) => text,
        () => null,
      ));
    const ours = [stateText(stateOf(local)), local.sent]; // sent: it came, and its answer did not
    const isOurs = this.#there !== null && ours.includes(this.#there);
    if (isOurs || !kept) this.#base = kept?.tag ?? null;
    if (kept && kept.tag !== this.#base) this.#block();
    else this.#soon(0);
  }

  async #adopted(kept) {
    this.#base = kept.tag;
    try {
      const { state, size } = await this.#read(kept);
      return { entries: [{ name: '', state }], at: 0, size };
    } catch (error) {
      this.#isBlocked = true;
      this.on.trouble(this, error);
      return null;
    }
  }

  async #read({ text }) {
    const [record] = readSession(parsed(text));
    const state = await record.read();
    this.#there = stateText(state);
    return { state, size: record.size, text: this.#there };
  }

  #fetch() {
    return patiently(() => this.api.session(this.doc.id), { onWait: this.on.wait });
  }

  #soon(milliseconds) {
    this.#timer ??= setTimeout(() => this.#send(), milliseconds);
  }

  async #send() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#isBlocked) return;
    if (this.#isSending) {
      this.#soon(REST);
      return;
    }
    this.#isSending = true;
    try {
      await this.#sendAll();
    } catch (error) {
      if (error.status === 412) await this.#compare().catch((fault) => this.#refused(fault));
      else this.#refused(error);
    }
    this.#isSending = false;
  }

  /** Until what is there is what is here. */
  async #sendAll() {
    for (let text; (text = stateText(stateOf(this.#saved))) !== this.#there;) {
      const document = await sessionOf(this.doc, stateOf(this.#saved));
      this.#sent = text;
      await this.#keep(true);
      this.#base = await patiently(() => this.api.save(this.doc.id, document, this.#base), { onWait: this.on.wait });
      this.#there = text;
      this.#sent = null;
    }
    await this.#keep(false);
  }

  /** There is other work by now; unless it is ours, and only the answer was lost. */
  async #compare() {
    const kept = await this.#fetch();
    const isOurs =
      kept !== null &&
      (await this.#read(kept).then(
        ({ text }) => text === this.#sent,
        () => false,
      ));
    if (!isOurs) return this.#block();
    this.#base = kept.tag;
    this.#soon(0);
  }

  #refused(error) {
    this.on.trouble(this, error);
    this.#soon(AGAIN);
  }

  #block() {
    this.#isBlocked = true;
    this.on.conflict(this);
  }

  #keep(isDirty) {
    const { entries, at } = this.#saved;
    this.on.dirty(this.doc.id, isDirty);
    const { size } = this.doc;
    return this.store.saveSession(this.doc.id, { entries, at, base: this.#base, isDirty, sent: this.#sent, size });
  }
}

const stateOf = ({ entries, at }) => entries[at].state;

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new DocumentError('it is no whole JSON');
  }
}
