/** Waiting for a server that is busy, restarting or out of reach; nothing the user did is lost meanwhile. */

import { ApiError, Unreachable } from './api.js';

const LONGEST = 5; // seconds between two tries

/**
 * The call's result; tried again while the server is busy or out of reach, until `signal` says stop.
 * onWait(error | null): at the first refusal, and null when it goes on.
 */
export async function patiently(call, { onWait = () => {}, signal } = {}) {
  for (let tries = 0; ; tries += 1) {
    try {
      const result = await call();
      if (tries) onWait(null);
      return result;
    } catch (error) {
      const seconds = waitAfter(error, tries);
      onWait(seconds === null ? null : error);
      if (seconds === null) throw error;
      await sleep(seconds * 1000, signal);
    }
  }
}

function waitAfter(error, tries) {
  if (error instanceof Unreachable) return Math.min(0.25 * 2 ** tries, LONGEST);
  if (error instanceof ApiError && error.isBusy) return Math.min(error.retryAfter, LONGEST);
  return null;
}

function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('aborted', 'AbortError'));
    });
  });
}
