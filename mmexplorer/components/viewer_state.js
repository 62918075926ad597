// What the viewer knows: its nodes, what the visitor has chosen, and the value on show. The other viewer_*.js files and
// viewer.js follow in the same function, which runs once per component with Gradio's `element`, `props`, `trigger` and
// `watch`; it listens only inside its own element, so several viewers on a page do not meet.

const parts = {};
for (const node of element.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;

// first and last are the layers on show, both included.
const state = { word: 0, first: null, last: null, patch: null };
Object.assign(state, { smooth: true, shared: false, truth: true, sinks: true, opacity: 0.8 });
const over = { word: null, patch: null, layer: null }; // what the mouse is on, before it is kept by a click
let data = null;

const word = () => over.word ?? state.word;
const patch = () => over.patch ?? state.patch;
const number = (value) => (value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : value.toPrecision(3));
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));

function set(target, change) {
  Object.assign(target, change);
  draw();
}

function text(node, content) {
  if (node.textContent !== content) node.textContent = content;
}

function press(button, on) {
  button.setAttribute("aria-pressed", on);
}

// Labels are set as text, never as markup.
function make(tag, content, ...children) {
  const node = document.createElement(tag);
  if (content !== null) node.textContent = content;
  node.append(...children);
  return node;
}
