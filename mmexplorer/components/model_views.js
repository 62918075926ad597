// What the model sees of each picture. Every number in the sentences is counted from the payload.

const root = element.querySelector(".mm-model-views");
const find = (selector) => root.querySelector(selector);
const thousands = (count) => count.toLocaleString("en");
const some = (count, thing) => `${thousands(count)} ${thing}${count === 1 ? "" : "s"}`;
const sizeText = ([width, height]) => `${thousands(width)} × ${thousands(height)} pixels`;
const gridText = ([rows, columns]) => `${rows}\u00a0×\u00a0${columns}`;

function viewNode(view, name) {
  const [rows, columns] = view.patches;
  return el("div", { class: view.exact ? "view exact" : "view", "--rows": rows, "--columns": columns, "--ratio": view.size[0] / view.size[1] },
    el("img", { src: view.uri, alt: name, draggable: "false" }), el("i", { class: "patches" }));
}

function figure(title, picture, ...sentences) {
  return el("figure", {}, picture, el("figcaption", {}, el("b", {}, title), el("span", {}, sentences.filter(Boolean).join(" "))));
}

// The picture itself; what lies outside the box never reaches the model.
function original({ uri, size, box, seen }) {
  const [left, top, right, bottom] = box.map((edge) => `${100 * edge}%`);
  const hatch = el("i", { class: "hatch", hidden: seen >= 1 });
  hatch.style.clipPath = `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ${left} ${top}, ${right} ${top}, ${right} ${bottom}, ${left} ${bottom}, ${left} ${top})`;
  return figure("The picture",
    el("div", { class: Math.max(...size) <= 128 ? "view exact" : "view", "--ratio": size[0] / size[1] },
      el("img", { src: uri, alt: "The picture as it was given", draggable: "false" }), hatch),
    `${sizeText(size)}.`,
    seen >= 1 ? "Nothing is cut off." : `Hatched: ${percent(1 - seen)} cut off before the model sees it.`);
}

function baseView({ base, tokens, tiles }) {
  if (!base) return null;
  return figure(tiles ? "Base view" : "As fed",
    el("div", { class: "cells" }, viewNode(base, tiles ? "The whole picture as the model gets it" : "The picture as the model gets it")),
    tiles ? "The whole picture, squashed." : null,
    `${sizeText(base.size)}, ${gridText(base.patches)} patches, ${some(tokens.base, "token")}`
      + `${!tiles && tokens.newline ? ` and ${some(tokens.newline, "newline token")}` : ""}.`);
}

function tileViews({ tiles, tokens }) {
  if (!tiles?.views.length) return null;
  const { rows, columns, grid, views } = tiles, [down, across] = views[0].patches;
  const all = [rows * down, columns * across];
  const left = grid[0] * grid[1] === all[0] * all[1]
    ? `${gridText(all)} patches, ${some(tokens.tile, "token")}`
    : `${gridText(all)} patches, kept as ${gridText(grid)} = ${some(tokens.tile, "token")} without padding`;
  return figure(`${some(views.length, "tile")}`,
    el("div", { class: "cells", "--across": columns }, ...views.map((view, i) =>
      viewNode(view, `Tile in row ${Math.floor(i / columns) + 1}, column ${(i % columns) + 1}`))),
    `${gridText([rows, columns])} tiles of ${sizeText(views[0].size)}: ${left}`
      + `${tokens.newline ? `, and ${some(tokens.newline, "newline token")}, one after each row of tokens` : ""}.`);
}

function pictureNode(picture, index, count) {
  const { tokens } = picture;
  const sum = tokens.base + tokens.tile + tokens.newline;
  return el("li", {},
    el("h4", {}, count > 1 ? `Picture ${index + 1}: ` : "", `${some(sum, "image token")}`,
      el("small", {}, `positions ${thousands(tokens.first)} to ${thousands(tokens.last)} of the prompt, counted from 0`)),
    el("div", { class: "views" }, ...[original(picture), baseView(picture), tileViews(picture)].filter(Boolean)));
}

function load() {
  const payload = props.value ? JSON.parse(props.value) : null;
  const pictures = payload?.pictures ?? [];
  find(".empty").textContent = props.empty;
  find(".empty").hidden = Boolean(pictures.length);
  find(".filled").hidden = !pictures.length;
  const sum = pictures.reduce((all, { tokens }) => all + tokens.base + tokens.tile + tokens.newline, 0);
  find(".summary").textContent = `${payload?.model || "The model"} reads ${some(pictures.length, "picture")} as ${some(sum, "image token")}.`;
  find(".pictures").replaceChildren(...pictures.map((picture, i) => pictureNode(picture, i, pictures.length)));
}

find(".grid-toggle").addEventListener("click", () =>
  find(".grid-toggle").setAttribute("aria-pressed", root.classList.toggle("with-grid")));
watch("value", load);
load();
