/** The project's photos in the film strip, and what is said about the work on them. */

import { Doc } from './documents.js';
import { ProjectApi } from './project_api.js';
import { ProjectStore } from './project_store.js';
import { ProjectWork } from './project_work.js';
import { sessionOf } from './session_file.js';

const UNSENT = 'unsent '; // a setting for each photo whose work has not come to the folder yet

/** Put the project's photos in front of all others. page: {root, documents, store, strip, toasts}. */
export async function openProject(page) {
  try {
    const api = new ProjectApi(page.root);
    const { name, photos, complete } = await api.show();
    const project = new Project(page, api, photos);
    page.documents.list.unshift(...project.docs);
    if (!complete)
      page.toasts.say(`${name} has more photos than fit here: the first ${photos.length} are shown.`, { stays: true });
    await project.sendUnsent();
  } catch (error) {
    page.toasts.error(`The project cannot be opened: ${error.message}.`);
  }
}

class Project {
  constructor(page, api, photos) {
    Object.assign(this, { page, api });
    const wait = page.documents.context.onWait;
    const workOf = (id) => new ProjectWork(this.#doc(id), api, page.store, { ...this.#listeners(), wait });
    const store = new ProjectStore(api, photos, workOf, { fetched: (id) => page.strip.refresh(id), wait });
    const context = { ...page.documents.context, store };
    this.docs = photos.map(
      ({ id, name, bytes, has_work: hasWork }) =>
        new Doc({ id, name, size: bytes, width: null, sha256: null, hasWork }, context),
    );
  }

  /** What an earlier page could not send any more. */
  async sendUnsent() {
    const ids = Object.keys(await this.page.store.settings()).filter((name) => name.startsWith(UNSENT));
    for (const id of ids) this.#doc(id.slice(UNSENT.length))?.loadSession();
  }

  #doc(id) {
    return this.docs.find((doc) => doc.id === id);
  }

  #listeners() {
    const { store, toasts } = this.page;
    const told = ({ doc }, error) =>
      toasts.error(`The work on ${doc.name} is in this browser, not in the project: ${error.message}.`, {
        key: `project ${doc.id}`,
      });
    return {
      conflict: (work) => this.#offer(work),
      trouble: told,
      // That it could not be kept is said of the work itself.
      dirty: (id, isDirty) => store.saveSettings({ [UNSENT + id]: isDirty || undefined }).catch(() => {}),
    };
  }

  /** Somebody else was quicker. */
  #offer(work) {
    const { doc } = work;
    const sentence = `Somebody else has saved work on ${doc.name} meanwhile. Yours is in this browser, and goes on.`;
    const actions = [
      { name: 'Take theirs', run: () => this.#take(work) },
      { name: 'Keep mine as a file, take theirs', run: () => this.#keepAndTake(work) },
    ];
    this.page.toasts.say(sentence, { key: `project ${doc.id}`, actions, stays: true });
  }

  async #keepAndTake(work) {
    const { doc } = work;
    const { download } = await import('./exports.js');
    const blob = new Blob([await sessionOf(doc)], { type: 'application/json' });
    download(`${doc.name.replaceAll('/', '_')}.clickmask.json`, blob);
    await this.#take(work);
  }

  async #take(work) {
    try {
      await work.takeTheirs();
      this.page.bench.renew(work.doc);
    } catch (error) {
      this.page.toasts.error(`The saved work on ${work.doc.name} cannot be opened: ${error.message}.`);
      this.#offer(work);
    }
  }
}
