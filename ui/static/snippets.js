/** What was just clicked, as the Python, and as the curl, that does the same. */

import { boxOf, pointsOf } from './chain.js';

/** {python, curl} for a making (see chain.js) of a photo of this name, on the server at this address. */
export function snippetsFor(making, name, address) {
  if (!making || !making.elements.length) return { python: nothing('#'), curl: nothing('#') };
  return { python: pythonFor(making, name), curl: curlFor(making, name, address) };
}

const nothing = (mark) => `${mark} Click on something first: what you did is written here.\n`;

function pythonFor(making, name) {
  const [first, ...rest] = making.elements.map((element) =>
    'box' in element
      ? `thing.set_box(${numbers(element.box)})`
      : `thing.add(${numbers([element.x, element.y])}${element.label ? '' : ', label=0'})`,
  );
  const lines = [
    'from clickmask import Segmenter',
    '',
    `image = Segmenter().open(${quoted(name)})`,
    ...(making.source ? [`image = image.window((${numbers(making.source)}))`] : []),
    'thing = image.start()',
    first,
    ...found(making),
    ...rest,
    ...chosen(making),
    `thing.mask.save(${quoted(`${stem(name)}_mask.png`)})`,
    '',
    '# On a server: from clickmask import Client, and Client("http://...") in place of Segmenter().',
  ];
  return `${lines.join('\n')}\n`;
}

/** A lone point has three candidates; of one that Everything found only its own is known. */
const found = ({ elements: [first], answers: [answer] }) => {
  const isFound = !('box' in first) && answer?.masks?.length === 1 && !answer.question.previous;
  return isFound ? [`thing.choose([mask.index for mask in thing.candidates].index(${answer.masks[0].index}))`] : [];
};

const chosen = (making) => {
  const answer = making.answers.at(-1);
  return answer?.picked ? [`thing.choose(${answer.picked})`] : [];
};

function curlFor(making, name, address) {
  const points = pointsOf(making);
  const object = {
    ...(points.length && {
      points: points.map(({ x, y }) => [round(x), round(y)]),
      labels: points.map(({ label }) => label),
    }),
    ...(boxOf(making) && { box: boxOf(making).map(round) }),
  };
  const prompts = JSON.stringify({ objects: [object] });
  const lines = [
    `curl ${address}/v1/segment \\`,
    '  -H "Accept: image/png" \\',
    `  -F ${shell(`file=@${name}`)} \\`,
    `  -F ${shell(`prompts=${prompts}`)} \\`,
    `  -o ${shell(`${stem(name)}_mask.png`)}`,
  ];
  return `${lines.join('\n')}\n`;
}

const round = (value) => Math.round(value * 10) / 10;
const numbers = (values) => values.map(round).join(', ');
const quoted = (text) => JSON.stringify(text);
const stem = (name) => name.replace(/\.[^.]*$/, '');
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
