/** What can be chosen in the Attention tab, its legend, the token matrix, and what can be saved. */

import { el, setText } from './dom.js';
import { gradient } from './heat.js';
import { TokenMatrix } from './token_matrix.js';

const KINDS = [
  ['looks', 'Where a token looks', 'in the mask decoder'],
  ['listens', 'Who listens to a token', 'in the mask decoder'],
  ['patch', 'Where a patch looks', 'in the image encoder'],
];
const OWN = {
  'predicted IoU': 'guesses how good the masks are',
  'mask 0': 'the mask for boxes and several clicks',
  'mask 1': 'of a single click: often a part',
  'mask 2': 'of a single click: often a larger part',
  'mask 3': 'of a single click: often the whole',
  'no point': 'stands where a box would',
};

export class AttentionPanel {
  #tokens = ''; // that the list was made of
  #isSaving = false;

  /** tab: the AttentionTab. */
  constructor(tab) {
    this.tab = tab;
    this.token = el('select', { name: 'token', onchange: () => tab.choose({ token: this.#named(this.token.value) }) });
    this.layer = slider('layer', (value) => tab.choose({ [this.#layerName]: value }));
    this.head = slider('head', (value) => tab.choose({ head: value === 0 ? null : value - 1 }));
    this.matrix = new TokenMatrix(tab);
    this.about = el('p', { class: 'cm-dim' });
    this.tokenRow = el('label', { class: 'cm-row' }, 'Token', this.token);
    this.all = button('All heads', () => tab.sheet.toggle());
    this.picture = button('Save picture', () => this.#save('savePicture'));
    this.arrays = button('Save arrays (.npz)', () => this.#save('saveArrays'));
    this.clear = button('Clear clicks', () => tab.clear());
    const legend = el('div', { class: 'cm-legend', 'aria-hidden': 'true' }, 'little', el('span'), 'much');
    legend.children[0].style.background = gradient;
    this.element = el(
      'div',
      { class: 'cm-panel' },
      el('fieldset', {}, el('legend', {}, 'Show'), ...KINDS.map((kind) => this.#kind(kind))),
      el('div', { class: 'cm-choices' }, this.tokenRow, this.about, this.layer.element, this.head.element, legend),
      el('div', { class: 'cm-buttons' }, this.all, this.picture, this.arrays, this.clear),
      this.matrix.element,
    );
  }

  /** Bring it up to date. */
  draw() {
    const { tab } = this;
    const { choice, seen, heads, map, prompt } = tab;
    const isPatch = choice.kind === 'patch';
    for (const input of this.element.querySelectorAll('input[name=kind]')) input.checked = input.value === choice.kind;
    this.tokenRow.hidden = isPatch || !seen;
    this.#drawTokens();
    setText(this.about, isPatch ? aboutBlock(tab) : aboutToken(tab));
    const layers = isPatch ? (tab.patch?.choices ?? 0) : (seen?.layers(choice.kind) ?? 0);
    this.layer.set(isPatch ? choice.block : choice.layer, layers - 1, layerText(tab));
    this.head.set(choice.head === null ? 0 : choice.head + 1, heads || -1, headText(choice, heads));
    for (const one of [this.picture, this.arrays]) one.disabled = !map || this.#isSaving;
    this.all.disabled = !map;
    setText(this.arrays, this.#isSaving ? 'Saving…' : 'Save arrays (.npz)');
    this.clear.disabled = !prompt.points.length && !prompt.box;
    this.all.setAttribute('aria-pressed', String(tab.sheet.isOpen));
    this.matrix.draw();
  }

  get #layerName() {
    return this.tab.choice.kind === 'patch' ? 'block' : 'layer';
  }

  #kind([value, name, where]) {
    const input = el('input', { type: 'radio', name: 'kind', value, onchange: () => this.tab.choose({ kind: value }) });
    return el('label', { class: 'cm-choice' }, input, el('span', {}, name, el('small', {}, where)));
  }

  #drawTokens() {
    const { seen, choice } = this.tab;
    if (!seen) return;
    const key = String([seen.tokens, seen.chosen]);
    if (key !== this.#tokens) {
      const option = (name, n) => el('option', { value: n }, name === seen.chosen ? `${name} (the answer)` : name);
      this.token.replaceChildren(...seen.tokens.map(option));
      this.#tokens = key;
    }
    this.token.value = String(choice.token);
  }

  #named(number) {
    return this.tab.seen?.tokens[number] ?? null;
  }

  async #save(way) {
    const { tab } = this;
    tab.error.textContent = '';
    this.#isSaving = true;
    this.draw();
    try {
      await (await import('./attention_files.js'))[way](tab);
    } catch (error) {
      tab.error.textContent = error.message;
    }
    this.#isSaving = false;
    this.draw();
  }
}

const button = (name, onclick) => el('button', { type: 'button', onclick }, name);

/** A slider with a label that says what is chosen: {element, set(value, most, text)}. */
function slider(name, take) {
  const input = el('input', { type: 'range', name, min: 0, step: 1, oninput: () => take(Number(input.value)) });
  const text = el('span');
  const element = el('label', { class: 'cm-slider' }, text, input);
  const set = (value, most, says) => {
    element.hidden = most < 0;
    input.max = String(Math.max(most, 0));
    input.value = String(value);
    input.setAttribute('aria-valuetext', says);
    setText(text, says);
  };
  return { element, set };
}

/** What stands above the slider for layers. */
export function layerText({ choice, patch, seen }) {
  if (choice.kind === 'patch') {
    const block = patch?.blocks[choice.block];
    if (!block) return patch ? 'All blocks together: attention rollout' : '';
    return `Block ${choice.block + 1} of ${patch.blocks.length}: ${block.name}`;
  }
  if (!seen) return '';
  return layerName(choice.kind, choice.layer, seen.layers(choice.kind));
}

/** A layer's name: 0, 1 or 2. */
export function layerName(kind, layer, count) {
  const isLast = kind === 'looks' && layer === count - 1;
  return `Layer ${layer + 1} of ${count}${isLast ? ': the last look' : ''}`;
}

const headText = ({ head }, heads) =>
  head === null ? `Head: the mean of all ${heads}` : `Head ${head + 1} of ${heads}`;

function aboutToken({ seen, choice }) {
  if (!seen) return '';
  const name = seen.tokens[choice.token];
  return OWN[name] ?? (name.startsWith('box') ? 'a corner of the box' : 'a click of yours');
}

function aboutBlock({ patch, choice }) {
  const block = patch?.blocks[choice.block];
  if (!block) return patch ? 'How much the patch has of each place after all blocks (Abnar and Zuidema 2020).' : '';
  const [, height, width] = block.weights.shape;
  const reach = height * block.stride >= 1024 ? 'the whole picture' : `a window of ${width} × ${height} patches`;
  return `It looks at ${reach}, each ${block.stride} × ${block.stride} pixels.`;
}
