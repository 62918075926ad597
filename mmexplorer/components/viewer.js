// The viewer of words against pixels. Runs once per component, with Gradio's `element`, `props` and `watch`; listens
// only inside its own element, so several viewers on a page do not meet. Labels are set as text, never as markup.
// `ramp` and `paint` come from heatmap.js, `save` from viewer_export.js.

const TOP_WORDS = 5;

const parts = {};
for (const node of element.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;

const state = { word: 0, layer: null, patch: null, smooth: true, shared: false, truth: true, opacity: 0.8 };
const over = { word: null, patch: null }; // what the mouse is on, before it is kept by a click
let data = null;

// ---- values

const word = () => over.word ?? state.word;
const patch = () => over.patch ?? state.patch;
const number = (value) => (value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : value.toPrecision(3));
const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;

function cells(layer, index) {
  const size = data.rows * data.columns;
  const start = (layer * data.words.length + index) * size;
  return data.bytes.subarray(start, start + size);
}

function scaleTop() {
  return state.shared ? Math.max(...data.peaks[state.layer]) : data.peaks[state.layer][word()];
}

// How much each word looks at one patch: the patch's part of the word's own map, or the bare value on a shared scale.
function looks(at) {
  return data.words.map((_, index) => {
    const map = cells(state.layer, index);
    if (state.shared) return (map[at] * data.peaks[state.layer][index]) / 255;
    return map[at] / (data.sums[state.layer * data.words.length + index] || 1);
  });
}

// ---- drawing

// Where a patch lies, in fractions of the picture.
function patchBox(at) {
  const [left, top, right, bottom] = data.box;
  const [width, height] = [(right - left) / data.columns, (bottom - top) / data.rows];
  return { x: left + (at % data.columns) * width, y: top + Math.floor(at / data.columns) * height, width, height };
}

// Repaint only when the map changes: pointing at patches leaves it as it is.
function heat(top) {
  const look = [state.layer, word(), state.smooth, top].join();
  if (look === data.look) return;
  data.look = look;
  const gain = top > 0 ? data.peaks[state.layer][word()] / top : 0;
  paint(parts.heat, cells(state.layer, word()), data.rows, data.columns, gain, state.smooth);
}

function text(node, content) {
  if (node.textContent !== content) node.textContent = content;
}

function press(button, on) {
  button.setAttribute("aria-pressed", on);
}

function make(tag, content, ...children) {
  const node = document.createElement(tag);
  if (content !== null) node.textContent = content;
  node.append(...children);
  return node;
}

// The figures for this word and layer; which ones there are depends on the value alone, so nothing moves.
function facts() {
  const figures = [];
  if (data.hasShares) {
    const share = data.shares[state.layer][word()];
    figures.push([share === null ? "–" : percent(share), `of the ${data.quantity} fell on the image`]);
  }
  if (data.hasTruth) {
    const truth = data.truth[word()];
    const hit = truth?.hits[state.layer];
    figures.push([truth ? (hit ? "hit" : "miss") : "–", "pointing game: strongest patch on the object?"]);
    figures.push([truth ? truth.ious[state.layer].toFixed(2) : "–", truth ? "IoU with the object's mask" : "no mask for this word"]);
  }
  parts.facts.replaceChildren(
    ...figures.map(([figure, meaning]) => make("div", null, make("dt", meaning), make("dd", figure))),
  );
}

function ranking(at, values) {
  const order = values.map((_, index) => index).sort((one, other) => values[other] - values[one]);
  const [row, column] = [Math.floor(at / data.columns) + 1, (at % data.columns) + 1];
  const measure = state.shared ? data.quantity : `share of each word's ${data.quantity}`;
  text(parts["patch-title"], `Patch in row ${row}, column ${column}: ${measure}`);
  parts.ranking.replaceChildren(
    ...order.slice(0, TOP_WORDS).map((index) => {
      const value = state.shared ? number(values[index]) : percent(values[index]);
      const item = make("li", null, make("span", data.words[index]), make("i", ""), make("span", value));
      item.style.setProperty("--lit", values[index] / (values[order[0]] || 1));
      return item;
    }),
  );
}

function draw() {
  if (!data) return;
  const top = scaleTop();
  heat(top);
  parts.heat.style.opacity = state.opacity;
  parts.heat.classList.toggle("raw", !state.smooth);
  const at = patch();
  const values = at === null ? null : looks(at);
  const most = values ? Math.max(...values) || 1 : 1;
  data.chips.forEach((chip, index) => {
    chip.setAttribute("aria-selected", index === state.word);
    chip.tabIndex = index === state.word ? 0 : -1;
    chip.classList.toggle("shown", index === word());
    chip.style.setProperty("--lit", values ? values[index] / most : 0);
  });
  parts.patch.toggleAttribute("hidden", at === null);
  if (!values) {
    text(parts["patch-title"], "Point at a patch of the picture to see which words look at it; click to keep it.");
    parts.ranking.replaceChildren();
  } else {
    ranking(at, values);
    const box = patchBox(at);
    for (const rect of parts.patch.children) for (const key in box) rect.setAttribute(key, box[key]);
  }
  const truth = data.truth[word()];
  parts.truth.toggleAttribute("hidden", !truth || !state.truth);
  if (truth) {
    parts.truth.setAttribute("transform", `scale(${1 / truth.size[0]} ${1 / truth.size[1]})`);
    for (const path of parts.truth.children) path.setAttribute("d", truth.outline);
  }
  facts();
  text(parts.top, number(top));
  text(parts["layer-name"], data.layers[state.layer]);
  parts.layer.value = state.layer;
  parts.layer.setAttribute("aria-valuetext", data.layers[state.layer]);
  press(parts.smooth, state.smooth);
  press(parts.raw, !state.smooth);
  press(parts.own, !state.shared);
  press(parts.shared, state.shared);
  press(parts["truth-toggle"], state.truth);
}

// ---- a new value

function load() {
  data = props.value ? JSON.parse(props.value) : null;
  if (data && !(data.words.length && data.layers.length)) data = null;
  parts.viewer.hidden = !data;
  parts.empty.hidden = Boolean(data);
  text(parts.empty, props.empty || "");
  Object.assign(over, { word: null, patch: null });
  if (!data) return;
  data.bytes = Uint8Array.from(atob(data.maps), (character) => character.charCodeAt(0));
  data.sums = Array.from({ length: data.layers.length * data.words.length }, (_, index) =>
    cells(0, index).reduce((sum, value) => sum + value, 0),
  );
  data.hasShares = data.shares.flat().some((share) => share !== null);
  data.hasTruth = data.truth.some(Boolean);
  if (state.word >= data.words.length) state.word = 0;
  if (state.layer === null || state.layer >= data.layers.length) state.layer = data.layer;
  if (state.patch >= data.rows * data.columns) state.patch = null;
  parts.picture.src = data.picture;
  parts.stage.classList.toggle("pixelated", data.pixelated);
  parts.stage.style.setProperty("--ratio", data.width / data.height);
  const [left, top, right, bottom] = data.box.map((edge) => `${100 * edge}%`);
  const [width, height] = [data.box[2] - data.box[0], data.box[3] - data.box[1]].map((side) => `${100 * side}%`);
  Object.assign(parts.heat.style, { left, top, width, height });
  parts.hatch.style.clipPath =
    `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ` +
    `${left} ${top}, ${right} ${top}, ${right} ${bottom}, ${left} ${bottom}, ${left} ${top})`;
  data.chips = data.words.map(chip);
  parts.chips.replaceChildren(...data.chips);
  parts["layer-row"].hidden = data.layers.length < 2;
  parts.layer.max = data.layers.length - 1;
  text(parts.axis, data.axis);
  parts["truth-toggle"].hidden = !data.hasTruth;
  const keys = data.layers.length < 2 ? "" : `, [ and ] the ${data.axis.toLowerCase()}`;
  text(parts.hint, `Arrow keys change the word${keys}.`);
  text(parts.source, [data.method, data.model].filter(Boolean).join(" · "));
  text(parts.caveat, data.caveat);
  parts.notes.replaceChildren(...data.notes.map((note) => make("p", note)));
  draw();
}

function chip(label, index) {
  const node = make("div", null, make("span", label));
  node.className = "chip";
  node.setAttribute("role", "option");
  const score = data.scores?.[index];
  if (typeof score === "number") {
    const value = make("small", score.toFixed(3));
    value.title = data.score_name;
    node.append(value);
  }
  node.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && set(over, { word: index }));
  node.addEventListener("pointerleave", () => set(over, { word: null }));
  node.addEventListener("click", () => set(state, { word: index }));
  return node;
}

