/** What the user has set, kept in the browser's store for all photos. */

const MOST_LABELS = 50;
const KEPT = ['label', 'labels', 'isRapid', 'keepsOff', 'opacity', 'clean', 'brush', 'isSwapped', 'keys', 'everything'];

/** What the Everything tool looks for; side: the smallest objects' area is its square, image pixels. */
export const EVERYTHING = { pointsPerSide: 32, score: 0.88, stability: 0.95, side: 0, largest: 10 };

export class Settings {
  label = '';
  labels = []; // those used, the newest first
  isRapid = false;
  keepsOff = false;
  opacity = 0.4;
  clean = 0;
  brush = 14;
  isSwapped = false;
  keys = {}; // {command: chords} of those whose keys were changed
  everything = EVERYTHING;

  /** store: see store.js. onChange(): something was set. */
  constructor(store, onChange = () => {}) {
    Object.assign(this, { store, onChange });
  }

  /** Take up what was set on an earlier day. */
  async restore() {
    const saved = await this.store.settings();
    for (const name of KEPT) if (saved[name] !== undefined) this[name] = saved[name];
    this.everything = { ...EVERYTHING, ...this.everything };
  }

  set(values) {
    Object.assign(this, values);
    this.store.saveSettings(values).catch(() => {}); // kept in memory; losing a slider's place is no loss
    this.onChange();
  }

  /** A label was used: it is offered first from now on. */
  use(label) {
    if (!label) return;
    this.set({ labels: [label, ...this.labels.filter((other) => other !== label)].slice(0, MOST_LABELS) });
  }

  /** Label number n (from 1), in the order in which they came first. */
  numbered(n) {
    return [...this.labels].sort()[n - 1];
  }
}
