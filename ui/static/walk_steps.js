/**
 * The six steps: what each says, and which numbers it shows. A step tells parts: {text}, {formula}, {tables} or
 * {product} (see walk.js). Sources: Vaswani et al. 2017 (equation 1); Dosovitskiy et al. 2020; Wu et al. 2022
 * (TinyViT); Kirillov et al. 2023, appendix A.
 */

import { requestOf } from './attention_asker.js';
import { arrayOf, columnOf, dot, part, rowOf } from './arrays.js';
import { GRID } from './seen.js';

export const NOTHING_YET = 'Click something in the photo first: the steps are told in the numbers of your click.';

const BY_HEAD = ['query_projection', 'query_bias', 'queries', 'keys', 'values', 'scores'];
const OF_ALL = ['asked', 'heard', 'projection', 'bias', 'output'];
const MASK = ['walk/mask/filter', 'walk/mask/pixels', 'walk/mask/logits'];
const FIRST = ['pixels', 'weights', 'bias', 'output'];
const PLACES = 5; // that are shown
const SHOWN = 8; // numbers of a long row
const CHANNELS = 16; // of a head

/** The numbers for a {layer, head} of the tokens' looks at the image, in full precision. */
export async function fetchWalk({ doc, source, prompt, seen, anchor }, { layer, head }) {
  const asked = { ...requestOf(prompt), dtype: 'float32' };
  const name = `walk/token_to_image ${layer + 1}`;
  const named = (parts, before) => parts.map((one) => `${before}/${one}`);
  const ask = (request) => doc.remote.retelling(source, (id) => doc.remote.api.attention(id, request));
  const [own, all, patch] = await Promise.all([
    ask({ ...asked, head, arrays: [...named(BY_HEAD, name), 'token_to_image'] }),
    ask({ ...asked, at: anchor, arrays: [...named(OF_ALL, name), ...MASK] }),
    ask({ patch: anchor, arrays: named(FIRST, 'first_layer'), dtype: 'float32' }),
  ]);
  const take = ({ arrays, dtype }, keys, before) =>
    Object.fromEntries(keys.map((key) => [key, arrayOf(arrays[`${before}/${key}`], dtype)]));
  return {
    layer,
    head,
    tokens: all.tokens,
    chosen: all.chosen,
    picked: seen.chosen,
    where: prompt.points.length ? 'where you clicked' : 'in the middle of your box',
    label: prompt.labels[0] ?? null, // of the first click
    place: placeOfPatch(patch),
    first: { ...take(patch, FIRST, 'first_layer'), corner: patch.corner },
    weights: part(arrayOf(own.arrays.token_to_image, own.dtype), layer),
    ...take(own, BY_HEAD, name),
    ...take(all, OF_ALL, name),
    mask: take(all, ['filter', 'pixels', 'logits'], 'walk/mask'),
  };
}

/** [row, column] of the patch among the 64 x 64. */
function placeOfPatch({ blocks }) {
  const { stride, place } = blocks.at(-1);
  return place.map((way) => Math.floor((way * stride * GRID) / 1024));
}

export const STEPS = [
  { name: 'Patches', tell: tellPatches },
  { name: 'Queries, keys, values', tell: tellQueries },
  { name: 'Scores', tell: tellScores },
  { name: 'Softmax', tell: tellSoftmax },
  { name: 'Weighted values', tell: tellValues },
  { name: 'The mask', tell: tellMask },
];

