/**
 * Names that one page of this browser holds at a time, and lets go when it closes.
 *
 * By Web Locks; plain http to another machine has none, and there the pages ask each other.
 */

const ANSWERS_WITHIN = 200; // milliseconds that pages are given to say what they hold

/**
 * Hold a name: a function that lets it go, or null when another page has it for longer than `patience` milliseconds.
 */
export const hold = (name, patience = 0) => (navigator.locks ? holdLock(name, patience) : talk().hold(name, patience));

/** The names that are held, as far as pages answer: a Set. */
export async function heldNames() {
  if (!navigator.locks) return talk().held();
  return new Set((await navigator.locks.query()).held.map((lock) => lock.name));
}

function holdLock(name, patience) {
  const options = patience ? { signal: AbortSignal.timeout(patience) } : { ifAvailable: true };
  return new Promise((resolve) => {
    const keep = (lock) => lock && new Promise((letGo) => resolve(letGo));
    navigator.locks.request(name, options, keep).then(
      () => resolve(null),
      () => resolve(null),
    );
  });
}

let shared = null;
const talk = () => (shared ??= new Talk());

/** Pages that tell each other what they hold. Of two that want a name at once, the one with the lower lot gets it. */
class Talk {
  #mine = new Map(); // name -> lot
  #listening = new Set(); // of Maps: name -> lowest lot
  #channel = new BroadcastChannel('clickmask locks');

  constructor() {
    this.#channel.onmessage = ({ data }) => (data.ask ? this.#tell() : this.#hear(data.held));
  }

  async hold(name, patience) {
    const end = performance.now() + patience;
    do {
      if (await this.#claim(name)) return () => this.#mine.delete(name);
    } while (performance.now() < end);
    return null;
  }

  async held() {
    return new Set([...(await this.#ask()).keys(), ...this.#mine.keys()]);
  }

  async #claim(name) {
    if (this.#mine.has(name)) return false;
    const lot = Math.random();
    this.#mine.set(name, lot);
    this.#tell();
    const others = await this.#ask();
    const isOurs = !(others.get(name) <= lot);
    if (isOurs)
      this.#mine.set(name, -1); // whoever comes later loses
    else this.#mine.delete(name);
    return isOurs;
  }

  async #ask() {
    const heard = new Map();
    this.#listening.add(heard);
    this.#channel.postMessage({ ask: true });
    await new Promise((resolve) => setTimeout(resolve, ANSWERS_WITHIN));
    this.#listening.delete(heard);
    return heard;
  }

  #tell() {
    this.#channel.postMessage({ held: [...this.#mine] });
  }

  #hear(held) {
    for (const heard of this.#listening)
      for (const [name, lot] of held) heard.set(name, Math.min(lot, heard.get(name) ?? Infinity));
  }
}
