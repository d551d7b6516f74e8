/**
 * Files out: of one image as the API makes them, of many in one zip.
 *
 *     Exported {id, name, ensureImage(), forget()}   ensureImage: promise of the server's id for it, brought there
 *                                                    where need be; forget: the server has lost it
 *     Options  {formats, pad, feather, polygons, tolerance}      as the API has them; all but formats may be absent
 *     File     {name, blob}
 *
 * `api` is an Api, or anything that has its `exportObjects(id, request, signal)`: promise of a File.
 */

import { inBatches, MOST } from './batches.js';
import { fit, split, Unique } from './file_names.js';
import { patiently } from './patience.js';
import { classesOf, dataYaml } from './yolo.js';

const WISHES = ['pad', 'feather', 'polygons', 'tolerance', 'classes'];
const YOLO = 'yolo';
const TRIES = 3; // an image may be lost again while it is brought back

/** One image's objects, however many: a File, of one format and object, or a zip of several. */
export async function exportOne(api, image, objects, options, signal = undefined) {
  const asked = fit(image.name);
  const { stem } = split(asked);
  const named = { ...image, asked, stem, objects };
  if (objects.length <= MOST) {
    const { name, blob } = await ask(api, named, options, signal);
    return { name: renamed(name, { asked, stem }), blob };
  }
  const files = await filesOf(api, named, withClasses(options, objects), signal);
  return files.length === 1 ? files[0] : zipped(`${stem}.zip`, files);
}

/**
 * Many images' objects: {name, blob, failed}. COCO documents are made one; with other formats beside it, or several
 * files, everything is in a zip. No file takes another's place: the second a.jpg is called a (2).jpg. YOLO's numbers
 * mean the same in all, and `data.yaml` says what.
 *
 * images: Exported with `objects`, none of them empty. onProgress(done, all): after each image. failed:
 * [{image, error}], what is missing. Throws AbortError when `signal` says so, and the first failure when all fail.
 */
export async function exportAll(api, images, options, onProgress = () => {}, signal = undefined) {
  const { Archive } = await import('./archive.js');
  const made = { documents: [], files: 0, archive: new Archive(), failed: [] };
  const asked = withClasses(
    options,
    images.flatMap(({ objects }) => objects),
  );
  const names = namesOf(images);
  for (const [place, image] of images.entries()) {
    signal?.throwIfAborted();
    try {
      await exportInto(made, api, { ...image, ...names[place] }, asked, signal);
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      made.failed.push({ image, error });
    }
    onProgress(place + 1, images.length);
  }
  if (made.failed.length === images.length && images.length) throw made.failed[0].error;
  if (asked.classes) await made.archive.add('data.yaml', new Blob([dataYaml(asked.classes)]));
  return finish(made);
}

/** Have the browser save a file. */
export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // when it has surely been read
}

/** Which class a number is must not hang on the photo, or the request, that it stands in. */
function withClasses(options, objects) {
  return options.formats.includes(YOLO) ? { ...options, classes: classesOf(objects) } : options;
}

/** All of an image before any of it counts: half an image would look like all of it. */
async function exportInto(made, api, image, options, signal) {
  const others = options.formats.filter((format) => format !== 'coco');
  const wanted = (formats) => (formats.length ? filesOf(api, image, { ...options, formats }, signal) : []);
  const documents = await wanted(options.formats.filter((format) => format === 'coco'));
  const files = await wanted(others);
  for (const { blob } of documents) made.documents.push(JSON.parse(await blob.text()));
  for (const { name, blob } of files) await made.archive.add(name, blob);
  made.files += files.length;
}

/** The files of one image by themselves, under the names they have here. */
async function filesOf(api, image, options, signal) {
  const { unpack } = await import('./archive.js');
  const askFor = async (formats, objects) => {
    const file = await ask(api, { ...image, objects }, { ...options, formats }, signal);
    return file.name.endsWith('.zip') ? unpack(file.blob) : [file];
  };
  const { objects } = image;
  const isMany = objects.length > MOST;
  const files = isMany
    ? await inBatches(options.formats, objects, (format, batch) => askFor([format], batch))
    : await askFor(options.formats, objects);
  return files.map(({ name, blob }) => ({ name: renamed(name, image), blob }));
}

async function zipped(name, files) {
  const { Archive } = await import('./archive.js');
  const archive = new Archive();
  for (const file of files) await archive.add(file.name, file.blob);
  return { name, blob: archive.finish() };
}

async function finish({ documents, files, archive, failed }) {
  if (documents.length) {
    const { mergeCoco } = await import('./coco.js');
    const blob = new Blob([JSON.stringify(mergeCoco(documents))], { type: 'application/json' });
    if (!files) return { name: 'clickmask_coco.json', blob, failed };
    await archive.add('coco.json', blob);
  }
  return { name: 'clickmask.zip', blob: archive.finish(), failed };
}

/**
 * For each image `asked`, the name that stands in the documents, and `stem`, with which its files begin: a.jpg and
 * a.png stay what they are, but the files about them cannot both be called a_mask.png.
 */
function namesOf(images) {
  const fitted = images.map(({ name }) => fit(name));
  const names = new Unique(fitted);
  const asked = fitted.map((name) => names.take(name));
  const stems = new Unique(asked.map((name) => split(name).stem));
  return asked.map((name) => ({ asked: name, stem: stems.take(split(name).stem) }));
}

/** The API's names begin with that of the image. */
function renamed(name, { asked, stem }) {
  const before = split(asked).stem;
  return name.startsWith(before) ? stem + name.slice(before.length) : name;
}

async function ask(api, { asked, objects, ensureImage, forget }, options, signal) {
  const wishes = WISHES.filter((wish) => options[wish] !== undefined).map((wish) => [wish, options[wish]]);
  const request = { objects, formats: options.formats, name: asked, ...Object.fromEntries(wishes) };
  for (let tries = 1; ; tries += 1) {
    const id = await unlessAborted(ensureImage(), signal);
    try {
      return await patiently(() => api.exportObjects(id, request, signal), { signal });
    } catch (error) {
      if (!error.isGone || tries === TRIES) throw error;
      forget();
    }
  }
}

/** An upload may take long, and goes on for others; whoever says stop need not wait for it. */
function unlessAborted(promise, signal) {
  if (!signal) return promise;
  signal.throwIfAborted();
  const aborted = new Promise((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
  );
  return Promise.race([promise, aborted]);
}
