// The film strip: which step is shown. While the drawing is made the newest one is, unless the visitor went back.

const PACE = 200, CALM_PACE = 1000; // milliseconds of a step while it plays; calm where the visitor asks for little motion
const REST = 250; // and how long a step must be looked at before the server hears of it
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const strip = find(".strip"), slider = find("input"), play = find(".play");
let data = null, frames = [], nodes = [], maps = null, decoded = [];
let at = 0, told = null, telling = null, playing = null;

// While the drawing is made its later frames are still empty.
const lastFilled = () => frames.findLastIndex(Boolean);

// ---- drawing

function frameNode(index) {
  const button = el("button", { type: "button", tabindex: -1, onclick: () => visit(index) },
    el("img", { alt: "", decoding: "sync", draggable: "false" }));
  return el("li", {}, button, el("small", { "aria-hidden": "true" }));
}

function drawStrip() {
  if (nodes.length !== frames.length) {
    nodes = frames.map((_, index) => frameNode(index));
    strip.replaceChildren(...nodes);
  }
  frames.forEach((frame, i) => {
    const [button, label] = nodes[i].children, image = button.firstChild;
    button.disabled = !frame;
    button.setAttribute("aria-label", frame ? `Show step ${frame.number}` : "Not there yet");
    label.textContent = frame?.number ?? i + 1;
    if (frame && image.getAttribute("src") !== frame.clean) image.src = frame.clean;
  });
}

function draw() {
  const frame = frames[at], newest = data.live && at === lastFilled();
  find(".step").textContent = stepText(frame, data.total);
  find(".facts").textContent = frame || data.live ? factsText(frame, data) : "";
  setPicture(find(".of-latent"), frame?.latent, `Noisy latent at step ${frame?.number}`);
  setPicture(find(".of-clean"), newest ? data.newest ?? frame?.clean : frame?.clean, `Predicted clean picture after step ${frame?.number}`);
  setGuidance(find(".of-guidance"), maps, at, frame?.number);
  slider.value = at;
  slider.setAttribute("aria-valuetext", [stepText(frame, data.total), data.live ? "" : factsText(frame, data)].filter(Boolean).join(", "));
  if (!data.live) moveMarker(frame, at / Math.max(1, frames.length - 1));
  nodes.forEach((node, i) => (i === at && frame ? node.setAttribute("aria-current", "step") : node.removeAttribute("aria-current")));
  const node = nodes[at];
  if (node) strip.scrollLeft = node.offsetLeft - strip.offsetLeft - (strip.clientWidth - node.offsetWidth) / 2;
}

// ---- what the visitor does

function show(index) {
  at = Math.min(Math.max(0, lastFilled()), Math.max(0, index));
  draw();
  clearTimeout(telling);
  if (data.live || frames[at].number === told) return;
  telling = setTimeout(() => {
    told = frames[at].number;
    trigger("step", { number: told });
  }, REST);
}

function pause() {
  clearTimeout(playing);
  playing = null;
  play.textContent = "Play";
}

function visit(index) {
  pause();
  show(index);
}

function next() {
  if (!root.isConnected || at >= frames.length - 1) return pause();
  show(at + 1);
  playing = setTimeout(next, calm.matches ? CALM_PACE : PACE);
}

play.addEventListener("click", () => {
  if (playing !== null) return pause();
  play.textContent = "Pause";
  show(at >= frames.length - 1 ? 0 : at);
  playing = setTimeout(next, calm.matches ? CALM_PACE : PACE);
});
slider.addEventListener("input", () => visit(Number(slider.value)));

// ---- a new value

function load() {
  const wentBack = data?.live && at < lastFilled() ? frames[at].number : null;
  pause();
  clearTimeout(telling);
  data = props.value ? JSON.parse(props.value) : null;
  if (data && !data.live && !data.frames.length) data = null; // stopped before the first step
  find(".empty").textContent = props.empty;
  find(".empty").hidden = Boolean(data);
  find(".filled").hidden = !data;
  if (!data) return;
  frames = data.live ? new Array(data.total).fill(null) : data.frames;
  if (data.live) for (const frame of data.frames) frames[frame.number - 1] = frame;
  maps = data.live ? null : unpackedMaps(data.guidance);
  decoded = data.live ? [] : frames.map(({ latent }) => Object.assign(new Image(), { src: latent })); // so that they are there at once
  root.style.setProperty("--ratio", data.size[0] / data.size[1]);
  root.classList.toggle("exact", data.exact);
  find(".of-guidance").hidden = data.live ? !data.guided : !data.guidance;
  find(".transport").hidden = strip.hidden = frames.length < 2;
  play.disabled = data.live;
  slider.max = frames.length - 1;
  setCaptions(data);
  drawScale();
  drawChart(frames, data.live);
  drawStrip();
  find(".notes").replaceChildren(...(data.notes ?? []).map((note) => el("li", {}, note)));
  find(".notes").hidden = !data.notes?.length;
  const found = frames.findIndex((frame) => frame?.number === wentBack);
  at = Math.max(0, found >= 0 ? found : lastFilled());
  told = data.live ? null : frames[at].number;
  draw();
}

watch("value", load);
load();
