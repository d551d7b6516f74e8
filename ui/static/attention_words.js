/** What the Attention tab says below its photo. */

import { sharesOf } from './seen.js';

/** What the map shows; else what is awaited, or what can be done. */
export function captionOf({ map, choice, asker, waiting, source, isRollout }) {
  if (asker.isBusy && waiting) return `The server keeps us waiting (${waiting}); it goes on by itself.`;
  if (map) return aboutMap(map, choice.kind);
  if (asker.isBusyWith(choice.kind)) return isRollout ? 'Putting all blocks together; it takes a while…' : 'Asking…';
  if (isRollout) return 'Click a patch: all blocks together take a while.';
  if (choice.kind === 'patch') return 'Point at a patch to see where it looks; a click keeps it.';
  const where = source ? 'the part that is framed' : 'the photo';
  return `Click something in ${where}; right click, or Shift, for what it is not; drag for a box.`;
}

function aboutMap(map, kind) {
  const { picture, padding, most } = sharesOf(map);
  if (kind === 'listens') return `How much each place listens to it: ${percent(most)} at most.`;
  const rest = padding > 0.0005 && kind === 'looks' ? `, ${percent(padding)} on the padding beyond it` : '';
  const whole = kind === 'patch' ? '' : `${percent(picture)} of it is on the picture${rest}; `;
  return `Attention: ${whole}the brightest place has ${percent(most)}.`;
}

/** Two digits that count. */
function percent(share) {
  const value = 100 * share;
  return `${value >= 9.95 ? value.toFixed(0) : value.toPrecision(2)} %`;
}
