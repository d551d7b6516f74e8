/**
 * A mask's object as spans: Uint32Array [start, end, start, end, ...], ends exclusive, strictly increasing; positions
 * count down the columns, so that pixel (x, y) of a mask `height` rows high is x * height + y. What is asked here takes
 * time in proportion to the spans, not the pixels, unless a bitmap is involved.
 */

const TILE = 32; // a bitmap is turned in squares of this side, which stay in the processor's cache

/**
 * The spans where `keep(insideFirst, insideSecond)` holds, each argument 0 or 1; keep(0, 0) must be false.
 * @param {Uint32Array} first
 * @param {Uint32Array} second
 * @param {(insideFirst: number, insideSecond: number) => boolean} keep
 * @returns {Uint32Array}
 */
export function combine(first, second, keep) {
  const found = new Uint32Array(first.length + second.length);
  let i = 0;
  let j = 0;
  let length = 0;
  while (i < first.length || j < second.length) {
    const at = Math.min(first[i] ?? Infinity, second[j] ?? Infinity);
    if (first[i] === at) i += 1;
    if (second[j] === at) j += 1;
    if (Number(keep(i & 1, j & 1)) !== (length & 1)) found[length++] = at;
  }
  return found.slice(0, length);
}

/** Pixels. @param {Uint32Array} spans @returns {number} */
export function area(spans) {
  let pixels = 0;
  for (let i = 0; i < spans.length; i += 2) pixels += spans[i + 1] - spans[i];
  return pixels;
}

/**
 * [x0, y0, x1, y1] around the object, ends exclusive; null when there is none.
 * @param {Uint32Array} spans
 * @param {number} height
 * @returns {[number, number, number, number] | null}
 */
export function bounds(spans, height) {
  if (spans.length === 0) return null;
  let top = height;
  let bottom = 0;
  for (let i = 0; i < spans.length; i += 2) {
    const start = spans[i];
    const last = spans[i + 1] - 1;
    // A span that goes on in the next column touches the bottom of this one and the top of that.
    const within = Math.floor(start / height) === Math.floor(last / height);
    top = within ? Math.min(top, start % height) : 0;
    bottom = within ? Math.max(bottom, (last % height) + 1) : height;
  }
  return [Math.floor(spans[0] / height), top, Math.floor((spans.at(-1) - 1) / height) + 1, bottom];
}

/** Whether a position lies in the object; by halving. @param {Uint32Array} spans @param {number} position */
export function contains(spans, position) {
  return (countUpTo(spans, position) & 1) === 1;
}

/** How many of the (sorted) numbers are at most `position`. @param {Uint32Array} sorted @param {number} position */
export function countUpTo(sorted, position) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The spans of a bitmap.
 * @param {Uint8Array} bitmap row-major; what is not 0 is object
 * @param {number} width
 * @param {number} height
 * @returns {Uint32Array}
 */
export function fromBitmap(bitmap, width, height) {
  const columns = transpose(bitmap, width, height);
  const found = [];
  let inside = false;
  for (let position = 0; position < columns.length; position += 1) {
    if ((columns[position] !== 0) === inside) continue;
    found.push(position);
    inside = !inside;
  }
  if (inside) found.push(columns.length);
  return Uint32Array.from(found);
}

/**
 * The bitmap of spans: row-major, 0 and 1.
 * @param {Uint32Array} spans
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array}
 */
export function toBitmap(spans, width, height) {
  const columns = new Uint8Array(width * height);
  for (let i = 0; i < spans.length; i += 2) columns.fill(1, spans[i], spans[i + 1]);
  return transpose(columns, height, width);
}

/**
 * The same spans on a larger raster, `left` and `top` pixels from its corner; the smaller one must lie within it.
 * @param {Uint32Array} spans of a mask `height` rows high
 * @param {number} height
 * @param {number} left
 * @param {number} top
 * @param {number} newHeight rows of the larger raster
 * @returns {Uint32Array}
 */
export function place(spans, height, left, top, newHeight) {
  const writer = new SpanWriter();
  for (const [column, start, end] of pieces(spans, height)) {
    const base = (column + left) * newHeight + top;
    writer.add(base + start, base + end);
  }
  return writer.spans();
}

/**
 * Nearest pixels: column i of the answer is column `columns[i]` of the mask, row j its row `rows[j]`; none where that
 * is outside. Both lists must be in rising order.
 * @param {Uint32Array} spans
 * @param {number} height of the mask, rows
 * @param {Int32Array} columns
 * @param {Int32Array} rows
 * @returns {Uint32Array}
 */
export function pickPixels(spans, height, columns, rows) {
  const firstRow = firstAtLeast(rows, height);
  const byColumn = new Map();
  for (const [column, start, end] of pieces(spans, height)) {
    if (!byColumn.has(column)) byColumn.set(column, []);
    byColumn.get(column).push([firstRow[start], firstRow[end]]);
  }
  const writer = new SpanWriter();
  columns.forEach((column, i) => {
    const base = i * rows.length;
    for (const [start, end] of byColumn.get(column) ?? []) writer.add(base + start, base + end);
  });
  return writer.spans();
}

/**
 * The spans cut at the columns' ends: [column, start, end] each, rows, end exclusive.
 * @param {Uint32Array} spans
 * @param {number} height
 * @returns {Generator<[number, number, number]>}
 */
export function* pieces(spans, height) {
  for (let i = 0; i < spans.length; i += 2) {
    let start = spans[i];
    while (start < spans[i + 1]) {
      const column = Math.floor(start / height);
      const end = Math.min(spans[i + 1], (column + 1) * height);
      yield [column, start - column * height, end - column * height];
      start = end;
    }
  }
}

/** Collects spans in rising order; joins those that touch. */
class SpanWriter {
  #found = [];

  add(start, end) {
    if (start === end) return;
    if (this.#found.at(-1) === start) this.#found[this.#found.length - 1] = end;
    else this.#found.push(start, end);
  }

  spans() {
    return Uint32Array.from(this.#found);
  }
}

/** For each value 0..most the first place in `rising` that holds at least it. */
function firstAtLeast(rising, most) {
  const first = new Int32Array(most + 1);
  let place = 0;
  for (let value = 0; value <= most; value += 1) {
    while (place < rising.length && rising[place] < value) place += 1;
    first[value] = place;
  }
  return first;
}

function transpose(bitmap, width, height) {
  if (bitmap.length !== width * height) {
    throw new RangeError(`expected a bitmap of ${width} x ${height} pixels, got ${bitmap.length} values`);
  }
  const turned = new Uint8Array(bitmap.length);
  for (let top = 0; top < height; top += TILE) {
    for (let left = 0; left < width; left += TILE) turnTile(bitmap, turned, width, height, left, top);
  }
  return turned;
}

function turnTile(bitmap, turned, width, height, left, top) {
  const right = Math.min(left + TILE, width);
  const bottom = Math.min(top + TILE, height);
  for (let x = left; x < right; x += 1) {
    for (let y = top; y < bottom; y += 1) turned[x * height + y] = bitmap[y * width + x];
  }
}
