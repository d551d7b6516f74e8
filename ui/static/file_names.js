/** Names of files that no system trips over and no two of which are the same. */

const LONGEST = 255; // bytes, as most file systems and the API have it
const UNFIT = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069/\\]/gu;

/** The name as the API takes one: no path, no control characters, not too long. */
export function fit(name) {
  const { stem, extension } = split(name.replace(UNFIT, '_'));
  return ['', '.', '..'].includes(name) ? 'photo' : `${cut(stem, LONGEST - bytes(extension))}${extension}`;
}

/** 'a.b.jpg' -> {stem: 'a.b', extension: '.jpg'} */
export function split(name) {
  const at = name.lastIndexOf('.');
  return at > 0 ? { stem: name.slice(0, at), extension: name.slice(at) } : { stem: name, extension: '' };
}

/** Gives each name once: the second 'a.jpg' becomes 'a (2).jpg'. Systems that see no case find no two alike either. */
export class Unique {
  #given = new Set();

  /** reserved: names that only those who have them may get. */
  constructor(reserved = []) {
    this.reserved = new Set(reserved.map(key));
  }

  take(name) {
    const { stem, extension } = split(name);
    let free = name;
    for (let n = 2; this.#given.has(key(free)) || (free !== name && this.reserved.has(key(free))); n += 1) {
      const end = ` (${n})${extension}`;
      free = `${cut(stem, LONGEST - bytes(end))}${end}`;
    }
    this.#given.add(key(free));
    return free;
  }
}

const key = (name) => name.normalize('NFC').toLowerCase();

const bytes = (text) => new TextEncoder().encode(text).length;

function cut(text, most) {
  let kept = text;
  while (bytes(kept) > most) kept = [...kept].slice(0, -1).join('');
  return kept;
}
