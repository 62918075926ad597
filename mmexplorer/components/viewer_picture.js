// The picture with its heatmap, its marks and its patches, which a pointer or the arrow keys choose. Part of the same
// function as viewer.js.

// Where a patch lies, in fractions of the picture.
function patchBox(at) {
  const [left, top, right, bottom] = data.box;
  const [width, height] = [(right - left) / data.columns, (bottom - top) / data.rows];
  return { x: left + (at % data.columns) * width, y: top + Math.floor(at / data.columns) * height, width, height };
}

function loadPicture() {
  parts.picture.src = data.picture;
  parts.stage.classList.toggle("pixelated", data.pixelated);
  parts.stage.style.setProperty("--ratio", data.width / data.height);
  const [left, top, right, bottom] = data.box.map((edge) => `${100 * edge}%`);
  const [width, height] = [data.box[2] - data.box[0], data.box[3] - data.box[1]].map((side) => `${100 * side}%`);
  Object.assign(parts.heat.style, { left, top, width, height });
  parts.hatch.style.clipPath =
    `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ` +
    `${left} ${top}, ${right} ${top}, ${right} ${bottom}, ${left} ${bottom}, ${left} ${top})`;
  for (const path of parts.sinks.children) path.setAttribute("d", (data.sinks ?? []).map(ring).join(""));
  parts["sinks-toggle"].hidden = !data.sinks?.length;
}

// A circle in a patch, as an ellipse in fractions of the picture's sides.
function ring(at) {
  const { x, y, width, height } = patchBox(at);
  const side = Math.min(width * data.width, height * data.height);
  const radius = Math.min(0.3 * side, 0.02 * Math.max(data.width, data.height));
  const [across, down] = [radius / data.width, radius / data.height];
  const arc = `a${across} ${down} 0 1 0`;
  return `M${x + width / 2 - across} ${y + height / 2}${arc} ${2 * across} 0${arc} ${-2 * across} 0`;
}

// Repaint only when the map changes: pointing at patches leaves it as it is.
function heat(top) {
  const look = [...shownRange(), word(), state.smooth, top].join();
  if (look === data.look) return;
  data.look = look;
  const { values, peak } = shownMap(word());
  paint(parts.heat, values, data.rows, data.columns, top > 0 ? peak / top : 0, state.smooth);
}

function drawPicture(top) {
  heat(top);
  parts.heat.style.opacity = state.opacity;
  parts.heat.classList.toggle("raw", !state.smooth);
  text(parts.top, number(top));
  parts.nothing.hidden = shownMap(word()).peak > 0;
  const at = patch();
  parts.patch.toggleAttribute("hidden", at === null);
  if (at !== null) {
    const box = patchBox(at);
    for (const rect of parts.patch.children) for (const key in box) rect.setAttribute(key, box[key]);
  }
  parts.sinks.toggleAttribute("hidden", !state.sinks);
  const truth = data.truth[word()];
  parts.truth.toggleAttribute("hidden", !truth || !state.truth);
  if (!truth) return;
  parts.truth.setAttribute("transform", `scale(${1 / truth.size[0]} ${1 / truth.size[1]})`);
  for (const path of parts.truth.children) path.setAttribute("d", truth.outline);
}

// ---- what the visitor does

function patchUnder(event) {
  const frame = parts.stage.getBoundingClientRect();
  const [left, top, right, bottom] = data.box;
  const x = ((event.clientX - frame.left) / frame.width - left) / (right - left);
  const y = ((event.clientY - frame.top) / frame.height - top) / (bottom - top);
  if (x < 0 || x >= 1 || y < 0 || y >= 1) return null;
  return Math.floor(y * data.rows) * data.columns + Math.floor(x * data.columns);
}

// Tells the server, if it listens, which patch is kept; index is null when none is.
function keepPatch(at) {
  if (at === state.patch) return;
  set(state, { patch: at });
  trigger("patch", { index: at, rows: data.rows, columns: data.columns });
}

parts.stage.addEventListener("pointermove", (event) => {
  const at = patchUnder(event);
  if (event.pointerType === "mouse" && at !== over.patch) set(over, { patch: at });
});
parts.stage.addEventListener("pointerleave", () => set(over, { patch: null }));
parts.stage.addEventListener("click", (event) => {
  const at = patchUnder(event);
  keepPatch(at === state.patch ? null : at);
});
parts.stage.addEventListener("keydown", (event) => {
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!move) return;
  event.preventDefault();
  over.patch = null;
  if (state.patch === null) {
    const { values } = shownMap(word());
    keepPatch(values.indexOf(largest(values))); // begin where the word looks most
    return;
  }
  const row = clamp(Math.floor(state.patch / data.columns) + move[0], data.rows);
  const column = clamp((state.patch % data.columns) + move[1], data.columns);
  keepPatch(row * data.columns + column);
});
