/** The calls of the HTTP API that the page makes, and what can go wrong with them. */

import { fileNameIn } from './disposition.js';
import { eventsOf } from './events.js';

/** The server answered, but not with what was asked for. */
export class ApiError extends Error {
  constructor(
    status,
    { code = 'unknown', message = `the server answered ${status}`, field = null } = {},
    retryAfter = 1,
  ) {
    super(message);
    Object.assign(this, { name: 'ApiError', status, code, field, retryAfter });
  }

  /** Whether the image or mask must be brought to the server again. */
  get isGone() {
    return this.status === 410 || this.status === 404;
  }

  /** Whether the same call may succeed a little later. */
  get isBusy() {
    return [429, 502, 503, 504].includes(this.status);
  }
}

/** The server cannot be reached. */
export class Unreachable extends Error {
  constructor() {
    super('the server does not answer');
    this.name = 'Unreachable';
  }
}

export class Api {
  /** root: the path under which a proxy shows the service, or ''. */
  constructor(root = '') {
    this.root = root;
    this.asked = 0; // masks, but for previews
  }

  /**
   * Leave an image with the server; the image's description, with `id`, `width` and `height`.
   * onProgress(share): 0 to 1, as its bytes go out.
   */
  upload(file, { prefetch = false, onProgress = () => {}, signal } = {}) {
    const request = new XMLHttpRequest(); // fetch does not tell how far an upload has come
    request.open('POST', `${this.root}/v1/images${prefetch ? '?prefetch=true' : ''}`);
    request.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    signal?.addEventListener('abort', () => request.abort());
    return new Promise((resolve, reject) => {
      request.onload = () => {
        const value = readJson(request.responseText);
        if (request.status < 300) resolve(value);
        else reject(new ApiError(request.status, value?.error, retryAfter(request.getResponseHeader('Retry-After'))));
      };
      request.onerror = () => reject(new Unreachable());
      request.onabort = () => reject(new DOMException('aborted', 'AbortError'));
      request.send(file);
    });
  }

  /** Masks of an image or window: see `MasksRequest` in the API's documentation. */
  masks(id, request, signal) {
    if (!request.stream) this.asked += 1;
    return this.#json(`/v1/images/${id}/masks`, request, signal);
  }

  /** A part of an image, encoded by itself. */
  window(id, box, signal) {
    return this.#json(`/v1/images/${id}/windows`, { box }, signal);
  }

  /**
   * All objects of an image: see `EverythingRequest`. onProgress({done, total}): points asked so far. Aborting `signal`
   * ends the search at the server too.
   */
  async everything(id, request, { onProgress = () => {}, signal } = {}) {
    const response = await this.#call(`/v1/images/${id}/everything`, { ...request, stream: true }, signal);
    try {
      for await (const { event, data } of eventsOf(response)) {
        if (event === 'result') return data;
        if (event === 'error') throw new ApiError(data.status, data.error);
        if (event === 'progress') onProgress(data);
      }
    } catch (error) {
      throw error instanceof TypeError ? new Unreachable() : error;
    }
    throw new Unreachable(); // it broke off
  }

  /** What was looked at for a prompt, or what a patch looks at: see `AttentionRequest`. */
  attention(id, request, signal) {
    return this.#json(`/v1/images/${id}/attention`, request, signal);
  }

  /** The same with all arrays, as a file of NumPy's: a Blob. */
  async attentionFile(id, request) {
    return (await this.#call(`/v1/images/${id}/attention`, { ...request, format: 'npz' })).blob();
  }

  /** Finished objects as a file or a zip: {name, blob}. */
  async exportObjects(id, request, signal) {
    const response = await this.#call(`/v1/images/${id}/export`, request, signal);
    return { name: fileNameIn(response.headers.get('Content-Disposition')) ?? 'export', blob: await response.blob() };
  }

  /** The image as the server sees it, in a format that every browser shows: a Blob. */
  async picture(id) {
    const response = await this.#fetch(`${this.root}/v1/images/${id}/picture`);
    if (!response.ok) throw new ApiError(response.status, readJson(await response.text())?.error);
    return response.blob();
  }

  /** Milliseconds that a call takes which needs no work. */
  async ping() {
    const began = performance.now();
    await this.#fetch(`${this.root}/livez`, { cache: 'no-store' });
    return performance.now() - began;
  }

  /** Whether the server takes requests. */
  async isReady() {
    try {
      return (await this.#fetch(`${this.root}/readyz`, { cache: 'no-store' })).ok;
    } catch {
      return false;
    }
  }

  /** Have the server forget all images of this caller. */
  forgetAll() {
    return this.#fetch(`${this.root}/v1/images`, { method: 'DELETE' });
  }

  /** Forget the sign-in of this browser. */
  signOut() {
    return this.#fetch(`${this.root}/v1/session`, { method: 'DELETE' });
  }

  async #json(path, body, signal) {
    return (await this.#call(path, body, signal)).json();
  }

  async #call(path, body, signal) {
    const headers = { 'Content-Type': 'application/json' };
    const response = await this.#fetch(this.root + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal,
    });
    if (response.ok) return response;
    const value = readJson(await response.text());
    throw new ApiError(response.status, value?.error, retryAfter(response.headers.get('Retry-After')));
  }

  async #fetch(url, options) {
    try {
      return await fetch(url, options);
    } catch (error) {
      throw error.name === 'AbortError' ? error : new Unreachable();
    }
  }
}

const retryAfter = (text) => Math.min(Math.max(Number(text) || 1, 0.2), 30);

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