function tellPatches({ first, place, where }) {
  const { pixels, weights, bias, output } = first;
  const [count, channels] = weights.shape;
  const side = Math.sqrt(count / 3);
  const isTiny = side === 3;
  const how = isTiny
    ? 'TinyViT, the encoder of this model, begins smaller: 3 × 3 pixels at every second one, 27 numbers, become ' +
      `${channels} by its first matrix (Wu et al. 2022). Convolutions and attention then turn them into patches.`
    : `The encoder flattens each: ${count} numbers become ${channels} by one matrix, the patch embedding ` +
      '(Dosovitskiy et al. 2020).';
  return [
    {
      text:
        'The photo is scaled until its longer side has 1024 pixels, and divided into 64 × 64 patches of 16 × 16 ' +
        `pixels. ${how} At the encoder’s end each patch is 256 numbers: 4096 × 256 in all, the image embedding. ` +
        `Below are the pixels ${where}, in row ${place[0]}, column ${place[1]} of the patches.`,
    },
    { formula: 'output = pixels · W + b' },
    {
      tables: [
        {
          name: `Pixels, normalised (${side} × ${side} of red, green, blue)`,
          rows: range(Math.min(side * side, 9)).map((n) => pixels.values.subarray(3 * n, 3 * n + 3)),
          rowNames: range(9).map((n) => `pixel ${n + 1}`),
          columnNames: ['red', 'green', 'blue'],
          more: side > 3 ? `the first 9 of ${side * side}` : '',
        },
        {
          name: `W (${count} × ${channels})`,
          rows: range(9).map((row) => rowOf(weights, row).subarray(0, 4)),
          more: `its first 9 rows and 4 columns of ${count} and ${channels}`,
        },
        { name: `b (${channels})`, rows: [bias.values.subarray(0, 4)], more: 'the first 4' },
      ],
    },
    {
      product: {
        name: `pixels · W + b, the first ${SHOWN} of ${channels}`,
        models: output.values.subarray(0, SHOWN),
        compute: () => range(SHOWN).map((n) => dot(pixels.values, columnOf(weights, n)) + bias.values[n]),
      },
    },
  ];
}

function tellQueries(numbers) {
  const { token, tokens, head, asked, queries, keys, values } = numbers;
  const { query_projection: projection, query_bias: bias } = numbers;
  const row = rowOf(asked, token);
  const shown = placesOf(numbers);
  const more = `the first ${SHOWN} of ${CHANNELS}`;
  const rows = ({ values: all }) => shown.map((place) => all.subarray(place * CHANNELS, place * CHANNELS + SHOWN));
  return [
    {
      text:
        'In the decoder there are few tokens: one for each mask that may be answered, and one for each of your ' +
        'clicks. Each looks at the patches. What it looks for is its query, what a patch has to offer is the ' +
        'patch’s key, and what the patch tells is its value; each is a product of the token’s or patch’s 256 ' +
        `numbers and a matrix, ${CHANNELS} numbers a head.`,
    },
    { formula: 'q = x · W_Q + b_Q      k = y · W_K + b_K      v = y · W_V + b_V' },
    {
      tables: [
        { name: `x, of “${tokens[token]}” (256)`, rows: [row.subarray(0, SHOWN)], more: `the first ${SHOWN}` },
        {
          name: `W_Q of head ${head + 1} (256 × ${CHANNELS})`,
          rows: range(4).map((n) => rowOf(projection, n).subarray(0, SHOWN)),
          more: `its first 4 rows and ${SHOWN} columns`,
        },
      ],
    },
    {
      product: {
        name: `q, its ${CHANNELS} numbers`,
        models: rowOf(queries, token),
        compute: () => range(CHANNELS).map((n) => dot(row, columnOf(projection, n)) + bias.values[n]),
      },
    },
    {
      tables: [
        { name: 'Keys of some patches', rows: rows(keys), rowNames: shown.map(named), more },
        { name: 'Their values', rows: rows(values), rowNames: shown.map(named), more },
      ],
    },
    { text: `The patches are those that it will look at most, and last the one ${numbers.where}.` },
  ];
}

function tellScores(numbers) {
  const { token, scores, queries, keys } = numbers;
  const shown = placesOf(numbers);
  const query = rowOf(queries, token);
  return [
    {
      text:
        'How well a key answers a query is their product: number by number, added up. It is divided by the ' +
        `square root of the ${CHANNELS} numbers, since sums of more numbers are larger by themselves.`,
    },
    { formula: `scores = Q Kᵀ / √d_k,  d_k = ${CHANNELS}      (Vaswani et al. 2017, inside equation 1)` },
    {
      tables: [
        { name: 'q', rows: [query] },
        { name: 'K', rows: shown.map((place) => rowOf(keys, place)), rowNames: shown.map(named) },
      ],
    },
    {
      product: {
        name: 'q · k / 4',
        names: shown.map(named),
        models: shown.map((place) => rowOf(scores, token)[place]),
        compute: () => shown.map((place) => dot(query, rowOf(keys, place)) / Math.sqrt(CHANNELS)),
      },
    },
  ];
}

