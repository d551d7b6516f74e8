/** One batch as it is shown: how far it is, what failed, what may be done with it. */

import { counted } from './batch_folders.js';
import { el, setText } from './dom.js';

const STATES = {
  queued: 'Waiting',
  checking: 'Looking at the uploads',
  running: 'At work',
  stopping: 'Stopping',
  finished: 'Finished',
  stopped: 'Stopped',
  failed: 'Failed',
};
const ASKED = { point: 'the middle', box: 'the whole', everything: 'all objects', prompts: 'prompts' };
const ACTIVE = ['queued', 'checking', 'running', 'stopping'];
const PICTURES = [/_overlay\.jpg$/, /_cutout\w*\.png$/, /\.png$/]; // what tells most
const MOST_PICTURES = 6;

export const isActive = ({ state }) => ACTIVE.includes(state);

export class BatchCard {
  /** api: see batch_api.js. run(name, batch): 'stop', 'resume' or 'forget' is wished. */
  constructor(api, batch, run) {
    Object.assign(this, { api, batch });
    this.title = el('h3', {});
    this.state = el('span', { class: 'cm-state' });
    this.bar = el('progress', { 'aria-label': 'Photos done' });
    this.said = el('p', { class: 'cm-tally' });
    this.error = el('p', { class: 'cm-alarm', role: 'alert' });
    this.pictures = el('ul', { class: 'cm-newest', 'aria-label': 'The newest results' });
    this.summary = el('summary', {});
    this.failures = el('tbody', {});
    const head = el('tr', {}, el('th', { scope: 'col' }, 'Photo'), el('th', { scope: 'col' }, 'Why'));
    const table = el('table', {}, el('thead', {}, head), this.failures);
    const about = { class: 'cm-scroll', tabindex: '0', role: 'region', 'aria-label': 'Photos that failed' };
    this.failed = el('details', {}, this.summary, el('div', about, table));
    this.stop = button('Stop', () => run('stop', this.batch));
    this.resume = button('Go on', () => run('resume', this.batch));
    this.fetch = el('a', { class: 'cm-button', download: true, href: api.resultsOf(batch.id) }, 'Download zip');
    this.forget = button('Remove', () => run('forget', this.batch));
    const ways = el('p', { class: 'cm-ways' }, this.stop, this.resume, this.fetch, this.forget);
    this.element = el(
      'li',
      { class: 'cm-batch-card' },
      el('div', { class: 'cm-head' }, this.title, this.state),
      this.bar,
      this.said,
      this.error,
      this.pictures,
      this.failed,
      ways,
    );
    this.render(batch);
  }

  /** As it is now. */
  render(batch) {
    this.batch = batch;
    const { state, total, done, failed, skipped, error } = batch;
    const active = isActive(batch);
    this.element.dataset.state = state;
    setText(this.title, titleOf(batch));
    setText(this.state, STATES[state]);
    if (total || !active) Object.assign(this.bar, { max: total || 1, value: done + failed + skipped });
    else this.bar.removeAttribute('value');
    setText(this.said, wordsOf(batch));
    setText(this.error, error ?? '');
    this.error.hidden = !error;
    this.#renderPictures();
    this.#renderFailures();
    this.stop.hidden = !active || state === 'stopping';
    this.resume.hidden = active || (state === 'finished' && !failed);
    setText(this.resume, state === 'finished' ? 'Try the failed ones again' : 'Go on');
    this.fetch.hidden = active || !done;
    this.forget.setAttribute('aria-label', `Remove: ${titleOf(batch)}`);
  }

  #renderPictures() {
    const files = this.batch.newest.flatMap(({ files: all, name }) => {
      const file = PICTURES.map((kind) => all.find((one) => kind.test(one))).find(Boolean);
      return file ? [{ name, file }] : [];
    });
    const shown = files.slice(0, MOST_PICTURES);
    const key = shown.map(({ file }) => file).join('\n');
    if (this.shown === key) return;
    this.shown = key;
    const { id } = this.batch;
    this.pictures.replaceChildren(
      ...shown.map(({ name, file }) =>
        el('li', {}, el('img', { src: this.api.previewOf(id, file), alt: name, title: name, width: 72, height: 72 })),
      ),
    );
    this.pictures.hidden = !shown.length;
  }

  #renderFailures() {
    const { failures, failed } = this.batch;
    this.failed.hidden = !failed;
    if (this.failures.childElementCount !== failures.length)
      this.failures.replaceChildren(
        ...failures.map(({ name, reason }) => el('tr', {}, el('td', {}, el('bdi', {}, name)), el('td', {}, reason))),
      );
    const some = failed > failures.length ? `; the first ${failures.length} of them` : '';
    setText(this.summary, `${counted(failed)} failed${some}`);
  }
}

function titleOf({ photos, out, asked, total, formats }) {
  const what = `${ASKED[asked]}; ${formats.join(', ')}`;
  const from = photos === null ? `${total ? counted(total) : 'Photos'} of mine` : `${photos} → ${out}`;
  return `${from} (${what})`;
}

function wordsOf(batch) {
  const { state, ahead, total, done, failed, skipped, kept, objects } = batch;
  const number = (count) => count.toLocaleString('en');
  if (state === 'queued') return ahead === 1 ? '1 batch goes first.' : `${ahead} batches go first.`;
  if (!total) return isActive(batch) ? 'Counting the photos…' : '';
  const parts = [`${number(done + failed + skipped)} of ${number(total)}`];
  if (kept) parts.push(`${number(kept)} done before`);
  parts.push(`${number(objects)} object${objects === 1 ? '' : 's'}`);
  if (skipped) parts.push(`${number(skipped)} passed over`);
  if (failed) parts.push(`${number(failed)} failed`);
  const { seconds, seconds_left: left, images_per_second: rate } = batch;
  if (state === 'running' && left !== null) parts.push(`${rate.toFixed(2)} a second`, `${lasting(left)} left`);
  if (state === 'finished' && seconds) parts.push(`took ${lasting(seconds)}`);
  return `${parts.join(', ')}.`;
}

function lasting(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

const button = (text, run) => el('button', { type: 'button', onclick: run }, text);
