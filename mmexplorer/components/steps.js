// The five steps. The visitor chooses the label to follow; a new value starts at its winner.

const root = element.querySelector(".mm-steps");
const find = (selector) => root.querySelector(selector);
const radioName = uniqueName("follow");
let data = null, followed = 0;

// A vector as a strip of cells: sign by colour, size by opacity. One canvas pixel per number, stretched by CSS.
function barcode(values, peak) {
  const canvas = el("canvas", { class: "barcode", width: values.length, height: 1, "aria-hidden": true });
  const pen = canvas.getContext("2d"), { ink, accent } = theme;
  values.forEach((value, x) => {
    pen.fillStyle = rgb(value < 0 ? ink : accent, Math.min(1, Math.abs(value) / peak));
    pen.fillRect(x, 0, 1, 1);
  });
  return canvas;
}

const peakOf = (values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
const few = (values, digits) => Array.from(values.slice(0, 4), (v) => signed(v, digits)).join(", ");
const brackets = (value, digits) => (value < 0 ? `(${signed(value, digits)})` : signed(value, digits));

function vectorRow(name, values, peak, strong) {
  return el("div", { class: strong ? "vector followed" : "vector" }, el("span", { class: "label" }, name), barcode(values, peak),
    el("code", {}, `[${few(values, 3)}, …]`));
}

function stepPicture() {
  const { uri, size, patches: [rows, columns] } = data.picture, vector = data.image;
  return step("Encode the picture", [
    el("div", { class: "cut" },
      el("div", { class: "seen", "--rows": rows, "--columns": columns }, el("img", { src: uri, alt: `The picture as ${data.model} gets it` }), el("i", {})),
      el("div", { class: "grow" },
        el("p", {}, `${size[0]} × ${size[1]} pixels, cut into ${columns} × ${rows} = ${rows * columns} patches, become a vector of ${vector.length} numbers. Its length is made 1: only the direction counts.`),
        vectorRow("picture", vector, peakOf(vector), true))),
  ]);
}

function stepPrompts(label) {
  const more = data.templates.length - label.prompts.length;
  return step("Write the prompts", [
    el("p", {}, data.templates.length === 1
      ? "The label goes into the template."
      : `The label goes into each of ${data.templates.length} templates.`),
    el("ul", { class: "prompts" }, ...label.prompts.map((prompt, t) => el("li", {}, promptText(data.templates[t], label.label, prompt)))),
    more > 0 ? el("p", { class: "quiet" }, `and ${more} more`) : null,
  ]);
}

// The label inside its prompt is set apart where the template says that it stands there.
function promptText(template, label, prompt) {
  const [before, after] = template.split("{}");
  const node = el("q", {});
  if (after !== undefined && prompt === before + label + after) node.append(before, el("b", {}, label), after);
  else node.append(prompt);
  return node;
}

function stepTexts(label) {
  const peak = Math.max(...data.labels.map((other) => peakOf(other.vector)));
  return step("Encode the prompts", [
    el("p", {}, "Each prompt is split into tokens, and the tokens become a vector of the same kind",
      data.templates.length > 1 ? ". The vectors of a label's prompts are averaged into one." : "."),
    el("ul", { class: "tokens", "aria-label": "Tokens of the first prompt" }, ...label.tokens.map(({ text, kind }) =>
      el("li", { class: kind, title: { unknown: "unknown to this model", special: "marks an end of the text" }[kind] },
        text, kind === "unknown" ? el("span", { class: "unseen" }, " (unknown)") : null))),
    data.unknown.length ? el("p", { class: "quiet" }, `${data.model} does not know: ${data.unknown.join(", ")}.`) : null,
    ...data.labels.map((other) => vectorRow(other.label, other.vector, peak, other === label)),
  ]);
}

function stepCosines(label) {
  const products = data.image.map((value, d) => value * label.vector[d]);
  const terms = [0, 1, 2].map((d) => `${signed(data.image[d], 3)} × ${brackets(label.vector[d], 3)}`).join(" + ");
  return step("Compare: cosines", [
    el("p", {}, "Vectors of length 1: their cosine is the sum of the products, number by number."),
    vectorRow("picture", data.image, peakOf(data.image)),
    vectorRow(label.label, label.vector, peakOf(label.vector)),
    el("div", { class: "vector followed" }, el("span", { class: "label" }, "products"), barcode(products, peakOf(products)),
      el("code", {}, `sum = ${signed(label.cosine, 4)}`)),
    el("p", { class: "sum" }, el("code", {}, `${terms} + … (${data.image.length} terms) = ${signed(label.cosine, 4)}`)),
  ]);
}

function stepProbabilities(label) {
  const { scale, bias, activation, labels, others } = data, softmax = activation === "softmax";
  const highest = Math.max(...labels.map((other) => other.logit));
  const total = labels.reduce((sum, other) => sum + other.exponential, 0) + others.exponential;
  const heads = softmax ? ["label", "cosine", "logit", "exp(logit \u2212 highest)", "probability"] : ["label", "cosine", "logit", "probability"];
  const cells = (other) => [signed(other.cosine, 4), signed(other.logit, 3), ...(softmax ? [other.exponential.toFixed(4)] : []), percent(other.probability)];
  return step(softmax ? "Scale and softmax" : "Scale and sigmoid", [
    el("p", {}, `Each cosine is multiplied by the logit scale that ${data.model} learned, ${scale.toFixed(2)}. `,
      softmax ? "The softmax turns these logits into shares of 100 %." : "The sigmoid turns each logit into a probability of its own.",
      ` The highest one is the answer: \u201c${labels[0].label}\u201d.`),
    el("p", { class: "sum" }, el("code", {}, `logit = ${scale.toFixed(2)} × ${brackets(label.cosine, 4)}${biasText(bias)} = ${signed(label.logit, 3)}`)),
    el("p", { class: "sum" }, el("code", {}, softmax
      ? `probability = exp(${signed(label.logit, 3)} \u2212 ${brackets(highest, 3)}) / ${total.toFixed(4)} = ${label.exponential.toFixed(4)} / ${total.toFixed(4)} = ${percent(label.probability)}`
      : `probability = 1 / (1 + exp(${signed(-label.logit, 3)})) = ${percent(label.probability)}`)),
    el("div", { class: "scores", tabindex: 0, role: "region", "aria-label": "Logits and probabilities" }, el("table", {},
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {},
        ...labels.map((other, i) => el("tr", { class: [i === 0 ? "winner" : "", other === label ? "followed" : ""].join(" ").trim() },
          el("th", { scope: "row" }, other.label), ...cells(other).map((text) => el("td", {}, text)))),
        others.count ? el("tr", { class: "others" }, el("th", { scope: "row" }, `${others.count} more label${others.count > 1 ? "s" : ""}`), el("td", {}), el("td", {}),
          ...(softmax ? [el("td", {}, others.exponential.toFixed(4)), el("td", {}, percent(others.probability))] : [el("td", {})])) : null,
        softmax ? el("tr", { class: "total" }, el("th", { scope: "row" }, "sum"), el("td", {}), el("td", {}), el("td", {}, total.toFixed(4)), el("td", {}, "100\u00a0%")) : null))),
  ]);
}

function step(title, parts) {
  return el("li", {}, el("h4", {}, title), ...parts);
}

let theme = null;
function draw() {
  theme = themeOf(root);
  const label = data.labels[followed];
  find(".steps").replaceChildren(stepPicture(), stepPrompts(label), stepTexts(label), stepCosines(label), stepProbabilities(label));
}

function load() {
  const payload = props.value ? JSON.parse(props.value) : null;
  find(".empty").hidden = Boolean(payload);
  find(".filled").hidden = !payload;
  data = payload && {
    model: payload.model || "the model", picture: payload.picture, image: floats(payload.picture.vector),
    scale: payload.logit_scale, bias: payload.logit_bias, activation: payload.activation,
    templates: payload.templates, unknown: payload.unknown_words, others: payload.others,
    labels: payload.labels.map((label) => ({ ...label, vector: floats(label.vector) })),
  };
  if (!data) return;
  followed = 0;
  find(".follow").replaceChildren(...data.labels.map((label, i) => el("label", {},
    el("input", { type: "radio", name: radioName, value: i, checked: i === 0, onchange: () => { followed = i; draw(); } }),
    el("span", {}, label.label))));
  draw();
}

onThemeChange(root, () => { if (data) draw(); });
watch("value", load);
load();
