// The logit lens. A patch is shown by pointing and kept by a click; a word of the list lights the patches that say it.

const FREQUENT = 12;
const READABLE = 32; // pixels that a patch must be wide for a word inside it

const root = element.querySelector(".mm-lens");
const find = (selector) => root.querySelector(selector);
const stage = find(".stage"), slider = find(".slide input");
const state = { layer: null, patch: null, word: null, written: true };
let data = null, over = null, cells = [], lines = [];

// ---- values

const at = (layer, patch, place) => (layer * data.rows * data.columns + patch) * data.top + place;
const wordAt = (layer, patch, place = 0) => data.words[at(layer, patch, place)];
const chanceAt = (layer, patch, place = 0) => data.probabilities[at(layer, patch, place)];
const patches = () => Array.from({ length: data.rows * data.columns }, (_, patch) => patch);
const placeText = (patch) => `row ${Math.floor(patch / data.columns) + 1}, column ${(patch % data.columns) + 1}`;

// The layer's nearest words with the number of patches that say them, the most frequent first.
function frequent() {
  const counts = new Map();
  for (const patch of patches()) counts.set(wordAt(state.layer, patch), (counts.get(wordAt(state.layer, patch)) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1]);
}

// ---- drawing

function drawCells() {
  cells.forEach((cell, patch) => {
    const word = wordAt(state.layer, patch);
    cell.firstChild.textContent = data.table[word];
    cell.style.setProperty("--p", chanceAt(state.layer, patch));
    cell.classList.toggle("lit", word === state.word);
    cell.classList.toggle("here", patch === (over ?? state.patch));
  });
}

function drawFrequent() {
  const all = frequent(), shown = all.slice(0, FREQUENT);
  if (state.word !== null && !shown.some(([word]) => word === state.word))
    shown.push([state.word, all.find(([word]) => word === state.word)?.[1] ?? 0]);
  const focused = find(".frequent").contains(document.activeElement) ? document.activeElement.dataset.word : null;
  find(".frequent").replaceChildren(...shown.map(([word, count]) => el("button", {
    type: "button", "data-word": word, "aria-pressed": String(word === state.word), title: data.table[word],
    onclick: () => set({ word: state.word === word ? null : word }),
  }, el("span", {}, data.table[word]), el("small", {}, count))));
  if (all.length > FREQUENT) find(".frequent").append(el("small", { class: "quiet" }, `and ${all.length - FREQUENT} more`));
  if (focused !== null) find(`.frequent [data-word="${focused}"]`)?.focus();
}

function drawTable() {
  const patch = over ?? state.patch;
  find(".scroll").hidden = patch === null;
  find(".patch-title").textContent = patch === null
    ? "Point at a patch to see its nearest words in every layer; click to keep it."
    : `Patch in ${placeText(patch)}: its ${data.top} nearest words in every layer.`;
  if (patch === null) return;
  lines.forEach(({ row, entries }, layer) => {
    row.classList.toggle("now", layer === state.layer);
    entries.forEach(({ entry, name, chance }, place) => {
      const word = wordAt(layer, patch, place), text = data.table[word], p = chanceAt(layer, patch, place);
      entry.classList.toggle("lit", word === state.word);
      entry.style.setProperty("--p", p);
      entry.title = text;
      name.data = text;
      chance.data = percent(p);
    });
  });
}

// The table's rows, whose texts then change from patch to patch.
function tableLines() {
  return data.layers.map((layerName, layer) => {
    const entries = Array.from({ length: data.top }, () => {
      const [name, chance] = [new Text(), new Text()];
      return { name, chance, entry: el("td", {}, el("span", {}, name), el("small", {}, chance)) };
    });
    const row = el("tr", { onclick: () => set({ layer }) },
      el("th", { scope: "row", title: layerName }, layerName), ...entries.map(({ entry }) => entry));
    return { row, entries };
  });
}

function draw() {
  drawCells();
  drawFrequent();
  drawTable();
  slider.value = state.layer;
  slider.setAttribute("aria-valuetext", data.layers[state.layer]);
  find("output").textContent = data.layers[state.layer];
}

function set(change) {
  Object.assign(state, change);
  draw();
}

