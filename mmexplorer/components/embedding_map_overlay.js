// What lies over a flat map's points and changes without drawing them again: the lit points, the chosen one, a query's
// place, names of clusters, the outline being drawn. One canvas, drawn in the page's colours.

const LETTERS = "system-ui, -apple-system, 'Segoe UI', sans-serif";

function clearOverlay({ over, stage }) {
  const width = stage.clientWidth, height = stage.clientHeight, dense = window.devicePixelRatio || 1;
  if (over.width !== Math.round(width * dense) || over.height !== Math.round(height * dense)) {
    over.width = Math.round(width * dense);
    over.height = Math.round(height * dense);
  }
  const pen = over.getContext("2d");
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

function drawOverlay(map) {
  if (map.flying) return;
  const pen = clearOverlay(map);
  if (map.data?.dimensions === 2 && map.view) paintOverlay(map, pen, map.stage.clientWidth, map.stage.clientHeight);
}

function paintOverlay(map, pen, width, height) {
  const { data, theme, lit } = map, [xs, ys] = data.axes, size = map.pointSize();
  const ink = rgb(theme.ink), paper = rgb(theme.paper), accent = rgb(theme.accent);
  const pixelOf = (p) => toPixels(map, xs[p], ys[p]);
  const ring = ([left, top], radius, colour, thickness) => {
    for (const [style, line] of [[paper, thickness + 2], [colour, thickness]]) {
      pen.beginPath();
      pen.arc(left, top, radius, 0, 2 * Math.PI);
      Object.assign(pen, { strokeStyle: style, lineWidth: line });
      pen.stroke();
    }
  };
  const near = ([left, top]) => left > -20 && top > -20 && left < width + 20 && top < height + 20;

  const few = lit.points.length <= 200, radius = few ? size / 2 + 2.5 : size / 2 + 0.5;
  for (const p of lit.points) {
    const place = pixelOf(p);
    if (!near(place)) continue;
    mark(pen, place, radius, data.isCaption(p), colourAt(map.colouring, p));
    if (few) Object.assign(pen, { strokeStyle: ink, lineWidth: 1.25 }), pen.stroke();
  }
  if (map.labels) paintLabels(map, pen, width, height);
  if (lit.selected !== null) ring(pixelOf(lit.selected), size / 2 + 6, accent, 2.5);
  if (map.hovered !== null) ring(pixelOf(map.hovered), size / 2 + 4, ink, 1.5);
  if (lit.query?.length === 2) {
    const [left, top] = toPixels(map, ...lit.query);
    for (const [style, line] of [[paper, 6], [accent, 3]]) {
      Object.assign(pen, { strokeStyle: style, lineWidth: line, lineCap: "round" });
      pen.stroke(new Path2D(`M${left - 8} ${top}H${left + 8}M${left} ${top - 8}V${top + 8}`));
    }
    if (lit.label) haloed(pen, lit.label, left, top - 18, ink, paper, 650, width);
  }
  if (map.path) {
    const outline = new Path2D(map.path.map(([left, top], i) => `${i ? "L" : "M"}${left} ${top}`).join("") + "Z");
    Object.assign(pen, { fillStyle: rgb(theme.accent, 0.12), strokeStyle: accent, lineWidth: 1.5, lineCap: "butt" });
    pen.fill(outline);
    pen.setLineDash([5, 3]);
    pen.stroke(outline);
    pen.setLineDash([]);
  }
  if (map.byKey) {
    Object.assign(pen, { strokeStyle: rgb(theme.ink, 0.5), lineWidth: 1 });
    pen.stroke(new Path2D(`M${width / 2 - 12} ${height / 2}h24M${width / 2} ${height / 2 - 12}v24`));
  }
}

// A picture is a circle, a caption a diamond; the outline stays the current path.
function mark(pen, [left, top], radius, caption, colour) {
  pen.beginPath();
  if (caption) {
    const reach = radius * 1.3;
    pen.moveTo(left, top - reach);
    pen.lineTo(left + reach, top);
    pen.lineTo(left, top + reach);
    pen.lineTo(left - reach, top);
    pen.closePath();
  } else pen.arc(left, top, radius, 0, 2 * Math.PI);
  pen.fillStyle = colour;
  pen.fill();
}

// Centred at a place, or moved aside where it would stick out of a `room` this wide.
function haloed(pen, text, centre, top, ink, paper, weight, room = Infinity) {
  Object.assign(pen, { font: `${weight} 13px ${LETTERS}`, textAlign: "center", textBaseline: "middle", lineJoin: "round" });
  const half = pen.measureText(text).width / 2 + 6, left = Math.max(half, Math.min(centre, room - half));
  Object.assign(pen, { strokeStyle: paper, lineWidth: 4, fillStyle: ink });
  pen.strokeText(text, left, top);
  pen.fillText(text, left, top);
}

// Larger clusters first; a name that would cover another waits until the map is enlarged.
function paintLabels(map, pen, width, height) {
  const taken = [];
  for (const { name, place } of map.labels) {
    const [left, top] = toPixels(map, ...place);
    pen.font = `650 13px ${LETTERS}`;
    const half = pen.measureText(name).width / 2 + 4, box = [left - half, top - 11, left + half, top + 11];
    if (box[0] > width || box[2] < 0 || box[1] > height || box[3] < 0) continue;
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    haloed(pen, name, left, top, rgb(map.theme.ink), rgb(map.theme.paper), 650);
  }
}

// A cluster's name stands at the median of its pictures, or of its captions while only they are shown.
function clusterLabels({ data, shown }) {
  if (!data.clusters) return [];
  const { names, codes } = data.clusters, members = names.map(() => []);
  const some = shown.some((p) => !data.isCaption(p));
  for (const p of shown) if (data.isCaption(p) !== some) members[codes[p]].push(p);
  const median = (axis, points) => points.map((p) => axis[p]).sort((a, b) => a - b)[points.length >> 1];
  return names.map((name, code) => ({ name, size: members[code].length, place: members[code].length ? data.axes.map((axis) => median(axis, members[code])) : null }))
    .filter((label) => label.place).sort((a, b) => b.size - a.size);
}
