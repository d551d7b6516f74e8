/** Arrays of numbers as the API sends them: {shape, data}, base64, little endian, the last axis fastest. */

const HALF_BIAS = 15;
const HALF_BITS = 10; // of the mantissa

let halves = null; // every half-precision number, by its bits

/**
 * @param {{shape: number[], data: string}} sent
 * @param {'float16' | 'float32'} dtype
 * @returns {{shape: number[], values: Float32Array}}
 */
export function arrayOf({ shape, data }, dtype) {
  const { buffer } = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return { shape, values: dtype === 'float32' ? new Float32Array(buffer) : widened(new Uint16Array(buffer)) };
}

/** The numbers at the first indices given: of a (3, 8, 7, 64, 64) array part(a, 2, 0, 1) is a (64, 64) one. */
export function part({ shape, values }, ...indices) {
  const rest = shape.slice(indices.length);
  const size = rest.reduce((product, length) => product * length, 1);
  const place = indices.reduce((sum, index, axis) => sum * shape[axis] + index, 0);
  return { shape: rest, values: values.subarray(place * size, (place + 1) * size) };
}

/** The mean along the first axis. */
export function meanOf({ shape: [count, ...rest], values }) {
  const size = values.length / count;
  const mean = new Float32Array(size);
  for (let i = 0; i < values.length; i += 1) mean[i % size] += values[i] / count;
  return { shape: rest, values: mean };
}

/** The sum of products of two rows of numbers. */
export function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += a[i] * b[i];
  return sum;
}

/** Column number `column` of a matrix, (rows, columns). */
export function columnOf({ shape: [rows, columns], values }, column) {
  return Float64Array.from({ length: rows }, (_, row) => values[row * columns + column]);
}

/** Row number `row` of a matrix. */
export function rowOf({ shape: [, columns], values }, row) {
  return values.subarray(row * columns, (row + 1) * columns);
}

function widened(bits) {
  halves ??= Float32Array.from({ length: 1 << 16 }, (_, half) => valueOf(half));
  return Float32Array.from(bits, (half) => halves[half]);
}

/** What a half-precision number of these bits is (IEEE 754). */
function valueOf(half) {
  const sign = half >> 15 ? -1 : 1;
  const exponent = (half >> HALF_BITS) & 31;
  const mantissa = (half & 1023) / 1024;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - HALF_BIAS);
  return sign * (1 + mantissa) * 2 ** (exponent - HALF_BIAS);
}
