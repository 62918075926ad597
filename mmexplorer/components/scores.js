// The score chart: what the visitor chose, and when which part is drawn again.
//
// `chosen` survives a new value. Logit scale and activation are null until the visitor moves them, so a new result
// starts with its model's own numbers unless somebody deliberately left them; `own` in the formula line says which.

const LOWEST = 1, HIGHEST = 200, FEW = 20;
const root = element.querySelector(".mm-scores");
const find = (selector) => root.querySelector(selector);
const chosen = { scale: null, activation: null, order: "score", measure: "probability", model: 0, picture: 0, all: false, filter: "" };
const chart = { root, chosen, data: null, theme: null };

chart.settings = (model) => ({
  scale: chosen.scale ?? model.scale,
  bias: model.bias,
  activation: chosen.activation ?? model.activation,
});
chart.probabilities = (model, cosines) => {
  const { scale, bias, activation } = chart.settings(model);
  return probabilitiesOf(cosines, scale, bias, activation);
};
chart.model = () => chart.data.models[chosen.model];

function parsed(text) {
  const payload = JSON.parse(text);
  const m = payload.labels.length, n = payload.pictures.length;
  const models = payload.models.map((model) => {
    const cosines = floats(model.cosines);
    const spread = model.template_cosines && floats(model.template_cosines);
    return {
      name: model.name, scale: model.logit_scale, bias: model.logit_bias,
      activation: model.activation, templates: model.templates,
      cosines: (i) => cosines.subarray(i * m, (i + 1) * m),
      spread: spread ? (t, i) => spread.subarray((t * n + i) * m, (t * n + i + 1) * m) : null,
      range: cosines.reduce(([low, high], c) => [Math.min(low, c), Math.max(high, c)], [Infinity, -Infinity]),
    };
  });
  return { labels: payload.labels, pictures: payload.pictures, remarks: payload.remarks, models };
}

// Indices of the labels on show. Order follows cosines: neither a scale nor an activation changes it, so rows never
// jump under a moving slider.
chart.visible = (score) => {
  const words = chosen.filter.trim().toLowerCase();
  const matching = [...chart.data.labels.keys()].filter((j) => chart.data.labels[j].toLowerCase().includes(words));
  const ranked = [...matching].sort((a, b) => score(b) - score(a) || a - b);
  const kept = chosen.all ? ranked : ranked.slice(0, FEW);
  return { matching: matching.length, labels: chosen.order === "typed" ? kept.sort((a, b) => a - b) : kept };
};

function load() {
  const previous = chart.data;
  chart.data = props.value ? parsed(props.value) : null;
  find(".empty").hidden = Boolean(chart.data);
  find(".filled").hidden = !chart.data;
  if (!chart.data) return;
  const { pictures, models, labels, remarks } = chart.data;
  // Equal pictures with other labels: the visitor stays at the picture that was being looked at.
  if (JSON.stringify(previous?.pictures) !== JSON.stringify(pictures)) chosen.picture = 0;
  if (previous?.models.map((m) => m.name).join() !== models.map((m) => m.name).join()) chosen.model = 0;
  if (labels.length <= FEW) { chosen.filter = ""; chosen.all = false; }
  find(".filter").value = chosen.filter;
  find(".remarks").replaceChildren(...remarks.map((remark) => el("li", {}, remark)));
  find("[data-file=matrix]").hidden = pictures.length < 2;
  chart.theme = themeOf(root);
  buildModelChoice();
  buildMarks();
  rebuild();
}

function rebuild() {
  buildNarrowing();
  buildMatrix(chart);
  buildBars(chart);
  refresh();
}

function refresh() {
  refreshControls();
  refreshMatrix(chart);
  refreshBars(chart);
  drawSpread(chart);
}

chart.select = (picture) => {
  chosen.picture = picture;
  buildBars(chart);
  refresh();
};

const fraction = (scale) => Math.min(1, Math.max(0, Math.log(scale / LOWEST) / Math.log(HIGHEST / LOWEST)));

function buildMarks() {
  const marks = [1, 10, 100, 200].map((scale) => el("span", { class: "tick", "--at": fraction(scale) }, String(scale)));
  const { models } = chart.data;
  for (const model of models) marks.push(el("span", { class: "own-mark", "--at": fraction(model.scale) }));
  if (models.length === 1)
    marks.push(el("span", { class: "own-name", "--at": fraction(models[0].scale) }, `model: ${scaleText(models[0].scale)}`));
  find(".marks").replaceChildren(...marks);
}

