// The viewer of words against pixels: draws a value and its figures, and joins the pieces of viewer_*.js, which come
// before it in the same function.

const TOP_WORDS = 5;

// The figures for this word and these layers; which ones there are depends on the value alone, so nothing moves.
function facts() {
  const figures = [];
  if (data.hasShares) {
    const share = imageShare(word());
    figures.push([share === null ? "–" : percent(share), `of the ${data.quantity} fell on the image`]);
  }
  if (data.hasTruth) {
    const score = data.truth[word()] && truthScore(word());
    figures.push([score ? (score.hit ? "hit" : "miss") : "–", "pointing game: strongest patch on the object?"]);
    figures.push([score ? score.iou.toFixed(2) : "–", score ? "IoU with the object's mask" : "no mask for this word"]);
  }
  parts.facts.replaceChildren(
    ...figures.map(([figure, meaning]) => make("div", null, make("dt", meaning), make("dd", figure))),
  );
}

// Which words look most at the patch.
function ranking(at, values) {
  if (at === null) {
    text(parts["patch-title"], "Point at a patch of the picture to see which words look at it; click to keep it.");
    parts.ranking.replaceChildren();
    return;
  }
  const order = values.map((_, index) => index).sort((one, other) => values[other] - values[one]);
  const [row, column] = [Math.floor(at / data.columns) + 1, (at % data.columns) + 1];
  const measure = state.shared ? data.quantity : `share of each word's ${data.quantity}`;
  text(parts["patch-title"], `Patch in row ${row}, column ${column}: ${measure}`);
  parts.ranking.replaceChildren(
    ...order.slice(0, TOP_WORDS).map((index) => {
      const value = state.shared ? number(values[index]) : percent(values[index]);
      const item = make("li", null, inContext(index), make("i", ""), make("span", value));
      if (data.roles) item.dataset.role = data.roles[index];
      item.style.setProperty("--lit", values[index] / (values[order[0]] || 1));
      return item;
    }),
  );
}

// In flowing text, where words repeat, a word comes with the one before it.
function inContext(index) {
  const before = data.roles && data.roles[index] === data.roles[index - 1] ? `${data.words[index - 1]} ` : "";
  const label = make("span", null, ...(before ? [make("small", before)] : []), data.words[index]);
  label.title = before + data.words[index];
  return label;
}

function draw() {
  if (!data) return;
  const values = patch() === null ? null : looks(patch());
  drawPicture(scaleTop());
  drawWords(values);
  ranking(patch(), values);
  drawLayers();
  facts();
  press(parts.smooth, state.smooth);
  press(parts.raw, !state.smooth);
  press(parts.own, !state.shared);
  press(parts.shared, state.shared);
  press(parts["truth-toggle"], state.truth);
  press(parts["sinks-toggle"], state.sinks);
}

// ---- a new value

let left = {}; // the word that was chosen in the last conversation on show

function load() {
  if (data?.roles && data.words.length > 1) left = { words: data.words.join("|"), word: state.word };
  data = props.value ? JSON.parse(props.value) : null;
  if (data && !(data.words.length && data.layers.length)) data = null;
  parts.viewer.hidden = !data;
  parts.empty.hidden = Boolean(data);
  text(parts.empty, props.empty || "");
  Object.assign(over, { word: null, patch: null, layer: null });
  if (!data) return;
  decode();
  // A view of one word alone takes the others away for a while; then the chosen one comes back with them.
  if (data.roles && data.words.join("|") === left.words) state.word = left.word;
  state.word = data.word ?? (state.word < data.words.length ? state.word : 0);
  if (state.patch >= data.rows * data.columns) state.patch = null;
  loadPicture();
  loadWords();
  loadLayers();
  parts["truth-toggle"].hidden = !data.hasTruth;
  text(parts.hint, keysHint());
  text(parts.source, [data.method, data.model].filter(Boolean).join(" · "));
  text(parts.caveat, data.caveat);
  parts.notes.replaceChildren(...data.notes.map((note) => make("p", note)));
  draw();
  if (data.word !== undefined) reveal();
}

function keysHint() {
  const layers = data.layers.length < 2 ? "" : `, [ and ] the ${data.axis.toLowerCase()}`;
  return `Arrow keys change the word${layers}${isRange() ? "s, { and } how many" : ""}.`;
}

// ---- what the visitor does

element.addEventListener("keydown", (event) => {
  if (!data) return;
  if (event.key === "Escape") {
    over.patch = null;
    keepPatch(null);
    draw();
  } else if (event.key === "{" || event.key === "}") widenRange(event.key === "}" ? 1 : -1);
  else if (event.key === "[" || event.key === "]") moveRange(event.key === "]" ? 1 : -1);
});

parts.opacity.addEventListener("input", () => set(state, { opacity: parts.opacity.value / 100 }));
parts.smooth.addEventListener("click", () => set(state, { smooth: true }));
parts.raw.addEventListener("click", () => set(state, { smooth: false }));
parts.own.addEventListener("click", () => set(state, { shared: false }));
parts.shared.addEventListener("click", () => set(state, { shared: true }));
parts["truth-toggle"].addEventListener("click", () => set(state, { truth: !state.truth }));
parts["sinks-toggle"].addEventListener("click", () => set(state, { sinks: !state.sinks }));
parts.save.addEventListener("click", save);

parts.ramp.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(ramp.buffer), 256, 1), 0, 0);
parts.opacity.value = 100 * state.opacity;
watch("value", load);
load();
