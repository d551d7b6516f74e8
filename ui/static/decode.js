/** Photos and their thumbnails as ImageBitmaps, decoded off the main thread. */

/** The file is no whole picture; `message` is a sentence for the user. */
export class DamagedPhoto extends Error {
  constructor(name, cause) {
    super(`${name} cannot be shown: the file is damaged, or of a kind this browser does not know.`, { cause });
    this.name = 'DamagedPhoto';
  }
}

/**
 * A photo's upright pixels: {bitmap, width, height}. What is transparent is white, of an animation there is the first
 * frame. Colours are this browser's: a colour profile in the file is applied, which the server does not do.
 * Throws DamagedPhoto.
 */
export async function decodePhoto(file) {
  const bitmap = await photos.ask(file);
  return { bitmap, width: bitmap.width, height: bitmap.height };
}

/** A small picture of a photo, fitting into a square of `side` pixels: an ImageBitmap. Throws DamagedPhoto. */
export const decodeThumbnail = (file, side) => thumbnails.ask(file, side);

/** One worker, asked as often as one likes. */
class Decoder {
  #worker = null;
  #asked = new Map(); // id -> {resolve, reject}
  #count = 0;

  async ask(file, side = null) {
    this.#worker ??= this.#start();
    const id = (this.#count += 1);
    try {
      return await new Promise((resolve, reject) => {
        this.#asked.set(id, { resolve, reject });
        this.#worker.postMessage({ id, file, side });
      });
    } catch (error) {
      throw new DamagedPhoto(file.name ?? 'The photo', error);
    } finally {
      this.#asked.delete(id);
    }
  }

  #start() {
    const worker = new Worker(new URL('./decode_worker.js', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data: { id, bitmap, error } }) => {
      const asked = this.#asked.get(id);
      if (bitmap) asked.resolve(bitmap);
      else asked.reject(new Error(error));
    };
    worker.onerror = () => {
      this.#worker = null; // begun anew next time
      for (const { reject } of this.#asked.values()) reject(new Error('the worker stopped'));
    };
    return worker;
  }
}

const photos = new Decoder();
const thumbnails = new Decoder(); // its own, so that no photo waits for them
