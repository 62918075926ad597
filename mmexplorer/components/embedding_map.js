// The embedding map: what the visitor chose, what is lit, and when which part is drawn again.
//
// Choices (colour, filters, modality, size) survive a new layout of the same points; another collection starts afresh.

const root = element.querySelector(".mm-map");
const markup = element.innerHTML;
const find = (selector) => root.querySelector(selector);
const nothing = () => ({ selected: null, points: [], query: null, label: "" });
// A page that was downloaded goes on with the choices it was saved with.
const kept = props.chosen ?? {};
const fresh = () => ({ colour: null, modality: "both", mode: "move", labels: true, contours: false, size: 1, ...kept, hidden: new Set(kept.hidden) });
const map = {
  root, find, stage: find(".stage"), plot: find(".plot"), over: find(".over"), card: find(".card"),
  chosen: fresh(), lit: nothing(), data: null, view: null, drawn: null, hovered: null, path: null, sheets: [],
  revision: 0, kind: null, cost: Infinity, fit: null, labels: null, flying: false, byKey: false,
};

// Many points or a small map: smaller points.
map.pointSize = () => {
  const room = Math.min(1.2, Math.max(0.65, Math.sqrt(map.stage.clientWidth * map.stage.clientHeight) / 740));
  return Math.min(9, Math.max(2.5, (36 / map.data.count ** 0.24) * room)) * map.chosen.size;
};

let overlayFrame = null;
map.overlaySoon = () => { overlayFrame ??= requestAnimationFrame(() => { overlayFrame = null; drawOverlay(map); }); };

let newest = 0;
async function load() {
  const number = ++newest, value = props.value;
  if (!value) { map.data = null; say(props.empty ?? ""); return; }
  try {
    const data = await unpackedMap(value);
    if (number === newest) await arrive(data);
  } catch (error) {
    if (number === newest) { map.data = null; say(`The map could not be drawn. ${error.message}`); }
  }
}

function say(sentence) {
  find(".empty").textContent = sentence;
  find(".empty").hidden = false;
  find(".filled").hidden = true;
}

async function arrive(data) {
  const before = map.data, same = samePoints(before, data), still = same && sameCoordinates(before, data);
  const land = same && !still && mayMorph(map, before, data) ? takeOff(map) : null;
  map.data = data;
  map.sheetUrls = props.sheet_urls ?? data.sheets.urls;
  if (!same) {
    const { mode } = map.chosen;
    Object.assign(map, { chosen: { ...fresh(), mode }, lit: wantedLit(), sheets: [], revision: map.revision + 1 });
  }
  if (!colourChoices(data).some(([key]) => key === map.chosen.colour)) Object.assign(map.chosen, { colour: defaultColour(data), hidden: new Set() });
  // Who asks for clusters wants to see them; a question that was placed in the old layout has no place in the new.
  if (same && data.clusters && !sameClusters(before, data)) Object.assign(map.chosen, { colour: "cluster", hidden: new Set() });
  if (same && !still) Object.assign(map.lit, { query: null, label: "" });
  map.hovered = null;
  hideCard(map);
  find(".empty").hidden = true;
  find(".filled").hidden = false;
  buildControls();
  if (!still) Object.assign(map, { view: null, fit: null, cost: Infinity });
  await recolour();
  await land?.();
}

// Everything that follows from the colours: legend, labels, points.
async function recolour() {
  map.theme = themeOf(root);
  map.colouring = colouringOf(map);
  await map.filtered();
}

map.filtered = () => {
  map.shown = shownPoints(map);
  map.labels = map.chosen.labels ? clusterLabels(map) : null;
  buildLegend(map);
  return draw();
};

// One drawing at a time; wishes that arrive meanwhile are met by the next.
let waiting = null, last = Promise.resolve();
function draw() {
  waiting ??= last = last.catch(() => {}).then(() => { waiting = null; return drawNow(); });
  return waiting;
}

async function drawNow() {
  // A hidden tab has no size; the observer below draws when it gets one.
  if (!map.data || !map.stage.clientWidth) return;
  if (!map.plotly) needWebGL();
  map.plotly ??= await loadPlotly(props.plotly_url);
  if (map.data.dimensions === 2) fitView();
  else map.view = null;
  await drawPoints(map);
  map.plot.style.opacity = dimmed();
  root.dataset.drawn = Number(root.dataset.drawn ?? 0) + 1;
  root.dataset.shown = map.shown.length;
  tellCounts();
}

// A map that changes its size shows the same part of the plane.
function fitView() {
  const whole = fittingView(map);
  map.view = map.view ? { ...map.view, scale: map.view.scale * (whole.scale / map.fit) } : whole;
  map.fit = whole.scale;
}

