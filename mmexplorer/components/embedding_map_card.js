// The card of a point: its thumbnail, cut out of a sheet that is fetched when first needed, its name and caption, and the
// value that colours it.

function sheetImage(map, number) {
  map.sheets[number] ??= new Promise((done) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => done(null);
    image.src = new URL(map.sheetUrls[number], document.baseURI);
  });
  return map.sheets[number];
}

function showCard(map, point, place) {
  const { data, card, colouring } = map, row = data.rowOf[point], caption = data.captionOf(point);
  const { cell, across, down } = data.sheets, perSheet = across * down, number = Math.floor(row / perSheet);
  clearTimeout(map.dwelling);
  // As large as the cell: scaled while it is cut out, a thumbnail would carry its neighbours' edges along.
  const canvas = el("canvas", { width: cell, height: cell, hidden: true });
  const value = colouring.textOf?.(point);
  card.replaceChildren(canvas,
    el("p", { class: "card-name" }, data.isCaption(point) ? `caption of ${data.names[row]}` : data.names[row]),
    caption ? el("p", {}, caption) : "",
    value === undefined ? "" : el("p", { class: "quiet" }, el("i", { class: data.isCaption(point) ? "swatch diamond" : "swatch", "--colour": colourAt(colouring, point) }), `${colouring.label}: ${value}`));
  card.hidden = false;
  card.dataset.point = point;
  if (number < map.sheetUrls.length) {
    canvas.hidden = false;
    sheetImage(map, number).then((image) => {
      if (!image) { canvas.hidden = true; return; }
      const at = row % perSheet;
      canvas.getContext("2d").drawImage(image, -(at % across) * cell, -Math.floor(at / across) * cell);
      canvas.dataset.drawn = row;
    });
  }
  placeCard(map, place ?? toPixels(map, data.axes[0][point], data.axes[1][point]));
}

// Beside the point, on the side with more room.
function placeCard({ card, stage }, [left, top]) {
  const width = card.offsetWidth, height = card.offsetHeight, gap = 16;
  const x = left + gap + width > stage.clientWidth ? left - gap - width : left + gap;
  card.style.left = `${Math.max(4, Math.min(x, stage.clientWidth - width - 4))}px`;
  card.style.top = `${Math.max(4, Math.min(top - height / 2, stage.clientHeight - height - 4))}px`;
}

function hideCard(map) {
  map.card.hidden = true;
  delete map.card.dataset.point;
}