// ---- what the visitor does

function set(target, change) {
  Object.assign(target, change);
  draw();
}

const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));

parts.chips.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };
  if (!(event.key in steps)) return;
  event.preventDefault();
  over.word = null;
  set(state, { word: clamp(state.word + steps[event.key], data.words.length) });
  data.chips[state.word].focus();
});

function patchUnder(event) {
  const frame = parts.stage.getBoundingClientRect();
  const [left, top, right, bottom] = data.box;
  const x = ((event.clientX - frame.left) / frame.width - left) / (right - left);
  const y = ((event.clientY - frame.top) / frame.height - top) / (bottom - top);
  if (x < 0 || x >= 1 || y < 0 || y >= 1) return null;
  return Math.floor(y * data.rows) * data.columns + Math.floor(x * data.columns);
}

parts.stage.addEventListener("pointermove", (event) => {
  const at = patchUnder(event);
  if (event.pointerType === "mouse" && at !== over.patch) set(over, { patch: at });
});
parts.stage.addEventListener("pointerleave", () => set(over, { patch: null }));
parts.stage.addEventListener("click", (event) => {
  const at = patchUnder(event);
  set(state, { patch: at === state.patch ? null : at });
});
parts.stage.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!move) return;
  event.preventDefault();
  over.patch = null;
  if (state.patch === null) {
    const map = cells(state.layer, word());
    set(state, { patch: map.indexOf(Math.max(...map)) }); // begin where the word looks most
    return;
  }
  const row = clamp(Math.floor(state.patch / data.columns) + move[0], data.rows);
  const column = clamp((state.patch % data.columns) + move[1], data.columns);
  set(state, { patch: row * data.columns + column });
});

element.addEventListener("keydown", (event) => {
  if (!data) return;
  if (event.key === "Escape") {
    over.patch = null;
    set(state, { patch: null });
  } else if (event.key === "[" || event.key === "]") {
    set(state, { layer: clamp(state.layer + (event.key === "]" ? 1 : -1), data.layers.length) });
  }
});

parts.layer.addEventListener("input", () => set(state, { layer: Number(parts.layer.value) }));
parts.opacity.addEventListener("input", () => set(state, { opacity: parts.opacity.value / 100 }));
parts.smooth.addEventListener("click", () => set(state, { smooth: true }));
parts.raw.addEventListener("click", () => set(state, { smooth: false }));
parts.own.addEventListener("click", () => set(state, { shared: false }));
parts.shared.addEventListener("click", () => set(state, { shared: true }));
parts["truth-toggle"].addEventListener("click", () => set(state, { truth: !state.truth }));
parts.save.addEventListener("click", save);

parts.ramp.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(ramp.buffer), 256, 1), 0, 0);
parts.opacity.value = 100 * state.opacity;
watch("value", load);
load();