function needWebGL() {
  const context = document.createElement("canvas").getContext("webgl");
  if (!context) throw new Error("The map needs WebGL, which this browser does not offer or has switched off.");
  context.getExtension("WEBGL_lose_context")?.loseContext();
}

const dimmed = () => (map.data?.dimensions === 2 && map.lit.points.length ? 0.4 : 1);

function tellCounts() {
  const { data, shown, lit } = map, captions = shown.filter((p) => data.isCaption(p)).length;
  const parts = [[shown.length - captions, "picture"], [captions, "caption"]].filter(([count]) => count);
  const text = parts.map(([count, name]) => `${countText(count)} ${name}${count === 1 ? "" : "s"}`).join(" and ") || "nothing";
  find(".said").textContent = `${text} shown${lit.points.length ? `, ${countText(lit.points.length)} lit` : ""}`;
  find(".clear").hidden = !lit.points.length && lit.selected === null && !lit.query;
}

function showLit() {
  if (!map.data || !map.kind) return;
  map.plot.style.opacity = dimmed();
  if (map.data.dimensions === 3) relightScene(map);
  drawOverlay(map);
  tellCounts();
}

// What the server wants lit: neighbours of a point, answers to a query.
function wantedLit() {
  const wanted = props.highlight ? JSON.parse(props.highlight) : {};
  const known = (p) => Number.isInteger(p) && p >= 0 && p < (map.data?.count ?? 0);
  return {
    selected: known(wanted.selected) ? wanted.selected : null, points: (wanted.lit ?? []).filter(known),
    query: wanted.query ?? null, label: wanted.label ?? "",
  };
}

map.choose = (point) => {
  map.lit = { ...map.lit, selected: point };
  showLit();
  trigger("select", { index: point, value: map.data.nameOf(point) });
};

map.take = (points) => {
  map.lit = { ...nothing(), points };
  showLit();
  trigger("lasso", { indices: points });
};

map.clear = () => {
  hideCard(map);
  map.hovered = null;
  map.take([]);
};

function buildControls() {
  const { data, chosen } = map, flat = data.dimensions === 2, both = data.count > data.pictures;
  find(".colour").replaceChildren(...colourChoices(data).map(([key, name]) => el("option", { value: key }, name)));
  find(".colour").value = chosen.colour;
  find(".about").textContent = data.about;
  find("[data-choice=modality]").hidden = !both;
  find("[data-choice=mode]").hidden = !flat;
  find(".with-labels").hidden = !data.clusters;
  find(".with-contours").hidden = !flat || !data.density.some(Boolean);
  find(".labels").checked = chosen.labels;
  find(".contours").checked = chosen.contours;
  find(".size").value = Math.log2(chosen.size);
  for (const key of ["modality", "mode"])
    for (const input of find(`[data-choice=${key}]`).querySelectorAll("input")) input.checked = input.value === chosen[key];
  showMode();
  map.stage.setAttribute("aria-label", `Map of ${countText(data.count)} points, ${data.about}`);
}

function showMode() {
  map.stage.dataset.mode = map.data.dimensions === 2 ? map.chosen.mode : "orbit";
}

for (const box of root.querySelectorAll("[data-choice]")) {
  const key = box.dataset.choice, name = uniqueName(key);
  for (const input of box.querySelectorAll("input")) input.name = name;
  box.addEventListener("change", (event) => {
    map.chosen[key] = event.target.value;
    key === "mode" ? showMode() : map.filtered();
  });
}
find(".colour").addEventListener("change", (event) => {
  Object.assign(map.chosen, { colour: event.target.value, hidden: new Set() });
  recolour();
});
find(".labels").addEventListener("change", (event) => { map.chosen.labels = event.target.checked; map.filtered(); });
find(".contours").addEventListener("change", (event) => { map.chosen.contours = event.target.checked; draw(); });
find(".size").addEventListener("change", (event) => { map.chosen.size = 2 ** Number(event.target.value); draw(); });
find(".closer").addEventListener("click", () => magnify(map, 1.6));
find(".farther").addEventListener("click", () => magnify(map, 1 / 1.6));
find(".reset").addEventListener("click", () => resetView(map));
find(".clear").addEventListener("click", () => { map.clear(); map.stage.focus(); });
find(".png").addEventListener("click", () => exportPicture(map));
find(".page").addEventListener("click", () => exportPage(map, markup));
find(".page").hidden = !props.page_css;
find(".fullscreen").hidden = !document.fullscreenEnabled;
find(".fullscreen").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()));
find(".help").id = uniqueName("map-help");
map.stage.setAttribute("aria-describedby", find(".help").id);

followPointers(map);
followScene(map);
followKeys(map);
new ResizeObserver(() => { hideCard(map); draw(); }).observe(map.stage);
onThemeChange(root, () => { if (map.data) recolour(); });
watch("value", load);
watch("highlight", () => { map.lit = wantedLit(); showLit(); });
load();
