export function start(element, root) { element.querySelector(".cm-app").textContent = "started"; }
