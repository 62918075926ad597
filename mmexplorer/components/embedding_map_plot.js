// What plotly.js draws: the points (WebGL), density contours below flat ones, and in 3-D also what else is shown.

const LEVELS = 6;

function pointTraces(map) {
  const { data, shown, colouring, chosen } = map, size = map.pointSize();
  map.traceOf = [];
  return ["picture", "caption"].map((kind) => {
    const points = shown.filter((p) => data.isCaption(p) === (kind === "caption"));
    map.traceOf.push(points);
    const [x, y, z] = data.axes.map((axis) => Float32Array.from(points, (p) => axis[p]));
    const single = colouring.groups?.length === 1;
    const flat = data.dimensions === 2;
    return {
      type: flat ? "scattergl" : "scatter3d", mode: "markers", hoverinfo: "none", x, y, ...(flat ? {} : { z }),
      marker: {
        // In 3-D plotly.js draws markers larger than asked.
        size: (flat ? size : size * 0.55) * (kind === "caption" ? 1.15 : 1),
        symbol: kind === "caption" ? "diamond" : "circle",
        color: single ? colouring.groups[0].colour : points.map((p) => colourAt(colouring, p)),
        opacity: chosen.contours ? 0.55 : 0.85, line: { width: 0 },
      },
    };
  });
}

function contourTraces({ data, chosen, theme }) {
  if (!chosen.contours) return [];
  return data.density.flatMap((grid, caption) => {
    if (!grid || chosen.modality === (caption ? "pictures" : "captions")) return [];
    const rows = Array.from({ length: grid.cells }, (_, r) => grid.values.subarray(r * grid.cells, (r + 1) * grid.cells));
    return [{
      type: "contour", z: rows, x0: grid.start[0], dx: grid.step[0], y0: grid.start[1], dy: grid.step[1],
      autocontour: false, contours: { coloring: "none", start: 255 / (LEVELS + 2), end: 255, size: 255 / (LEVELS + 2) },
      line: { color: caption ? rgb(theme.accent, 0.8) : rgb(theme.ink, 0.55), width: 1.1, smoothing: 1, dash: caption ? "4px,3px" : "solid" },
      showscale: false, hoverinfo: "skip",
    }];
  });
}

// In 3-D the lit points, the chosen one, the query and the names are traces of their own, restyled alone.
function overlayTraces(map) {
  const { data, lit, theme } = map, { ink, paper, accent } = Object.fromEntries(Object.entries(theme).map(([name, colour]) => [name, rgb(colour)]));
  const size = map.pointSize();
  const at = (places) => ({ x: places.map((p) => p[0]), y: places.map((p) => p[1]), z: places.map((p) => p[2]) });
  const placeOf = (p) => data.axes.map((axis) => axis[p]);
  const base = { type: "scatter3d", hoverinfo: "skip", textfont: { color: ink, size: 13, weight: 600 } };
  const labels = map.labels ?? [];
  return [
    { ...base, mode: "markers", ...at(lit.points.map(placeOf)), marker: { size: size + 5, symbol: lit.points.map((p) => (data.isCaption(p) ? "diamond" : "circle")), color: lit.points.map((p) => colourAt(map.colouring, p)), line: { color: ink, width: 1 } } },
    { ...base, mode: "markers", ...at(lit.selected === null ? [] : [placeOf(lit.selected)]), marker: { size: size + 9, symbol: "circle-open", color: accent, line: { color: paper, width: 2 } } },
    { ...base, mode: "markers+text", ...at(lit.query?.length === 3 ? [lit.query] : []), text: [lit.label ?? ""], textposition: "top center", marker: { size: size + 6, symbol: "cross", color: accent } },
    { ...base, mode: "text", ...at(labels.map((label) => label.place)), text: labels.map((label) => label.name) },
  ];
}

function layoutOf(map) {
  const { stage, theme, data } = map;
  const clear = "rgba(0,0,0,0)", axis = { visible: false, fixedrange: true, zeroline: false };
  const layout = {
    width: stage.clientWidth, height: stage.clientHeight, margin: { l: 0, r: 0, t: 0, b: 0 },
    paper_bgcolor: clear, plot_bgcolor: clear, showlegend: false, font: { family: LETTERS, color: rgb(theme.ink) },
  };
  if (data.dimensions === 2) {
    const ranges = rangesOf(map);
    return { ...layout, hovermode: false, xaxis: { ...axis, range: ranges["xaxis.range"] }, yaxis: { ...axis, range: ranges["yaxis.range"] } };
  }
  const side = { title: { text: "" }, showticklabels: false, showspikes: false, showline: false, ticks: "", zeroline: false, gridcolor: rgb(mixed(theme.paper, theme.ink, 0.14)), backgroundcolor: clear };
  const camera = map.plot.layout?.scene?.camera;
  return { ...layout, hovermode: "closest", scene: { ...(camera && { camera }), xaxis: side, yaxis: side, zaxis: side, aspectmode: "data", dragmode: "orbit" } };
}