function buildModelChoice() {
  const box = find(".models"), { models } = chart.data;
  box.hidden = models.length < 2;
  box.replaceChildren(el("legend", {}, "Lead model"), ...models.map((model, k) =>
    el("label", {}, el("input", { type: "radio", name: radioNames.model, value: k }), el("span", {}, model.name))));
}

function buildNarrowing() {
  const { labels } = chart.data;
  find(".narrowing").hidden = labels.length <= FEW;
  const { matching } = chart.visible(() => 0);
  const shown = chosen.all ? matching : Math.min(FEW, matching);
  find(".shown").textContent = shown < matching
    ? `the ${shown} highest of ${matching.toLocaleString("en")} labels`
    : matching === labels.length ? `all ${matching.toLocaleString("en")} labels` : `${matching} of ${labels.length.toLocaleString("en")} labels`;
  const button = find(".all");
  button.textContent = chosen.all ? `Show ${FEW}` : "Show all";
  button.hidden = matching <= FEW;
}

function refreshControls() {
  const { models, pictures } = chart.data;
  const settings = models.map(chart.settings);
  const same = (key) => settings.every((s) => s[key] === settings[0][key]);
  const scale = chart.settings(chart.model()).scale;
  const slider = find(".scale-slider"), number = find(".scale-number");
  slider.value = fraction(scale);
  slider.setAttribute("aria-valuetext", same("scale") ? scaleText(scale) : "each model's own");
  if (document.activeElement !== number) number.value = same("scale") ? Number(scale.toPrecision(4)) : "";
  number.placeholder = "own";
  for (const [key, checked] of Object.entries({
    activation: same("activation") ? settings[0].activation : null,
    order: chosen.order, measure: chosen.measure, model: String(chosen.model),
  })) for (const input of find(`[data-choice=${key}]`).querySelectorAll("input")) input.checked = input.value === checked;
  find(".measure").hidden = pictures.length < 2 && !chart.model().spread;

  const changed = chosen.scale !== null || chosen.activation !== null;
  const reset = find(".reset");
  reset.disabled = !changed;
  reset.title = "Back to the logit scale and the activation that the model was trained with";
  const shownScale = same("scale") ? scaleText(scale) : "own scale";
  const bias = same("bias") ? biasText(settings[0].bias) : " + own bias";
  find(".formula code").textContent = !same("activation")
    ? `probability = softmax or sigmoid(${shownScale} × cosine)`
    : settings[0].activation === "softmax"
      ? `probability = softmax(${shownScale} × cosine)`
      : `probability = sigmoid(${shownScale} × cosine${bias})`;
  find(".own").textContent = changed ? "changed by you" : models.length === 1 ? "the model's own" : "each model's own";
  find(".own").classList.toggle("changed", changed);
  const uncalibrated = models.filter((m, k) => m.activation === "softmax" && settings[k].activation === "sigmoid");
  find(".caution").textContent = uncalibrated.length
    ? `Not calibrated: ${uncalibrated.map((m) => m.name).join(", ")} learned with softmax.` : "";
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; refresh(); });
}

const radioNames = {};
for (const box of root.querySelectorAll("[data-choice]")) {
  const key = box.dataset.choice;
  radioNames[key] = uniqueName(key);
  for (const input of box.querySelectorAll("input")) input.name = radioNames[key];
  box.addEventListener("change", (event) => {
    chosen[key] = key === "model" ? Number(event.target.value) : event.target.value;
    rebuild();
  });
}
find(".scale-slider").id = uniqueName("scale");
find(".scale-label").htmlFor = find(".scale-slider").id;
find(".scale-slider").addEventListener("input", (event) => {
  chosen.scale = LOWEST * (HIGHEST / LOWEST) ** Number(event.target.value);
  soon();
});
find(".scale-number").addEventListener("input", (event) => {
  const typed = Number(event.target.value);
  if (!(typed >= LOWEST && typed <= HIGHEST)) return;
  chosen.scale = typed;
  soon();
});
find(".scale-number").addEventListener("blur", refreshControls);
find(".reset").addEventListener("click", () => {
  chosen.scale = chosen.activation = null;
  refresh();
  find(".scale-slider").focus();
});
find(".filter").addEventListener("input", (event) => { chosen.filter = event.target.value; rebuild(); });
find(".all").addEventListener("click", () => { chosen.all = !chosen.all; rebuild(); });
for (const button of root.querySelectorAll("[data-file]"))
  button.addEventListener("click", () => exportScores(chart, button.dataset.file));

onThemeChange(root, () => { if (chart.data) { chart.theme = themeOf(root); refresh(); } });
watch("value", load);
load();
