// The view of a flat map: which part of the plane is on the screen, and how wheel, drag, pinch and keys move it.
//
// Where WebGL runs on the processor, drawing 50,000 points takes many frames. So a moving view carries the drawn picture
// along (a CSS transform) and draws anew when the movement rests, or in every frame where that proved quick.

const REST = 140, QUICK = 25; // milliseconds without movement; milliseconds that a drawing may take in every frame
const MARGIN = 0.06; // of the map's width or height, on each side of the points
const CLOSEST = 4000, FARTHEST = 3; // times the scale that shows everything

// {x, y, scale}: the centre, and how much of the plane a pixel covers.
function fittingView({ data, stage }) {
  const room = [stage.clientWidth, stage.clientHeight].map((side) => side * (1 - 2 * MARGIN));
  const [x, y] = [0, 1].map((axis) => (data.low[axis] + data.high[axis]) / 2);
  // Points in a single place have no extent: then any scale will do.
  return { x, y, scale: Math.max(...room.map((side, axis) => (data.high[axis] - data.low[axis]) / side)) || 0.01 };
}

function toPixels({ view, stage }, x, y) {
  return [(x - view.x) / view.scale + stage.clientWidth / 2, (view.y - y) / view.scale + stage.clientHeight / 2];
}

function toPlane({ view, stage }, left, top) {
  return [view.x + (left - stage.clientWidth / 2) * view.scale, view.y - (top - stage.clientHeight / 2) * view.scale];
}

function rangesOf({ view, stage }) {
  const [left, top] = toPlane({ view, stage }, 0, 0), [right, bottom] = toPlane({ view, stage }, stage.clientWidth, stage.clientHeight);
  return { "xaxis.range": [left, right], "yaxis.range": [bottom, top] };
}

function setView(map, { x, y, scale }) {
  const whole = fittingView(map), clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  map.view = {
    x: clamp(x, map.data.low[0], map.data.high[0]),
    y: clamp(y, map.data.low[1], map.data.high[1]),
    scale: clamp(scale, whole.scale / CLOSEST, whole.scale * FARTHEST),
  };
  map.frame ??= requestAnimationFrame(() => { map.frame = null; showView(map); });
}

function panBy(map, right, down) {
  const { x, y, scale } = map.view;
  setView(map, { x: x - right * scale, y: y + down * scale, scale });
}

// Enlarges the map around a pixel, which stays where it is.
function zoomBy(map, factor, left = map.stage.clientWidth / 2, top = map.stage.clientHeight / 2) {
  const [x, y] = toPlane(map, left, top), { view } = map;
  const whole = fittingView(map).scale;
  const scale = Math.min(Math.max(view.scale / factor, whole / CLOSEST), whole * FARTHEST), share = scale / view.scale;
  setView(map, { x: x + (view.x - x) * share, y: y + (view.y - y) * share, scale });
}

function showView(map) {
  const { view, drawn, stage, plot } = map;
  if (!drawn) return;
  const grown = drawn.scale / view.scale;
  const right = (stage.clientWidth / 2) * (1 - grown) + (drawn.x - view.x) / view.scale;
  const down = (stage.clientHeight / 2) * (1 - grown) - (drawn.y - view.y) / view.scale;
  plot.style.transform = `translate(${right}px, ${down}px) scale(${grown})`;
  drawOverlay(map);
  clearTimeout(map.resting);
  if (map.cost < QUICK) redrawView(map);
  else map.resting = setTimeout(() => redrawView(map), REST);
}

function redrawView(map) {
  const started = performance.now();
  map.plotly.relayout(map.plot, rangesOf(map));
  map.drawn = { ...map.view };
  map.plot.style.transform = "";
  requestAnimationFrame(() => requestAnimationFrame(() => {
    // Two frames at sixty a second are what a free drawing takes.
    map.cost = performance.now() - started - 34;
  }));
}

// Pointers: one drags the map or draws a lasso, two pinch it, and one that stays where it is clicks.
function followPointers(map) {
  const { stage } = map, down = new Map();
  let start = null, moved = false;
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const flat = () => map.view && map.data?.dimensions === 2;

  stage.addEventListener("wheel", (event) => {
    if (!flat()) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 18 : 1;
    zoomBy(map, Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * 0.003), ...place(event));
  }, { passive: false });

  stage.addEventListener("pointerdown", (event) => {
    if (!flat() || event.button) return;
    stage.setPointerCapture(event.pointerId);
    down.set(event.pointerId, place(event));
    hideCard(map);
    if (down.size > 1) { map.path = null; moved = true; return; }
    start = place(event);
    moved = false;
    if (map.chosen.mode !== "move") map.path = [start];
  });

  stage.addEventListener("pointermove", (event) => {
    if (!flat()) return;
    const here = place(event), before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") hoverAt(map, ...here);
      return;
    }
    moved ||= Math.hypot(here[0] - start[0], here[1] - start[1]) > (event.pointerType === "touch" ? 10 : 4);
    if (down.size === 2) pinch(event.pointerId, before, here);
    else if (map.path && moved) growPath(map, start, here);
    else if (moved) panBy(map, here[0] - before[0], here[1] - before[1]);
    if (moved) down.set(event.pointerId, here);
  });

  function pinch(id, before, here) {
    const other = [...down].find(([key]) => key !== id)[1];
    const spread = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
    const middle = (one) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
    const [from, to] = [middle(before), middle(here)];
    panBy(map, to[0] - from[0], to[1] - from[1]);
    zoomBy(map, spread(here) / Math.max(spread(before), 1), ...to);
  }

  const lifted = (event) => {
    if (!down.delete(event.pointerId) || down.size) return;
    const path = map.path;
    map.path = null;
    if (event.type === "pointercancel") return drawOverlay(map);
    if (path?.length > 2) return takeInside(map, path);
    if (!moved) clickAt(map, ...place(event), event.pointerType === "touch" ? 22 : 12);
    drawOverlay(map);
  };
  stage.addEventListener("pointerup", lifted);
  stage.addEventListener("pointercancel", lifted);
  stage.addEventListener("pointerleave", (event) => { if (flat() && event.pointerType !== "touch") hoverAt(map, -1e6, -1e6); });
}

const STEP = 60; // pixels per press of an arrow key
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function followKeys(map) {
  map.stage.addEventListener("keydown", (event) => {
    if (!map.data || event.ctrlKey || event.metaKey || event.altKey) return;
    const flat = map.data.dimensions === 2, arrow = ARROWS[event.key];
    if (arrow) flat ? panBy(map, arrow[0] * STEP, arrow[1] * STEP) : orbitBy(map, ...arrow);
    else if (event.key === "+" || event.key === "=") magnify(map, 1.4);
    else if (event.key === "-") magnify(map, 1 / 1.4);
    else if (event.key === "0" || event.key === "Home") resetView(map);
    else if (event.key === "Enter" && flat) clickAt(map, map.stage.clientWidth / 2, map.stage.clientHeight / 2, Infinity);
    else if (event.key === "Escape") map.clear();
    else return;
    event.preventDefault();
    if (event.key === "Escape") return;
    map.byKey = true;
    if (flat) requestAnimationFrame(() => hoverAt(map, map.stage.clientWidth / 2, map.stage.clientHeight / 2, Infinity));
  });
  map.stage.addEventListener("blur", () => { map.byKey = false; drawOverlay(map); });
}

const magnify = (map, factor) => (map.data.dimensions === 2 ? zoomBy(map, factor) : approach(map, factor));

function resetView(map) {
  if (map.data.dimensions === 2) setView(map, fittingView(map));
  else map.plotly.relayout(map.plot, { "scene.camera": null });
}
