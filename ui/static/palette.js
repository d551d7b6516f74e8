/** Twenty colours that are easy to tell apart, those of service/palette.py: the page and the files agree. */

export const PALETTE = [
  [0, 130, 255],
  [255, 70, 50],
  [40, 200, 70],
  [255, 215, 0],
  [255, 0, 195],
  [90, 240, 255],
  [0, 0, 255],
  [90, 75, 15],
  [255, 180, 225],
  [135, 0, 60],
  [225, 240, 165],
  [105, 15, 165],
  [15, 135, 90],
  [75, 60, 120],
  [255, 165, 120],
  [180, 255, 0],
  [0, 135, 180],
  [135, 150, 0],
  [210, 0, 255],
  [0, 255, 195],
];

/** The blue under the pointer. */
export const PREVIEW = [0, 114, 189];

/** [r, g, b] of object number `number`, 0 and up; after twenty they come again. @param {number} number */
export function colourOf(number) {
  return PALETTE[number % PALETTE.length];
}

/** As CSS has it. @param {number[]} colour [r, g, b] @param {number} alpha 0..1 */
export function css([red, green, blue], alpha = 1) {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}
