/**
 * The Batch tab: a form for a new batch, and the batches there are. They go on at the server whatever becomes of the
 * page; a page that comes finds them again.
 */

import { BatchApi } from './batch_api.js';
import { BatchCard, isActive } from './batch_card.js';
import { BatchForm } from './batch_form.js';
import { el } from './dom.js';

const PAUSE = 2000; // ms until a server that does not answer is asked again

/** Start it in Gradio's element. options: {root}. The tab itself is `window.clickmaskBatch`. */
export async function start(element, { root }) {
  const tab = new BatchTab(element.querySelector('.cm-batch'), new BatchApi(root));
  window.clickmaskBatch = tab;
  await tab.start();
  return tab;
}

class BatchTab {
  #cards = new Map(); // id -> BatchCard
  #following = new Map(); // id -> AbortController

  constructor(element, api) {
    Object.assign(this, { element, api });
    this.list = el('ul', { class: 'cm-batches' });
    this.none = el('p', { class: 'cm-dim' }, 'None yet. They go on at the server, even when this page is closed.');
    this.error = el('p', { class: 'cm-alarm', role: 'alert' });
  }

  async start() {
    const found = await this.#found();
    this.form = new BatchForm(this.api, found, (request, photos) => this.#begin(request, photos));
    const made = el('section', { class: 'cm-made' }, el('h2', {}, 'Batches'), this.error, this.none, this.list);
    this.element.replaceChildren(this.form.element, made);
    for (const batch of found.batches.toReversed()) this.#take(batch);
    this.#render();
    this.isStarted = true;
  }

  /** What the server has; waited for where it does not answer. */
  async #found() {
    for (;;) {
      try {
        return await this.api.list();
      } catch (error) {
        this.element.replaceChildren(el('p', { class: 'cm-alarm', role: 'alert' }, error.message));
        await sleep(PAUSE);
      }
    }
  }

  async #begin(request, photos) {
    this.form.sending = 0;
    try {
      const onProgress = (share) => (this.form.sending = share);
      const begun = photos ? await this.api.upload(request, photos, { onProgress }) : await this.api.begin(request);
      this.#take(begun);
      if (photos) this.form.own.take([]);
      this.#cards.get(begun.id).element.scrollIntoView({ block: 'nearest' });
    } catch (error) {
      this.form.fail(error);
    } finally {
      this.form.sending = null;
    }
  }

  /** Show a batch, new or as it is now, the newest first; one that is at work is followed. */
  #take(batch) {
    const card = this.#cards.get(batch.id);
    if (card) card.render(batch);
    else this.#cards.set(batch.id, new BatchCard(this.api, batch, (name, now) => this.#run(name, now)));
    if (!card) this.list.prepend(this.#cards.get(batch.id).element);
    if (isActive(batch) && !this.#following.has(batch.id)) this.#follow(batch.id);
    this.#render();
  }

  async #run(name, { id }) {
    this.error.textContent = '';
    try {
      if (name === 'forget') {
        await this.api.forget(id);
        this.#drop(id);
      } else this.#take(await this.api[name](id));
    } catch (error) {
      if (error.isGone) this.#drop(id);
      else this.error.textContent = error.message;
    }
  }

  async #follow(id) {
    const leaving = new AbortController();
    this.#following.set(id, leaving);
    try {
      while (this.#cards.has(id) && isActive(this.#cards.get(id).batch)) await this.#listen(id, leaving.signal);
    } finally {
      if (this.#following.get(id) === leaving) this.#following.delete(id);
    }
  }

  /** To the end of an answer; one that breaks off is asked for again. */
  async #listen(id, signal) {
    try {
      for await (const batch of this.api.follow(id, signal)) this.#cards.get(id)?.render(batch);
      if (isActive(this.#cards.get(id).batch)) await sleep(PAUSE); // the server stops
    } catch (error) {
      if (error.name === 'AbortError') return;
      if (error.isGone) this.#drop(id);
      else await sleep(PAUSE);
    }
  }

  #drop(id) {
    const card = this.#cards.get(id);
    const hadFocus = card?.element.contains(document.activeElement);
    card?.element.remove();
    this.#cards.delete(id);
    this.#following.get(id)?.abort();
    this.#render();
    if (hadFocus) this.form.start.focus();
  }

  #render() {
    this.none.hidden = this.#cards.size > 0;
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
