/**
 * COCO documents of several images made into one, as `service/formats/coco_merge.py` does.
 */

/**
 * One document of all images and annotations, in their order; the documents themselves stay as they are.
 *
 * Ids are given anew, from 1 up; categories of one name become one. What all `info`s agree on is kept; where provenance
 * differs, each image carries its own. Licences are not kept.
 * @param {object[]} documents
 * @returns {{info: object, licenses: object[], images: object[], categories: object[], annotations: object[]}}
 * @throws {Error} naming document and field, when an annotation is about an image or category its document lacks
 */
export function mergeCoco(documents) {
  const categories = categoriesOf(documents.flatMap((document) => document.categories.map((row) => row.name)));
  const ids = new Map(categories.map((row) => [row.name, row.id]));
  const info = agreed(documents.map((document) => document.info ?? {}));
  const merged = { info, licenses: [], images: [], categories, annotations: [] };
  documents.forEach((document, at) => append(merged, document, ids, `documents[${at}]`));
  return merged;
}

function append(merged, document, ids, field) {
  const imageIds = new Map();
  const categoryIds = new Map(document.categories.map((row) => [row.id, ids.get(row.name)]));
  const own = 'provenance' in merged.info ? {} : provenanceOf(document);
  for (const row of document.images) {
    const id = merged.images.length + 1;
    imageIds.set(row.id, id);
    merged.images.push({ ...own, ...row, id });
  }
  document.annotations.forEach((row, number) => {
    const place = `${field}.annotations[${number}]`;
    merged.annotations.push({
      ...row,
      id: merged.annotations.length + 1,
      image_id: newId(imageIds, row.image_id, `${place}.image_id: the document has no image`),
      category_id: newId(categoryIds, row.category_id, `${place}.category_id: the document has no category`),
    });
  });
}

function newId(ids, old, otherwise) {
  if (!ids.has(old)) throw new Error(`${otherwise} ${old}`);
  return ids.get(old);
}

/** Each name once, by code points, so that the same labels always have the same ids. */
function categoriesOf(names) {
  const sorted = [...new Set(names)].sort(byCodePoints);
  return sorted.map((name, at) => ({ id: at + 1, name, supercategory: '' }));
}

/**
 * The order of Python's strings; JavaScript's own is by UTF-16 units, which puts rare characters before some others.
 */
export function byCodePoints(one, other) {
  const [left, right] = [Array.from(one), Array.from(other)];
  const at = left.findIndex((letter, place) => letter !== right[place]);
  if (at < 0) return left.length - right.length;
  return at < right.length ? left[at].codePointAt(0) - right[at].codePointAt(0) : 1;
}

function agreed(infos) {
  const [first = {}, ...others] = infos;
  return Object.fromEntries(
    Object.entries(first).filter(([key, value]) =>
      others.every((other) => key in other && sameText(other[key]) === sameText(value)),
    ),
  );
}

function provenanceOf(document) {
  return document.info && 'provenance' in document.info ? { provenance: document.info.provenance } : {};
}

/** JSON whose keys are in order, so that equal values have equal texts. */
function sameText(value) {
  return JSON.stringify(value, (_key, part) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}
