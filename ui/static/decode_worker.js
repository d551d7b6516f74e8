/** Decodes files off the main thread: {id, file, side} in, {id, bitmap} or {id, error} out. */

import { decode, decodeSmall } from './pictures.js';

self.onmessage = async ({ data: { id, file, side } }) => {
  try {
    const bitmap = side ? await decodeSmall(file, side) : await decode(file);
    self.postMessage({ id, bitmap }, [bitmap]);
  } catch (error) {
    self.postMessage({ id, error: error.message });
  }
};
