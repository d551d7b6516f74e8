/**
 * The photos a tab works on. Each tab has a workspace of its own, which a reload of the tab finds again; a closed tab's
 * can be taken up by another. No two pages ever write to the same one.
 */

import { newId } from './ids.js';
import { heldNames, hold } from './locks.js';

const KEPT = 5; // closed workspaces
const KEY = 'clickmask workspace';
const RELOAD = 5000; // milliseconds for the page before a reload to let go
const COPY = 1000; // and for one that this tab may be a copy of, which will not: or for a page that was left just now

let letGo = () => {};

/**
 * The workspace of this tab: {id, isNew, latest, tidied}. The store's `workspace` is set to it.
 * latest: the workspace closed last, {id, used, images}, to be offered (see `takeUp`) while this one is empty; or null.
 * tidied: a promise, kept when those too old to keep are gone.
 */
export async function openWorkspace(store) {
  if (!store.persistent) return { id: store.workspace, isNew: true, latest: null, tidied: Promise.resolve() };
  const before = remembered();
  const isNew = !before || !(await enter(store, before, isReload() ? RELOAD : COPY));
  if (isNew) await enter(store, newId());
  store.makeRoom = async () => tidy(store, (await closed(store)).slice(1));
  const others = await closed(store);
  const isEmpty = (await store.images()).length === 0;
  const latest = isEmpty ? (others[0] ?? null) : null;
  return { id: store.workspace, isNew, latest, tidied: tidy(store, others.slice(KEPT)) };
}

/** Go on with a closed workspace in place of this tab's own; false when another tab was quicker. */
export async function takeUp(store, id) {
  await store.flush().catch(() => {}); // what had no room stays in memory
  return enter(store, id);
}

async function enter(store, id, patience = 0) {
  const release = await hold(nameOf(id), patience);
  if (!release) return false;
  letGo();
  letGo = release;
  store.workspace = id;
  remember(id);
  return true;
}

/** Those with photos that no page has open, the one used last first. */
async function closed(store) {
  const held = await heldNames();
  return (await store.workspaces()).filter(({ id, images }) => images.length && !held.has(nameOf(id)));
}

/** Forget closed workspaces; how many went. */
async function tidy(store, workspaces) {
  let gone = 0;
  for (const workspace of workspaces) {
    const release = await hold(nameOf(workspace.id));
    if (!release) continue; // taken up meanwhile
    await store.removeWorkspace(workspace);
    release();
    gone += 1;
  }
  return gone;
}

const isReload = () => performance.getEntriesByType('navigation')[0]?.type === 'reload';

const nameOf = (id) => `${KEY} ${id}`;

/** A tab's own memory is copied with the tab, and some browsers refuse it: then every page begins anew. */
function remembered() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(id) {
  try {
    sessionStorage.setItem(KEY, id);
  } catch {
    // see `remembered`
  }
}
