/** The box that the stage's canvases lie in. */

/** A box over the whole element, below what it holds already. @param {HTMLElement} element @returns {HTMLElement} */
export function createFrame(element) {
  const frame = document.createElement('div');
  frame.setAttribute('aria-hidden', 'true');
  Object.assign(frame.style, { position: 'absolute', inset: '0', overflow: 'hidden', pointerEvents: 'none' });
  element.prepend(frame);
  return frame;
}

/**
 * Calls back when the element's size changes, or the device pixels per CSS pixel.
 * @param {HTMLElement} element
 * @param {() => void} changed
 * @returns {() => void} stops it
 */
export function watchSize(element, changed) {
  const observer = new ResizeObserver(changed);
  observer.observe(element);
  let screen = null;
  const watchScreen = () => {
    screen?.removeEventListener('change', watchScreen);
    if (screen) changed();
    screen = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    screen.addEventListener('change', watchScreen);
  };
  watchScreen();
  return () => {
    observer.disconnect();
    screen.removeEventListener('change', watchScreen);
  };
}
