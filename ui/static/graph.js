/**
 * Values that share parts, as JSON that says each part once: what is met more than once stands in `shared`, and
 * `{"$": n}` in its place. Without it an object that was cut out of others would bring each of them along, with theirs.
 */

/** {root, shared} of a value of plain objects and arrays without circles. */
export function pack(value) {
  const uses = countUses(value);
  const places = new Map(); // what is shared -> its place
  const shared = [];
  const write = (part) => {
    if (!isParent(part)) return part;
    if (uses.get(part) === 1) return mapped(part, write);
    if (!places.has(part)) {
      places.set(part, shared.push(null) - 1);
      shared[places.get(part)] = mapped(part, write);
    }
    return { $: places.get(part) };
  };
  return { root: write(value), shared };
}

/** The value that was packed. Throws RangeError when a reference leads nowhere, or in a circle. */
export function unpack({ root, shared }) {
  const made = new Map(); // place -> value, undefined while it is being made
  const read = (part) => {
    if (!isParent(part)) return part;
    return '$' in part ? at(part.$) : mapped(part, read);
  };
  const at = (place) => {
    if (!made.has(place)) {
      if (!isParent(shared?.[place])) throw new RangeError('a reference leads nowhere');
      made.set(place, undefined);
      made.set(place, mapped(shared[place], read));
    }
    if (made.get(place) === undefined) throw new RangeError('a reference leads back to itself');
    return made.get(place);
  };
  return read(root);
}

function countUses(value) {
  const uses = new Map();
  const count = (part) => {
    if (!isParent(part)) return;
    uses.set(part, (uses.get(part) ?? 0) + 1);
    if (uses.get(part) === 1) Object.values(part).forEach(count);
  };
  count(value);
  return uses;
}

const isParent = (part) => typeof part === 'object' && part !== null;

const mapped = (part, change) =>
  Array.isArray(part)
    ? part.map(change)
    : Object.fromEntries(Object.entries(part).map(([key, value]) => [key, change(value)]));