function tellSoftmax(numbers) {
  const { token, scores, weights } = numbers;
  const shown = placesOf(numbers);
  const own = rowOf(scores, token);
  const models = part(weights, token).values;
  const rest = (all) => [...shown.map((place) => all[place]), 1 - shown.reduce((sum, place) => sum + all[place], 0)];
  return [
    {
      text:
        'The softmax makes shares of the scores: each is the exponent of its score, divided by the sum of all ' +
        '4096. So they are above 0 and add up to 1, and a score that is a little higher gets a share that is ' +
        'much larger. These shares are the attention: the map over the photo, when this token, layer and head ' +
        'are chosen.',
    },
    { formula: 'weight of a patch = exp(its score) / Σ exp(scores)' },
    {
      product: {
        name: 'Shares of 1',
        names: [...shown.map(named), `the other ${own.length - shown.length}`],
        models: rest(models),
        compute: () => rest(softmax(own)),
      },
    },
  ];
}

function tellValues(numbers) {
  const { token, head, weights, values, heard, projection, bias, output } = numbers;
  const shares = part(weights, token).values;
  const ours = rowOf(part(heard, head), token);
  const all = range(heard.shape[0]).flatMap((one) => [...rowOf(part(heard, one), token)]);
  return [
    {
      text:
        'What the token hears is the patches’ values, each by its share. Eight heads do so side by side, each ' +
        'with matrices of its own: 8 × 16 numbers, which one more matrix turns into the 256 that are added to ' +
        'the token.',
    },
    { formula: 'Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V      (Vaswani et al. 2017, equation 1)' },
    {
      product: {
        name: `Σ weight · v, the ${CHANNELS} numbers of head ${head + 1}`,
        models: ours,
        compute: () => range(CHANNELS).map((n) => dot(shares, columnOf(values, n))),
      },
    },
    { formula: 'output = [head 1, …, head 8] · W_O + b_O' },
    {
      product: {
        name: `All heads through W_O (128 × 256), the first ${SHOWN} of 256`,
        models: rowOf(output, token).subarray(0, SHOWN),
        compute: () => range(SHOWN).map((n) => dot(all, columnOf(projection, n)) + bias.values[n]),
      },
    },
  ];
}

function tellMask({ chosen, picked, mask, where, label }) {
  const { filter, pixels, logits } = mask;
  const more = `the first ${SHOWN}`;
  return [
    {
      text:
        'So it goes through the decoder: in two layers tokens look at each other, then at the patches, and the ' +
        'patches at the tokens; then the tokens look once more (Kirillov et al. 2023, appendix A). The patches ' +
        `are upscaled to 256 × 256 places of 32 numbers, and the token of the answer, “${chosen}”, becomes 32 ` +
        'numbers too, a filter. Their product says for each place how surely it belongs to the object: above 0 ' +
        'it is in the mask.',
    },
    ...(picked === chosen ? [] : [{ text: `You picked “${picked}”; the numbers below are of the best, “${chosen}”.` }]),
    { formula: 'logit of a place = filter · its 32 numbers      inside, where it is above 0' },
    {
      tables: [
        { name: 'The filter (32)', rows: [filter.values.subarray(0, SHOWN)], more },
        { name: `The place ${where} (32)`, rows: [pixels.values.subarray(0, SHOWN)], more },
      ],
    },
    {
      product: {
        name: `The logit ${where}`,
        models: logits.values,
        compute: () => [dot(filter.values, pixels.values)],
      },
    },
    { text: verdictOf(logits.values[0] > 0, label) },
  ];
}

/** What the model says of the place, and what clickmask makes of it where the click says otherwise. */
function verdictOf(isInside, label) {
  const sign = isInside ? 'Above 0: by the model the mask has it.' : 'Not above 0: the model leaves it out.';
  if (label === null || Boolean(label) === isInside) return sign;
  return `${sign} Your click says otherwise, and clicks are law here: the mask shown was mended after it.`;
}

/** The places that the token looks at most, and the one that was clicked. */
function placesOf({ token, weights, place }) {
  const shares = part(weights, token).values;
  const clicked = place[0] * GRID + place[1];
  const order = [...shares.keys()].filter((n) => n !== clicked).sort((a, b) => shares[b] - shares[a]);
  return [...order.slice(0, PLACES - 1), clicked];
}

/** exp(x - max) / sum, in double precision. */
function softmax(scores) {
  const top = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const shares = Float64Array.from(scores, (score) => Math.exp(score - top));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}

const named = (place) => `row ${Math.floor(place / GRID)}, column ${place % GRID}`;
const range = (count) => [...Array(count).keys()];
