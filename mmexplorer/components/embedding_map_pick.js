// Which point is meant: the nearest to the pointer, or those inside a drawn outline.
//
// A look at every point takes a tenth of a millisecond per 10,000, so there is no index to keep up to date.

function nearestPoint({ data, view, stage, shown }, left, top, reach) {
  const [x, y] = toPlane({ view, stage }, left, top), [xs, ys] = data.axes;
  let best = null, closest = (reach * view.scale) ** 2;
  for (const p of shown) {
    const distance = (xs[p] - x) ** 2 + (ys[p] - y) ** 2;
    if (distance <= closest) { closest = distance; best = p; } // of equals the last, which is drawn on top
  }
  return best;
}

function growPath(map, start, here) {
  if (map.chosen.mode === "box") map.path = [start, [here[0], start[1]], here, [start[0], here[1]]];
  else map.path.push(here);
  map.overlaySoon();
}

// Even-odd rule, on the plane's coordinates.
function isInside(outline, x, y) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [x1, y1] = outline[i], [x2, y2] = outline[j];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}

function takeInside(map, path) {
  const outline = path.map(([left, top]) => toPlane(map, left, top)), [xs, ys] = map.data.axes;
  map.take(map.shown.filter((p) => isInside(outline, xs[p], ys[p])));
}

const DWELL = 100; // milliseconds on a point before its card, and perhaps its sheet of thumbnails, is fetched

function hoverAt(map, left, top, reach = 12) {
  hoverPoint(map, nearestPoint(map, left, top, reach));
}

function hoverPoint(map, point, place) {
  if (point === map.hovered) return;
  map.hovered = point;
  map.stage.classList.toggle("on-point", point !== null);
  clearTimeout(map.dwelling);
  hideCard(map);
  if (point !== null) map.dwelling = setTimeout(() => showCard(map, point, place), DWELL);
  map.overlaySoon();
}

function clickAt(map, left, top, reach) {
  const point = nearestPoint(map, left, top, reach);
  if (point !== null) clickPoint(map, point);
}

function clickPoint(map, point, place) {
  map.hovered = point;
  showCard(map, point, place);
  map.choose(point);
}