function point(patch) {
  if (patch === over) return;
  cells[over ?? state.patch]?.classList.remove("here");
  over = patch;
  cells[over ?? state.patch]?.classList.add("here");
  drawTable();
}

// Words are written into patches that have room for them.
function fit() {
  if (!data || !stage.offsetWidth) return;
  const wide = (stage.offsetWidth * (data.box[2] - data.box[0])) / data.columns;
  find(".words-toggle").hidden = wide < READABLE;
  const written = wide >= READABLE && state.written;
  find(".cells").classList.toggle("written", written);
  find(".legend span").textContent = written ? "White bar: the word's probability." : "The darker a patch, the less likely its nearest word.";
  find(".cells").style.setProperty("--size", `${Math.min(14, Math.max(9.5, wide / 5))}px`);
}

// ---- what the visitor does

function patchUnder(event) {
  const frame = stage.getBoundingClientRect(), [left, top, right, bottom] = data.box;
  const x = ((event.clientX - frame.left) / frame.width - left) / (right - left);
  const y = ((event.clientY - frame.top) / frame.height - top) / (bottom - top);
  if (x < 0 || x >= 1 || y < 0 || y >= 1) return null;
  return Math.floor(y * data.rows) * data.columns + Math.floor(x * data.columns);
}

const clamp = (value, count) => Math.min(count - 1, Math.max(0, value));

stage.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") point(patchUnder(event)); });
stage.addEventListener("pointerleave", () => point(null));
stage.addEventListener("click", (event) => {
  const patch = patchUnder(event);
  set({ patch: patch === state.patch ? null : patch });
});
stage.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!move || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  over = null;
  const { rows, columns } = data, from = state.patch;
  set({
    patch: from === null
      ? Math.floor(rows / 2) * columns + Math.floor(columns / 2)
      : clamp(Math.floor(from / columns) + move[0], rows) * columns + clamp((from % columns) + move[1], columns),
  });
});
element.addEventListener("keydown", (event) => {
  if (!data) return;
  if (event.key === "Escape") { over = null; set({ patch: null, word: null }); }
  if (event.key === "[" || event.key === "]") set({ layer: clamp(state.layer + (event.key === "]" ? 1 : -1), data.layers.length) });
});
slider.addEventListener("input", () => set({ layer: Number(slider.value) }));
find(".words-toggle").addEventListener("click", () => {
  state.written = !state.written;
  find(".words-toggle").setAttribute("aria-pressed", state.written);
  fit();
});
new ResizeObserver(fit).observe(stage);

// ---- a new value

function load() {
  const layersBefore = data?.layers.length;
  data = props.value ? JSON.parse(props.value) : null;
  find(".empty").textContent = props.empty;
  find(".empty").hidden = Boolean(data);
  find(".filled").hidden = !data;
  if (!data) return;
  data.words = floats(data.words);
  data.probabilities = floats(data.probabilities);
  const [left, top, right, bottom] = data.box.map((edge) => `${100 * edge}%`);
  find(".picture").src = data.picture;
  stage.classList.toggle("pixelated", data.pixelated);
  stage.style.setProperty("--ratio", data.width / data.height);
  find(".hatch").style.clipPath = `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ${left} ${top}, ${right} ${top}, ${right} ${bottom}, ${left} ${bottom}, ${left} ${top})`;
  const box = find(".cells");
  Object.assign(box.style, { left, top, width: `calc(${right} - ${left})`, height: `calc(${bottom} - ${top})` });
  box.style.setProperty("--rows", data.rows);
  box.style.setProperty("--columns", data.columns);
  cells = patches().map(() => el("div", {}, el("span", {})));
  box.replaceChildren(...cells);
  lines = tableLines();
  find("table").replaceChildren(el("tbody", {}, ...lines.map(({ row }) => row)));
  slider.max = data.layers.length - 1;
  find(".slide").hidden = data.layers.length < 2;
  if (data.layers.length !== layersBefore) state.layer = data.layer;
  if (state.patch >= cells.length) state.patch = null;
  state.word = over = null; // another table has other numbers
  draw();
  fit();
}

watch("value", load);
load();
