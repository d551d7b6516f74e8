/** The calls of the HTTP API about the project: a folder of photos at the server, and the work on each. */

import { ApiError, Unreachable } from './api.js';

const LONGEST_FAREWELL = 60_000; // characters that a browser sends for a page that has gone

export class ProjectApi {
  /** root: the path under which a proxy shows the service, or ''. */
  constructor(root) {
    this.base = `${root}/v1/project`;
  }

  /** {name, photos: [{id, name, bytes}], complete} */
  async show() {
    return (await this.#call('')).json();
  }

  /** A photo's file: a Blob. */
  async photo(id) {
    return (await this.#call(`/photos/${id}`)).blob();
  }

  /** The work on a photo: {tag, text}, or null. */
  async session(id) {
    const response = await this.#call(`/photos/${id}/session`);
    return response.status === 204 ? null : { tag: tagOf(response), text: await response.text() };
  }

  /**
   * Keep the work on a photo in place of that with this tag, or of none: null. The new tag.
   * Throws ApiError: 412 when there is other work by now.
   */
  async save(id, text, tag) {
    const condition = tag === null ? { 'If-None-Match': '*' } : { 'If-Match': `"${tag}"` };
    const headers = { 'Content-Type': 'application/json', ...condition };
    const keepalive = document.hidden && text.length < LONGEST_FAREWELL;
    return tagOf(await this.#call(`/photos/${id}/session`, { method: 'PUT', headers, body: text, keepalive }));
  }

  async #call(path, options = {}) {
    const response = await fetch(this.base + path, options).catch(() => {
      throw new Unreachable();
    });
    if (response.ok) return response;
    const error = await response.json().then(
      (value) => value.error,
      () => undefined,
    );
    throw new ApiError(response.status, error, Number(response.headers.get('Retry-After')) || 1);
  }
}

/** A proxy that packs answers calls their tags weak. */
const tagOf = (response) => /^(?:W\/)?"(.+)"$/.exec(response.headers.get('ETag') ?? '')?.[1] ?? null;
