// Matrix: pictures in rows, labels in columns, one cell per score. Drawn as a table, so heads stay put while it
// scrolls inside its own box and readers of the page hear rows and columns.

const COMPACT_FROM = 41; // columns; beyond this, cells are too narrow for numbers
const SHADES = 100;

// Never the full accent, so that black or white numbers stay readable on it.
function cellColour(theme, share) {
  return mixed(theme.paper, theme.accent, 0.85 * Math.min(1, Math.max(0, share)));
}

function cellText(value, probability) {
  return probability ? (100 * value).toFixed(0) : signed(value, 2).replace("0.", ".");
}

function buildMatrix(chart) {
  const { data, chosen } = chart, section = chart.root.querySelector(".matrix");
  section.hidden = data.pictures.length < 2;
  chart.cells = [];
  chart.columns = [];
  if (section.hidden) return section.replaceChildren();

  const model = chart.model(), { labels, pictures } = data;
  // Columns that win a picture, or come closest to it, first: the distance to each picture's highest cosine.
  const best = new Float32Array(labels.length).fill(-Infinity);
  for (let i = 0; i < pictures.length; i++) {
    const cosines = model.cosines(i), highest = cosines[indexOfHighest(cosines)];
    cosines.forEach((c, j) => { best[j] = Math.max(best[j], c - highest); });
  }
  const visible = chart.columns = chart.visible((j) => best[j]).labels;
  const shape = visible.length >= COMPACT_FROM ? "compact" : visible.length <= 5 ? "wide" : "upright";

  const readout = el("p", { class: "readout" });
  const rows = pictures.map((picture, i) => {
    const winner = indexOfHighest(model.cosines(i));
    const cells = visible.map((j) => el("td", { "data-label": j, class: j === winner ? "winner" : null }));
    chart.cells.push(cells);
    const button = el("button", { type: "button", "aria-label": `${picture.name}, highest: ${labels[winner]}`, onclick: () => chart.select(i), onkeydown: (event) => step(event, i) },
      picture.thumbnail ? el("img", { src: picture.thumbnail, alt: "" }) : null,
      el("span", { class: "row-name" }, el("span", {}, picture.name), el("span", { class: "row-winner" }, labels[winner])));
    return el("tr", { "data-picture": i }, el("th", { scope: "row", title: picture.name }, button), ...cells);
  });
  const step = (event, i) => {
    const move = { ArrowUp: -1, ArrowDown: 1, Home: -i, End: rows.length - 1 - i }[event.key];
    if (move === undefined || !rows[i + move]) return;
    event.preventDefault();
    chart.select(i + move);
    rows[i + move].querySelector("button").focus();
  };
  const body = el("tbody", {}, ...rows);
  const describe = (target) => {
    const cell = target.closest("td"), row = target.closest("tr");
    if (!cell) return;
    const i = Number(row.dataset.picture), j = Number(cell.dataset.label);
    const cosine = model.cosines(i), p = chart.probabilities(model, cosine)[j];
    readout.textContent = `${pictures[i].name} × ${labels[j]}: probability ${(100 * p).toFixed(3)}\u00a0%, cosine ${signed(cosine[j], 4)}`;
  };
  body.addEventListener("pointerover", (event) => describe(event.target));
  body.addEventListener("pointerleave", () => hint());
  body.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (cell) { chart.select(Number(cell.parentNode.dataset.picture)); describe(cell); }
  });
  const hint = () => { readout.textContent = "Point at a cell for exact values; choose a row to see its bars below."; };
  hint();

  section.replaceChildren(
    el("div", { class: "matrix-box", tabindex: 0, role: "region", "aria-label": "Matrix of pictures and labels, scrollable" },
      el("table", { class: shape },
        el("thead", {}, el("tr", {}, el("th", { class: "corner" }, data.models.length > 1 ? model.name : ""),
          ...visible.map((j) => el("th", { scope: "col", title: labels[j] }, el("span", {}, labels[j]))))),
        body)),
    el("div", { class: "matrix-foot" }, readout,
      el("div", { class: "legend", "aria-hidden": true }, el("span", {}), el("i", {}), el("span", {}))));
}

// Probability fills from 0 to 1; cosines fill the range that this model used on these pictures.
function matrixShare(chart, model) {
  if (chart.chosen.measure === "probability") return { low: 0, high: 1 };
  const [low, high] = model.range;
  return { low, high: Math.max(high, low + 1e-6) };
}

function refreshMatrix(chart) {
  if (!chart.cells.length) return;
  const { chosen, theme } = chart, model = chart.model();
  const { low, high } = matrixShare(chart, model), probability = chosen.measure === "probability";
  const rows = chart.root.querySelectorAll(".matrix tbody tr");
  const numbers = !chart.root.querySelector(".matrix table.compact");
  // 64 x 1,000 cells under a moving slider: only those whose shade changed are touched.
  if (chart.shadedFor !== theme) [chart.shadedFor, chart.shades] = [theme, new WeakMap()];
  const ramp = Array.from({ length: SHADES + 1 }, (_, shade) => {
    const colour = cellColour(theme, shade / SHADES);
    return [rgb(colour), rgb(probability && shade === 0 ? mixed(theme.paper, theme.ink, 0.68) : inkOn(colour))];
  });
  chart.cells.forEach((cells, i) => {
    const cosines = model.cosines(i), values = probability ? chart.probabilities(model, cosines) : cosines;
    rows[i].classList.toggle("selected", i === chosen.picture);
    const button = rows[i].querySelector("button");
    button.setAttribute("aria-pressed", i === chosen.picture);
    button.tabIndex = i === chosen.picture ? 0 : -1;
    cells.forEach((cell, c) => {
      const value = values[chart.columns[c]], shade = Math.round((SHADES * (value - low)) / (high - low));
      if (numbers) cell.textContent = cellText(value, probability);
      if (chart.shades.get(cell) === shade) return;
      chart.shades.set(cell, shade);
      [cell.style.background, cell.style.color] = ramp[shade];
    });
  });
  const [from, to] = chart.root.querySelectorAll(".legend span");
  from.textContent = probability ? "0\u00a0%" : signed(low, 2);
  to.textContent = probability ? "100\u00a0%" : signed(high, 2);
  chart.root.querySelector(".legend i").style.background = `linear-gradient(to right, ${ramp[0][0]}, ${ramp[SHADES][0]})`;
}
