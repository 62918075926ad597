// The layers: one slider, or a range between two thumbs under a chart of what each layer's weight fell on. The heatmap
// is the mean over the range. Part of the same function as viewer.js.

const MOST_NAMES = 12; // under the chart

const ranges = new Map(); // the visitor's range, kept for each sequence of layers that was shown
const ends = [parts.from, parts.to];
let brushed = null; // the layer where a stroke over the chart began

const isRange = () => Boolean(data.range) && data.layers.length > 1;

function loadLayers() {
  const [ranged, count] = [isRange(), data.layers.length];
  parts["layer-row"].hidden = ranged || count < 2;
  parts.range.hidden = !ranged;
  parts.layer.max = count - 1;
  text(parts.axis, data.axis);
  over.layer = null;
  if (ranged) [state.first, state.last] = ranges.get(data.layers.join("|")) ?? data.range;
  else if (state.last === null || state.last >= count) state.first = state.last = data.layer;
  else state.first = state.last;
  parts.layers.classList.toggle("charted", ranged && Boolean(data.segments));
  parts.chart.toggleAttribute("hidden", !ranged || !data.segments);
  parts.range.style.setProperty("--count", count);
  for (const end of ends) end.max = count - 1;
  parts.chart.setAttribute("viewBox", `0 0 ${count} 1`);
  text(parts.usual, data.range ? `Default: ${rangeText(data.range)}` : "");
  loadNames();
  loadSegments();
}

// As many names under the chart as fit, the first always among them.
function loadNames() {
  const step = Math.ceil(data.layers.length / MOST_NAMES);
  const short = data.layers.every((name) => name.length < 4);
  parts.names.hidden = !isRange() || !short;
  parts.names.replaceChildren(
    ...data.layers.map((name, layer) => make("span", short && layer % step === 0 ? name : "")),
  );
}

// The image lies at the bottom, where columns can be compared.
function loadSegments() {
  parts.segments.hidden = !data.segments;
  if (!data.segments) return;
  const order = data.segments.names.map((_, segment) => segment);
  const place = (segment) => ["image", "question", "answer"].indexOf(data.segments.names[segment]) >>> 0;
  data.stack = order.sort((one, other) => place(one) - place(other));
  data.strokes = data.stack.map((segment) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.dataset.role = data.segments.names[segment];
    return path;
  });
  parts.columns.replaceChildren(...data.strokes);
  data.readings = data.stack.map(() => make("b", ""));
  parts.segments.replaceChildren(
    ...data.stack.map((segment, place) => {
      const name = data.segments.names[segment];
      const item = make("li", null, make("i", ""), make("span", name), data.readings[place]);
      item.dataset.role = name;
      return item;
    }),
  );
}

const rangeText = ([first, last]) =>
  first === last ? data.layers[first] : `${data.layers[first]}–${data.layers[last]}`;

// What the range is called, for a person and in the export.
function layersText() {
  const [first, last] = shownRange();
  return first === last ? `${data.axis} ${data.layers[first]}` : `${data.axis}s ${rangeText([first, last])}, mean`;
}

function drawLayers() {
  const [first, last] = shownRange();
  text(parts["layer-name"], data.layers[state.last]);
  parts.layer.value = state.last;
  parts.layer.setAttribute("aria-valuetext", data.layers[state.last]);
  if (isRange()) {
    const count = data.layers.length;
    text(parts["range-name"], layersText());
    const values = ends.map((end) => Number(end.value));
    // Thumbs may pass each other; they are set anew only when something else has moved the range.
    if (Math.min(...values) !== state.first || Math.max(...values) !== state.last) {
      [parts.from.value, parts.to.value] = [state.first, state.last];
    }
    for (const end of ends) end.setAttribute("aria-valuetext", data.layers[Number(end.value)]);
    parts.range.style.setProperty("--first", state.first);
    parts.range.style.setProperty("--last", state.last);
    press(parts.usual, state.first === data.range[0] && state.last === data.range[1]);
    press(parts.all, state.first === 0 && state.last === count - 1);
    for (const [veil, x, width] of [[parts.before, 0, first], [parts.after, last + 1, count - last - 1]]) {
      veil.setAttribute("x", x);
      veil.setAttribute("width", width);
    }
  }
  if (data.segments) drawSegments();
}

function drawSegments() {
  const below = new Float32Array(data.layers.length);
  data.strokes.forEach((path, place) => {
    let way = "";
    for (let layer = 0; layer < below.length; layer++) {
      const share = segmentShare([layer], word(), data.stack[place]);
      way += `M${layer + 0.08} ${1 - below[layer]}h.84v${-share}h-.84z`;
      below[layer] += share;
    }
    path.setAttribute("d", way);
  });
  const layers = shownLayers();
  data.readings.forEach((node, place) => text(node, percent(segmentShare(layers, word(), data.stack[place]))));
}

function setRange(first, last) {
  if (isRange()) ranges.set(data.layers.join("|"), [first, last]);
  set(state, { first, last });
}

// ---- what the visitor does

// A step through the layers: the range keeps its width, and stops at either end.
function moveRange(step) {
  const width = state.last - state.first;
  const first = Math.min(data.layers.length - 1 - width, Math.max(0, state.first + step));
  setRange(first, first + width);
}

function widenRange(step) {
  if (!isRange()) return;
  if (step < 0) setRange(state.first, Math.max(state.first, state.last - 1));
  else if (state.last < data.layers.length - 1) setRange(state.first, state.last + 1);
  else setRange(Math.max(0, state.first - 1), state.last);
}

parts.layer.addEventListener("input", () => setRange(Number(parts.layer.value), Number(parts.layer.value)));
for (const end of ends) {
  end.addEventListener("input", () => {
    const values = ends.map((one) => Number(one.value));
    setRange(Math.min(...values), Math.max(...values));
  });
}
parts.usual.addEventListener("click", () => setRange(...data.range));
parts.all.addEventListener("click", () => setRange(0, data.layers.length - 1));

// Pointing at a column shows its layer, a click keeps it, a stroke chooses a range.
function layerUnder(event) {
  const frame = parts.chart.getBoundingClientRect();
  return clamp(Math.floor(((event.clientX - frame.left) / frame.width) * data.layers.length), data.layers.length);
}

parts.chart.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  brushed = layerUnder(event);
  parts.chart.setPointerCapture(event.pointerId);
  over.layer = null;
  setRange(brushed, brushed);
});
parts.chart.addEventListener("pointermove", (event) => {
  const layer = layerUnder(event);
  if (brushed !== null) setRange(Math.min(brushed, layer), Math.max(brushed, layer));
  else if (event.pointerType === "mouse" && layer !== over.layer) set(over, { layer });
});
for (const name of ["pointerup", "pointercancel"]) parts.chart.addEventListener(name, () => (brushed = null));
parts.chart.addEventListener("pointerleave", () => over.layer !== null && set(over, { layer: null }));
