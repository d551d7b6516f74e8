/** Which of the open photos a document is about. */

import { lastPart } from './records.js';

/** No photo is open that the record is about; `message` goes on after the document's name. */
export class Unmatched extends Error {}

/**
 * The Doc that a Record is about: by the photo's digest, else by its name, else, where it says no name, by its size.
 * documents: see documents.js. docId of a record: the Doc that was opened for it. Throws Unmatched.
 */
export async function photoFor(record, documents) {
  const { list } = documents;
  const named = list.filter((doc) =>
    record.docId ? doc.id === record.docId : record.name !== null && sameName(doc.name, record.name),
  );
  if (!named.length) return (await byDigest(record, list)) ?? (await bySize(record, documents));
  const fitting = await filter(named, async (doc) => fits(record.size, await sizeOf(doc, documents)));
  if (!fitting.length) throw new Unmatched(otherSize(record, named[0]));
  if (fitting.length === 1) return fitting[0];
  const found = await byDigest(record, fitting);
  if (!found)
    throw new Unmatched(`${fitting.length} open photos are called ${record.name}, and it does not say which is meant`);
  return found;
}

/** [width, height] of a photo, which is looked at where nobody knows it yet. */
export async function sizeOf(doc, documents) {
  if (!doc.size) {
    await doc.load();
    if (doc !== documents.current) doc.unload();
  }
  return doc.size;
}

async function byDigest({ sha256 }, docs) {
  const [found] =
    sha256 === null ? [] : await filter(docs, async (doc) => (await isAtHand(doc)) && (await doc.sha256()) === sha256);
  return found ?? null;
}

async function bySize({ name, size }, documents) {
  if (name !== null) throw new Unmatched(`${lastPart(name)} is not open here: open it, and then this file again`);
  const { list } = documents;
  const fitting = await filter(list, async (doc) => (await isAtHand(doc)) && fits(size, await sizeOf(doc, documents)));
  if (fitting.length === 1) return fitting[0];
  throw new Unmatched(
    `it does not say which photo it is about, and ${fitting.length || 'none'} of those open here have its size`,
  );
}

const otherSize = ({ name, size }, doc) =>
  `${lastPart(name)} is ${size.join(' × ')} there, and ${doc.size.join(' × ')} here: it is another photo`;

const fits = (wanted, found) => wanted === null || wanted.join() === found.join();

const sameName = (one, other) => folded(lastPart(one)) === folded(lastPart(other));
const folded = (name) => name.normalize('NFC').toLowerCase();

/** A project's thousand photos are not fetched to be looked at. */
const isAtHand = async (doc) => (await doc.context.store.fileAtHand(doc.id)) !== null;

/** One after the other: each may take a picture's memory. */
async function filter(docs, isWanted) {
  const wanted = [];
  for (const doc of docs) if (await isWanted(doc)) wanted.push(doc);
  return wanted;
}
