// The grid. Its pictures are one stop of the tab key: the arrow keys, Home and End move over those that are there.

const table = find("table");
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const HINT = matchMedia("(hover: none)").matches
  ? "Press a picture to see it large, with its settings."
  : "Point at a picture to see its settings; press it to see it large.";
const REST = 250; // milliseconds that a large picture must be looked at before the server hears of it
let data = null, labels = null, buttons = [], here = null, open = null, telling = null;

const cellAt = ([row, column]) => data.cells[row]?.[column];
const buttonAt = ([row, column]) => buttons[row][column];
const axis = (title, label) => [title, label].filter(Boolean).join(" ");
const nameOf = ([row, column]) =>
  [axis(data.column_title, data.columns[column]), axis(data.row_title, data.rows[row])].filter(Boolean).join(", ");

// ---- drawing

function cellButton(row, column) {
  return el("button", { type: "button", class: "cell", "data-row": row, "data-column": column, tabindex: -1 },
    el("span", { class: "face" }, el("img", { alt: "", decoding: "sync", draggable: "false" })), el("small", {}));
}

function build() {
  const label = (text) => el("span", { title: text }, text);
  buttons = data.rows.map((_, row) => data.columns.map((_, column) => cellButton(row, column)));
  const sizes = { "--columns": data.columns.length, "--rows": data.rows.length, "--longest": Math.max(...data.rows.map((text) => text.length)) };
  for (const [name, size] of Object.entries(sizes)) table.style.setProperty(name, size);
  table.classList.toggle("strip", data.rows.every((text) => !text));
  table.replaceChildren(
    el("thead", { hidden: data.columns.every((text) => !text) }, el("tr", {}, el("td", { class: "row-label" }),
      ...data.columns.map((text) => el("th", { scope: "col" }, label(text))))),
    el("tbody", {}, ...data.rows.map((text, row) => el("tr", {}, el("th", { scope: "row", class: "row-label" }, label(text)),
      ...buttons[row].map((button) => el("td", {}, button))))));
}

function fill(place) {
  const cell = cellAt(place), button = buttonAt(place), image = button.querySelector("img");
  button.disabled = !cell;
  button.setAttribute("aria-label", [nameOf(place), cell ? cell.line : "not there yet"].filter(Boolean).join(": "));
  if (cell && image.getAttribute("src") !== cell.picture) image.src = cell.picture;
  button.querySelector("small").textContent = cell?.line ?? "";
}

const places = () => data.rows.flatMap((_, row) => data.columns.map((_, column) => [row, column]));

function drawHead() {
  const there = places().filter(cellAt).length, all = places().length;
  const named = (arrow, what, title) => (title ? el("span", {}, `${arrow} ${what}: `, el("b", {}, title)) : null);
  find(".axes").replaceChildren(...[named("→", "columns", data.column_title), named("↓", "rows", data.row_title)].filter(Boolean));
  find(".count").textContent = there < all ? `${there} of ${all} pictures` : "";
  find(".head").hidden = there === all && !data.column_title && !data.row_title;
  find(".note").textContent = data.note;
  find(".note").hidden = !data.note;
}

function drawAbout(place) {
  const cell = place && cellAt(place);
  find(".about").replaceChildren(...(cell
    ? [el("b", {}, nameOf(place)), " ", cell.settings.map(([name, value]) => `${name} ${value}`).join(" · ")]
    : [HINT]));
}

// One cell can be reached by the tab key: the one last used or, without it, the first that is there.
function drawTabStop() {
  const stop = here && cellAt(here) ? here : places().find(cellAt);
  for (const place of places()) buttonAt(place).tabIndex = stop && place[0] === stop[0] && place[1] === stop[1] ? 0 : -1;
}

// ---- what the visitor does

const placeOf = (event) => {
  const button = event.target.closest?.(".cell:enabled");
  return button ? [Number(button.dataset.row), Number(button.dataset.column)] : null;
};

// The next picture in a direction; cells that are not there yet are passed over.
function beside([row, column], [down, right]) {
  for (let place = [row + down, column + right]; place[0] in data.rows && place[1] in data.columns; place = [place[0] + down, place[1] + right])
    if (cellAt(place)) return place;
  return null;
}

function destination(key, from) {
  if (MOVES[key]) return beside(from, MOVES[key]);
  if (key === "Home") return [from[0], data.columns.findIndex((_, column) => cellAt([from[0], column]))];
  if (key === "End") return [from[0], data.columns.findLastIndex((_, column) => cellAt([from[0], column]))];
  return undefined;
}

function show(place) {
  open = place;
  fillLarge(cellAt(place), nameOf(place));
  if (!dialog.open) dialog.showModal();
  clearTimeout(telling);
  telling = setTimeout(() => trigger("open", { row: place[0], column: place[1] }), REST);
}

table.addEventListener("click", (event) => { if (placeOf(event)) show(placeOf(event)); });
table.addEventListener("focusin", (event) => {
  here = placeOf(event);
  drawTabStop();
  drawAbout(here);
});
table.addEventListener("focusout", () => drawAbout(null));
table.addEventListener("pointerover", (event) => drawAbout(placeOf(event) ?? placeOf({ target: document.activeElement })));
table.addEventListener("pointerleave", () => drawAbout(placeOf({ target: document.activeElement })));
table.addEventListener("keydown", (event) => {
  const from = placeOf(event), to = from && !event.ctrlKey && !event.altKey && !event.metaKey ? destination(event.key, from) : undefined;
  if (to === undefined) return;
  event.preventDefault();
  if (to) buttonAt(to).focus();
});
dialog.addEventListener("keydown", (event) => {
  if (!MOVES[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const to = beside(open, MOVES[event.key]);
  if (to) show(to);
});
dialog.addEventListener("close", () => {
  if (open && data && cellAt(open)) buttonAt(open).focus();
  open = null;
});

// ---- a new value

function load() {
  data = props.value ? JSON.parse(props.value) : null;
  find(".empty").textContent = props.empty;
  find(".empty").hidden = Boolean(data);
  find(".filled").hidden = !data;
  const now = data && JSON.stringify([data.rows, data.columns, data.row_title, data.column_title]);
  if (now !== labels) {
    open = here = null;
    if (dialog.open) dialog.close();
    if (data) build();
  }
  labels = now;
  if (!data) return;
  root.style.setProperty("--ratio", data.size[0] / data.size[1]);
  root.classList.toggle("exact", Math.max(...data.size) <= 128);
  table.classList.toggle("with-lines", data.lined);
  places().forEach(fill);
  drawHead();
  drawTabStop();
  drawAbout(placeOf({ target: document.activeElement }));
}

watch("value", load);
load();
