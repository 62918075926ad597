// One picture of the grid, large, in a dialog over the page. Knows no grid: picture_grid.js, in the same function, says
// what is shown and where the arrow keys lead.

const root = element.querySelector(".mm-picture-grid");
const find = (selector) => root.querySelector(selector);
const dialog = find("dialog");

function fillLarge(cell, title) {
  find(".title").textContent = title;
  const image = find(".frame img");
  image.src = cell.picture;
  image.alt = title;
  find(".line").textContent = cell.line;
  find(".line").hidden = !cell.line;
  find("dl").replaceChildren(...cell.settings.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

find(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }); // beside it
