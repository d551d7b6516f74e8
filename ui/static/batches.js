/** Exports of more objects than a request may hold: asked for in batches, and their files joined. */

import { mergeCoco } from './coco.js';
import { joinedTables } from './tables.js';

/** Objects of a request, as the API has it. */
export const MOST = 1000;

const NUMBER = /(\d+)(?=\.png$)/; // that of an object, in its file's name

// format -> (files of each batch, where each begins) -> files
const JOINED = {
  png: renumbered,
  cutout: renumbered,
  amg: joinedFolders,
  yolo: joinedTexts((texts) => texts.join('')),
  csv: joinedTexts((texts, begins) => joinedTables(texts, begins, 1)),
  coco: joinedDocuments((documents) => onOneImage(mergeCoco(documents))),
  json: joinedDocuments((documents, begins) =>
    withAll('objects', documents, (object, n) => ({ ...object, index: object.index + begins[n] })),
  ),
  labelme: joinedDocuments((documents, begins) =>
    withAll('shapes', documents, (shape, n) => grouped(shape, begins[n])),
  ),
  sa1b: joinedDocuments((documents) =>
    withAll('annotations', documents, (row, n, place) => ({ ...row, id: place + 1 })),
  ),
  geojson: joinedDocuments((documents, begins) =>
    withAll('features', documents, (feature, n) => counted(feature, begins[n])),
  ),
};

/**
 * All files of one image, as if it were one request. askFor(format, objects): promise of the files of one batch.
 * Throws where a format shows all objects in one picture, before anything is asked.
 */
export async function inBatches(formats, objects, askFor) {
  const unfit = formats.find((format) => !JOINED[format]);
  if (unfit) throw new Error(tooMany(unfit, objects.length));
  const batches = batchesOf(objects);
  const begins = batches.map((_, n) => batches.slice(0, n).flat().length);
  const files = [];
  for (const format of formats) {
    const parts = [];
    for (const batch of batches) parts.push(await askFor(format, batch));
    files.push(...(await JOINED[format](parts, begins, objects.length)));
  }
  return files;
}

/** As few as may be, and all alike: none of a single object, whose file would bear no number. */
function batchesOf(objects) {
  const count = Math.ceil(objects.length / MOST);
  const edge = (n) => Math.round((n * objects.length) / count);
  return Array.from({ length: count }, (_, n) => objects.slice(edge(n), edge(n + 1)));
}

function renumbered(parts, begins, count) {
  const width = String(count).length;
  const name = (old, begin) => old.replace(NUMBER, (digits) => String(Number(digits) + begin).padStart(width, '0'));
  return parts.flatMap((files, n) => files.map((file) => ({ ...file, name: name(file.name, begins[n]) })));
}

/** The folders of amg.py, a table in each: its pictures count from 0, with no zeros before. */
async function joinedFolders(parts, begins) {
  const isTable = ({ name }) => name.endsWith('.csv');
  const tables = parts.map((files) => files.filter(isTable));
  const pictures = parts.flatMap((files, n) =>
    files
      .filter((file) => !isTable(file))
      .map((file) => ({ ...file, name: file.name.replace(NUMBER, (digits) => Number(digits) + begins[n]) })),
  );
  return [...pictures, ...(await joinedTexts((texts) => joinedTables(texts, begins, 0))(tables, begins))];
}

function joinedTexts(join) {
  return async (parts, begins) => {
    const texts = await Promise.all(parts.map(([file]) => file.blob.text()));
    return [{ name: parts[0][0].name, blob: new Blob([join(texts, begins)]) }];
  };
}

function joinedDocuments(join) {
  return joinedTexts((texts, begins) => {
    const documents = texts.map((text) => JSON.parse(text));
    return JSON.stringify(join(documents, begins));
  });
}

/** Documents about the same image have it once. */
function onOneImage(document) {
  const [image] = document.images;
  return {
    ...document,
    images: [image],
    annotations: document.annotations.map((row) => ({ ...row, image_id: image.id })),
  };
}

/** The first document with the rows of all. change(row, number of its document, its place among all). */
function withAll(list, documents, change) {
  let place = 0;
  const rows = documents.flatMap((document, n) => document[list].map((row) => change(row, n, place++)));
  return { ...documents[0], [list]: rows };
}

const counted = (feature, begin) => ({
  ...feature,
  id: feature.id + begin,
  properties: { ...feature.properties, index: feature.properties.index + begin },
});

const grouped = (shape, begin) => (shape.group_id === null ? shape : { ...shape, group_id: shape.group_id + begin });

function tooMany(format, count) {
  const [most, all] = [MOST, count].map((number) => number.toLocaleString('en'));
  const limit = `The format ${format} shows all objects in one picture, ${most} at most, and here are ${all}`;
  return `${limit}: leave it out, or hide some objects.`;
}
