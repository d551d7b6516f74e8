/** The calls of the HTTP API that are about batches. */

import { ApiError, Unreachable } from './api.js';
import { eventsOf } from './events.js';

export class BatchApi {
  /** root: the path under which a proxy shows the service, or ''. */
  constructor(root = '') {
    this.root = root;
  }

  /** The caller's batches: {batches, has_folders, upload, upload_photos}, see the API's `BatchList`. */
  list() {
    return this.#json('GET', '/v1/batches');
  }

  /** The folders in a folder of the server's. */
  folders(path) {
    return this.#json('GET', `/v1/folders?path=${encodeURIComponent(path)}`);
  }

  /** Begin a batch on the server's folders: see `BatchRequest`. */
  begin(request) {
    return this.#json('POST', '/v1/batches', request);
  }

  /** Begin one of photos: [{name, file}]. onProgress(share): as they go out. */
  upload(request, photos, { onProgress = () => {}, signal } = {}) {
    const form = new FormData();
    form.append('request', JSON.stringify(request));
    for (const { name, file } of photos) form.append('photos', file, name);
    const call = new XMLHttpRequest(); // fetch does not tell how far an upload has come
    call.open('POST', `${this.root}/v1/batches`);
    call.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    signal?.addEventListener('abort', () => call.abort());
    return new Promise((resolve, reject) => {
      call.onload = () => {
        const value = readJson(call.responseText);
        if (call.status < 300) resolve(value);
        else reject(new ApiError(call.status, value?.error));
      };
      call.onerror = () => reject(new Unreachable());
      call.onabort = () => reject(new DOMException('aborted', 'AbortError'));
      call.send(form);
    });
  }

  stop(id) {
    return this.#json('POST', `/v1/batches/${id}/stop`);
  }

  resume(id) {
    return this.#json('POST', `/v1/batches/${id}/resume`);
  }

  async forget(id) {
    await this.#fetch('DELETE', `/v1/batches/${id}`);
  }

  /** How far it is, whenever that has changed, to its end. */
  async *follow(id, signal) {
    const response = await this.#fetch('GET', `/v1/batches/${id}`, undefined, { Accept: 'text/event-stream' }, signal);
    for await (const { event, data } of eventsOf(response)) if (event === 'progress') yield data;
  }

  /** Where the results are fetched. */
  resultsOf(id) {
    return `${this.root}/v1/batches/${id}/results`;
  }

  /** Where a small picture of a result is. */
  previewOf(id, file) {
    return `${this.root}/v1/batches/${id}/preview?file=${encodeURIComponent(file)}`;
  }

  async #json(method, path, body) {
    return (await this.#fetch(method, path, body)).json();
  }

  async #fetch(method, path, body = undefined, headers = {}, signal = undefined) {
    const options = { method, headers: { ...headers }, signal };
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers['Content-Type'] = 'application/json';
    }
    const response = await fetch(this.root + path, options).catch((error) => {
      throw error.name === 'AbortError' ? error : new Unreachable();
    });
    if (response.ok) return response;
    throw new ApiError(response.status, readJson(await response.text())?.error);
  }
}

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
