/** Making elements, shortly. */

/**
 * An element: el('button', {class: 'x', title: 'y', onclick: f}, child, 'text', ...). What is a function is a listener,
 * true is an empty attribute, false and null are left out.
 */
export function el(name, values = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(values)) {
    if (typeof value === 'function') element.addEventListener(key.replace(/^on/, ''), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Set the text only where it changed: screen readers, and layout, are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
