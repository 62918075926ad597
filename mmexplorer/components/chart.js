// The chart: when it is drawn, in which colours, and which of the figure's frames is shown.
//
// Plotly's own sliders and buttons are drawn in SVG, out of reach for a keyboard; the figure's are taken out of its
// layout and offered as ordinary controls instead. `state` is the frame on show, by its place on the slider.

const root = element.querySelector(".mm-chart");
const find = (selector) => root.querySelector(selector);
const stage = find(".stage"), slider = find("input");
let visible = false, stale = false, drawn = false, drawing = 0, width = 0;
let plotly = null, config = null, states = [], jumps = [], state = 0;

const frameOf = ({ label, args }) => ({ label, name: args[0][0], options: args[1] });

function load() {
  const figure = props.value ? JSON.parse(props.value) : null;
  find(".empty").hidden = Boolean(figure) || !props.empty;
  find(".empty").textContent = props.empty ?? "";
  find(".filled").hidden = !figure;
  const [control] = figure?.layout.sliders ?? [];
  states = (control?.steps ?? []).map(frameOf);
  jumps = (figure?.layout.updatemenus?.[0].buttons ?? []).map(frameOf);
  state = control?.active ?? 0;
  find(".states").hidden = !states.length;
  find(".caption").textContent = control?.currentvalue?.prefix ?? "";
  slider.setAttribute("aria-label", find(".caption").textContent);
  slider.max = Math.max(0, states.length - 1);
  find(".jumps").replaceChildren(...jumps.map((jump) => el("button", { type: "button", onclick: () => go(placeOf(jump)) }, jump.label)));
  stage.setAttribute("aria-label", figure?.layout.meta?.summary ?? "Chart");
  showState();
  if (figure) stage.style.minHeight = `${laidOut(figure.layout).height}px`; // nothing below jumps when it is drawn
  draw();
}

// The layout without Plotly's own controls, and with what the figure changes on a narrow page.
function laidOut(layout) {
  const { sliders, updatemenus, ...rest } = layout;
  const { below = 0, ...narrow } = layout.meta?.narrow ?? {};
  if (stage.clientWidth < below)
    for (const [key, value] of Object.entries(narrow))
      rest[key] = typeof value === "object" ? { ...rest[key], ...value } : value;
  return rest;
}

// The value is read anew each time, since Plotly writes the frame on show into the data that it was given.
async function draw() {
  stale = !visible || !stage.clientWidth;
  drawn = false;
  const turn = ++drawing;
  if (!props.value) plotly?.purge(stage);
  if (stale || !props.value) return;
  try {
    plotly ??= await loadPlotly(props.plotly_url);
  } catch (error) {
    find(".empty").textContent = error.message;
    find(".empty").hidden = false;
    return;
  }
  if (turn !== drawing) return;
  width = stage.clientWidth;
  const { data, layout: given, frames } = JSON.parse(props.value);
  const layout = laidOut(given);
  stage.style.minHeight = `${layout.height}px`;
  // A changed config makes Plotly drop the frames.
  config ??= { displaylogo: false, displayModeBar: "hover", modeBarButtons: [[pngButton()]] };
  await plotly.react(stage, { data, layout: { ...layout, width, template: template() }, frames, config });
  if (turn !== drawing) return;
  drawn = true;
  if (states.length) animate();
}

function template() {
  const { ink, paper } = themeOf(root);
  const axis = {
    automargin: true, color: rgb(mixed(paper, ink, 0.75)), gridcolor: rgb(mixed(paper, ink, 0.12)),
    linecolor: rgb(mixed(paper, ink, 0.3)), title: { standoff: 8, font: { size: 12 } },
  };
  return { layout: {
    font: { color: rgb(ink), family: getComputedStyle(root).fontFamily, size: 12 },
    xaxis: axis, yaxis: axis,
    annotationdefaults: { font: { size: 13 } },
    hoverlabel: { bgcolor: rgb(paper), bordercolor: rgb(mixed(paper, ink, 0.3)), font: { color: rgb(ink) } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: rgb(ink, 0.55), activecolor: rgb(ink) },
  } };
}

function pngButton() {
  const save = () => {
    const layout = { ...stage.layout, paper_bgcolor: rgb(themeOf(root).paper) };
    const filename = layout.meta?.name ?? "chart";
    plotly.downloadImage({ data: stage.data, layout }, { format: "png", scale: 2, width, height: layout.height, filename });
  };
  return { name: "png", title: "Save PNG", icon: plotly.Icons.camera, click: save };
}

const placeOf = ({ name }) => states.findIndex((one) => one.name === name);

function animate() {
  const { name, options } = states[state];
  return plotly.animate(stage, [name], options);
}

function showState() {
  if (!states.length) return;
  slider.value = state;
  slider.setAttribute("aria-valuetext", states[state].label);
  find(".now").textContent = states[state].label;
  [...find(".jumps").children].forEach((button, i) => button.setAttribute("aria-pressed", placeOf(jumps[i]) === state));
}

function go(place) {
  state = place;
  showState();
  soon();
}

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; if (drawn) animate(); });
}

slider.addEventListener("input", () => go(Number(slider.value)));
new IntersectionObserver((entries) => {
  visible = entries.at(-1).isIntersecting;
  if (visible && stale) draw();
}).observe(root);
new ResizeObserver(() => { if (stage.clientWidth !== width) draw(); }).observe(stage);
onThemeChange(root, draw);
watch("value", load);
watch("empty", load);
load();
