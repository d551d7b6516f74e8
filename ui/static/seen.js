/**
 * What was looked at, from the API's answers: maps over the model frame, which is 1024 x 1024 pixels.
 *
 *     Frame {box: [x0, y0, x1, y1], scaled: [width, height]}   what was encoded, in the image, and in the model frame
 *     Map   {side, values: Float32Array, frame}                side x side places, row by row
 */

import { arrayOf, meanOf, part } from './arrays.js';

export const MODEL_SIDE = 1024;
export const GRID = 64; // patches along a side

/** One prompt's way through the mask decoder. */
export class Seen {
  constructor({ tokens, chosen, score, arrays, dtype, box, scaled }) {
    Object.assign(this, { tokens, chosen, score, frame: { box, scaled } });
    const of = (name) => arrayOf(arrays[name], dtype);
    this.looks = of('token_to_image');
    this.listens = of('image_to_token');
    this.among = of('token_to_token');
    this.heads = this.looks.shape[1];
  }

  /** How many layers there are to look at. kind: 'looks' or 'listens'. */
  layers(kind) {
    return (kind === 'looks' ? this.looks : this.listens).shape[0];
  }

  /** Where a token looks, or which places listen to it, in a layer; by a head, or by the mean of all (null). */
  map(kind, token, layer, head) {
    const { shape, values } =
      kind === 'looks'
        ? part(byHead(part(this.looks, layer), head), token)
        : listening(byHead(part(this.listens, layer), head), token);
    return { side: shape[0], values, frame: this.frame };
  }

  /** (T, T): which token, a row, looks at which, in layer 0 or 1. */
  matrix(layer, head) {
    return byHead(part(this.among, layer), head);
  }
}

/** What one patch looks at, in each block of the encoder; of plain ViTs, once it was asked for, in all together. */
export class PatchSeen {
  rollout = null; // values, 64 x 64

  /** asked: the point of the image that lies in it. */
  constructor({ blocks, arrays, dtype, box, scaled }, asked) {
    Object.assign(this, { asked, frame: { box, scaled } });
    this.blocks = blocks.map((block, n) => ({ ...block, weights: arrayOf(arrays[`${n}/weights`], dtype) }));
  }

  /** How many blocks there are to choose from: after the last one, of plain ViTs, all together. */
  get choices() {
    return this.blocks.length + (this.blocks.some(({ weights }) => weights.shape[1] === GRID) ? 1 : 0);
  }

  /** How many heads a choice has; 0 of all blocks together. */
  headsOf(block) {
    return this.blocks[block]?.weights.shape[0] ?? 0;
  }

  /** Where it looks in a block, 0 outside its window; or after all blocks, null until that was asked for. */
  map(block, head) {
    if (!this.blocks[block]) return this.rollout && { side: GRID, values: this.rollout, frame: this.frame };
    const { stride, corner, weights } = this.blocks[block];
    const side = MODEL_SIDE / stride;
    const values = new Float32Array(side * side);
    const { shape, values: own } = byHead(weights, head);
    for (let row = 0; row < Math.min(shape[0], side - corner[0]); row += 1) {
      const count = Math.min(shape[1], side - corner[1]);
      values.set(own.subarray(row * shape[1], row * shape[1] + count), (corner[0] + row) * side + corner[1]);
    }
    return { side, values, frame: this.frame };
  }

  /** [x0, y0, x1, y1] of the patch in the image. */
  boxOf(block) {
    const { stride, place } = this.blocks[block] ?? this.blocks.at(-1);
    return inImage(this.frame, [place[1], place[0], place[1] + 1, place[0] + 1].map((way) => way * stride));
  }
}

/** [x0, y0, x1, y1] of the model frame in the image. */
export function inImage({ box, scaled }, [left, top, right, bottom]) {
  const across = (box[2] - box[0]) / scaled[0];
  const down = (box[3] - box[1]) / scaled[1];
  const [x, y] = [(way) => box[0] + way * across, (way) => box[1] + way * down];
  return [x(left), y(top), Math.min(x(right), box[2]), Math.min(y(bottom), box[3])];
}

/** [row, column] of the place of so many pixels that a point of the image lies in. */
export function placeOf({ box, scaled }, [x, y], stride = MODEL_SIDE / GRID) {
  const row = Math.floor((((y - box[1]) / (box[3] - box[1])) * scaled[1]) / stride);
  const column = Math.floor((((x - box[0]) / (box[2] - box[0])) * scaled[0]) / stride);
  return [row, column];
}

/** {picture, padding, most}: shares of a map's sum on the picture and beyond it, and the largest share of one place. */
export function sharesOf({ side, values, frame }) {
  const [rows, columns] = extent(side, frame.scaled);
  let [sum, picture, most] = [0, 0, 0];
  values.forEach((value, place) => {
    sum += value;
    if (Math.floor(place / side) >= rows || place % side >= columns) return;
    picture += value;
    most = Math.max(most, value);
  });
  return { picture: picture / sum, padding: 1 - picture / sum, most };
}

/** [rows, columns] of a map that lie on the picture, wholly or in part. */
export const extent = (side, [width, height]) => [
  Math.ceil((height * side) / MODEL_SIDE),
  Math.ceil((width * side) / MODEL_SIDE),
];

const byHead = (heads, head) => (head === null ? meanOf(heads) : part(heads, head));

function listening({ shape: [rows, columns, tokens], values }, token) {
  const own = Float32Array.from({ length: rows * columns }, (_, place) => values[place * tokens + token]);
  return { shape: [rows, columns], values: own };
}
