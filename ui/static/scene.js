/** What the stage's canvases show, painted from one plain description of it. Each says whether it drew anything. */

import { drawGlow, drawMask, enterImage } from './draw_masks.js';
import { drawBox, drawBrushCursor, drawLasso, drawPrompts } from './draw_prompts.js';
import { drawLabel } from './draw_label.js';
import { drawLiveStroke } from './draw_stroke.js';
import { drawHeat } from './heat.js';
import { PREVIEW } from './palette.js';

const PREVIEW_OPACITY = 0.35;
const PREVIEW_OVER_CURRENT = 0.15; // both together must not hide the photo
const LEFT_OUT = [207, 34, 46]; // a preview of what a minus would leave

/** Nothing yet; `Stage`'s setters say what each part holds. */
export function emptyScene() {
  return {
    photo: null,
    heat: null,
    objects: [],
    candidates: [],
    pointed: null,
    current: null,
    preview: null,
    prompts: null,
    rubberBand: null,
    stroke: null,
    brush: null,
    options: { opacity: 0.4, showMasks: true, showPoints: true, previewColour: PREVIEW },
  };
}

/** @param {CanvasRenderingContext2D} context @param {import('./view.js').View} view */
export function paintPhoto(context, view, { photo }) {
  if (!photo) return false;
  enterImage(context, view);
  photo.draw(context, view);
  return true;
}

/** Where the Transformer looked. */
export function paintHeat(context, view, { photo, heat }) {
  if (!photo || !heat) return false;
  enterImage(context, view);
  drawHeat(context, heat);
  return true;
}

/** The objects that can be seen, the lowest first. */
export function visibleObjects({ objects, options }) {
  return options.showMasks ? objects.filter(({ hidden, mask }) => !hidden && mask) : [];
}

/** What is drawn in the objects' place: those that can be seen, and above them what there is to choose from. */
export function drawnObjects(scene) {
  const { candidates, options } = scene;
  const outline = ({ isKept, ...look }) => ({ ...look, cased: true, opacity: isKept ? options.opacity : 0 });
  return [...visibleObjects(scene), ...(options.showMasks ? candidates.map(outline) : [])];
}

/** The object in the making, what a click would give, and the light on the object under the pointer. */
export function paintCurrent(context, view, scene) {
  const { current, pointed, preview, stroke, options } = scene;
  const hovered = hoveredObject(scene);
  if (!options.showMasks || !(hovered || pointed || current || preview || stroke)) return false;
  enterImage(context, view);
  if (pointed) drawMask(context, view, pointed.mask, { ...pointed, opacity: PREVIEW_OPACITY, selected: true });
  if (hovered) drawGlow(context, view, hovered.mask, hovered.colour);
  if (current?.mask) drawMask(context, view, current.mask, currentLook(current, options));
  if (preview) drawMask(context, view, preview.mask, previewLook(scene));
  if (stroke) drawLiveStroke(context, stroke, current?.colour ?? options.previewColour, options.opacity);
  return true;
}

/** Points, boxes, the brush's circle and the name of the object under the pointer. */
export function paintPrompts(context, view, scene) {
  const { prompts, rubberBand, stroke, brush, options } = scene;
  const hovered = hoveredObject(scene);
  if (hovered?.label) drawLabel(context, view, hovered);
  if (stroke?.kind === 'lasso') drawLasso(context, view, stroke);
  if (prompts && options.showPoints) drawPrompts(context, view, prompts);
  if (rubberBand) drawBox(context, view, rubberBand);
  if (brush) drawBrushCursor(context, view, brush);
  return Boolean(hovered?.label || stroke || (prompts && options.showPoints) || rubberBand || brush);
}

function hoveredObject(scene) {
  return visibleObjects(scene).findLast(({ hovered }) => hovered);
}

function currentLook({ colour, dashed }, { opacity }) {
  return { colour, dashed, opacity, cased: true };
}

function previewLook({ preview, current, options }) {
  const colour = preview.sign < 0 ? LEFT_OUT : options.previewColour;
  const isEditing = Boolean(current?.mask);
  return { colour, opacity: isEditing ? PREVIEW_OVER_CURRENT : PREVIEW_OPACITY, dashed: isEditing, cased: true };
}
