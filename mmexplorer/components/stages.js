// The stages from prompt to picture: a row of boxes with arrows between them. Every number is the payload's.

const root = element.querySelector(".mm-stages");
const find = (selector) => root.querySelector(selector);

const secondsText = (seconds) => (seconds < 0.9995 ? `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms` : `${seconds.toFixed(1)} s`);

// A number in millions or billions once it has so many digits that nobody reads them.
function countText(count) {
  for (const [size, letter] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]])
    if (count >= size) return `${Number((count / size).toPrecision(3))}\u00a0${letter}`;
  return String(count);
}

function chipNodes({ shown, more }) {
  const titles = { unknown: "unknown to this model", special: "marks an end of the text" };
  return el("ul", { class: "chips", "aria-label": "Tokens" },
    ...shown.map(({ text, kind }) => el("li", { class: kind, title: titles[kind] ?? text }, text)),
    more ? el("li", { class: "more" }, `and ${more} more`) : null);
}

function pictureNode(stage) {
  const image = el("img", { alt: `The ${stage.name} of this drawing`, draggable: "false" });
  image.addEventListener("load", () => image.classList.toggle("exact", Math.max(image.naturalWidth, image.naturalHeight) <= 128));
  image.src = stage.picture;
  return el("div", { class: "picture" }, image);
}

function costNode({ parameters, seconds, share }) {
  return el("div", { class: "cost" },
    parameters ? el("span", { title: parameters.toLocaleString("en") }, el("b", {}, countText(parameters)), " parameters") : null,
    seconds === null ? null : el("span", {}, el("b", {}, secondsText(seconds)), share === null ? "" : `, ${percent(share)} of the time`),
    share === null ? null : el("span", { class: "track", "aria-hidden": "true" }, el("i", { "--share": share })));
}

function box(stage, next, tokens) {
  const mark = next ? (next.joined ? "+" : "→") : null;
  return el("li", { class: "box", "data-to": mark },
    el("h4", {}, stage.name[0].toUpperCase() + stage.name.slice(1)),
    stage.picture ? pictureNode(stage) : null,
    stage.shape ? el("p", { class: "shape" }, stage.shape) : null,
    stage.name === "tokens" && tokens.shown.length ? chipNodes(tokens) : null,
    stage.does ? el("p", { class: "does" }, stage.does) : null,
    stage.note ? el("p", { class: "note" }, stage.note) : null,
    stage.parameters || stage.seconds !== null ? costNode(stage) : null);
}

function load() {
  const payload = props.value ? JSON.parse(props.value) : null;
  const data = payload?.stages.length ? payload : null;
  find(".empty").textContent = props.empty;
  find(".empty").hidden = Boolean(data);
  find(".filled").hidden = !data;
  if (!data) return;
  const parameters = data.stages.reduce((sum, stage) => sum + stage.parameters, 0);
  find(".summary").textContent = `${data.model || "The model"}: ${countText(parameters)} parameters drew this picture in ${secondsText(data.seconds)}.`;
  find(".boxes").replaceChildren(...data.stages.map((stage, i) => box(stage, data.stages[i + 1], data.tokens)));
}

watch("value", load);
load();