async function drawPoints(map) {
  const flat = map.data.dimensions === 2, { plot } = map;
  const traces = flat ? [...contourTraces(map), ...pointTraces(map)] : [...pointTraces(map), ...overlayTraces(map)];
  const kind = `${map.data.dimensions} ${map.revision}`, afresh = map.kind !== kind;
  if (afresh) map.plotly.purge(plot);
  map.kind = kind;
  map.drawn = null;
  await map.plotly.react(plot, traces, layoutOf(map), { staticPlot: flat, displayModeBar: false, displaylogo: false, scrollZoom: true });
  if (flat) {
    map.drawn = { ...map.view };
    plot.style.transform = "";
  } else if (afresh) hearScene(map);
  drawOverlay(map);
}

function relightScene(map) {
  const traces = overlayTraces(map);
  const update = {};
  for (const key of ["x", "y", "z", "text", "marker"]) update[key] = traces.map((trace) => trace[key]);
  return map.plotly.restyle(map.plot, update, traces.map((_, i) => i + 2));
}

// plotly.js finds the point under the pointer, but notices only a press that lasts a frame, and finds a tapped point
// after the finger has left. So presses are followed here.
const scenePointer = { here: [0, 0], pressed: null, tapped: -Infinity };

function followScene(map) {
  const follow = ({ clientX, clientY }) => {
    const box = map.stage.getBoundingClientRect();
    scenePointer.here = [clientX - box.left, clientY - box.top];
  };
  const inScene = (handler) => (event) => { if (map.data?.dimensions === 3) { follow(event); handler(event); } };
  map.plot.addEventListener("pointermove", inScene(() => {}), true);
  map.plot.addEventListener("pointerdown", inScene(() => { scenePointer.pressed = scenePointer.here; hideCard(map); }), true);
  map.plot.addEventListener("pointerup", inScene((event) => {
    const { here, pressed } = scenePointer;
    if (!pressed || Math.hypot(here[0] - pressed[0], here[1] - pressed[1]) > 6) return;
    if (event.pointerType === "touch") scenePointer.tapped = performance.now();
    else if (map.hovered !== null) clickPoint(map, map.hovered, here);
  }), true);
  map.plot.addEventListener("pointerleave", inScene((event) => { if (event.pointerType !== "touch") hoverPoint(map, null); }));
}

function hearScene(map) {
  map.plot.on("plotly_hover", ({ points: [{ curveNumber, pointNumber }] }) => {
    const point = map.traceOf[curveNumber]?.[pointNumber] ?? null;
    if (point !== null && performance.now() - scenePointer.tapped < 500) {
      scenePointer.tapped = -Infinity;
      clickPoint(map, point, scenePointer.here);
    } else hoverPoint(map, point, scenePointer.here);
  });
  map.plot.on("plotly_unhover", () => hoverPoint(map, null));
}

// Keys turn the scene about its upright axis and tilt it, or bring the eye closer.
function moveEye(map, change) {
  const eye = map.plot.layout.scene.camera?.eye ?? { x: 1.25, y: 1.25, z: 1.25 };
  const flat = Math.hypot(eye.x, eye.y), polar = { turn: Math.atan2(eye.y, eye.x), tilt: Math.atan2(eye.z, flat), distance: Math.hypot(flat, eye.z) };
  const { turn, tilt, distance } = change(polar);
  const eyeNow = { x: distance * Math.cos(tilt) * Math.cos(turn), y: distance * Math.cos(tilt) * Math.sin(turn), z: distance * Math.sin(tilt) };
  map.plotly.relayout(map.plot, { "scene.camera.eye": eyeNow });
}

const orbitBy = (map, right, down) => moveEye(map, ({ turn, tilt, distance }) =>
  ({ turn: turn - right * 0.2, tilt: Math.max(-1.4, Math.min(1.4, tilt + down * 0.15)), distance }));
const approach = (map, factor) => moveEye(map, (polar) => ({ ...polar, distance: Math.max(0.1, Math.min(8, polar.distance / factor)) }));
