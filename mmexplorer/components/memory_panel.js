// What is in memory: one line, and in the fold below it the device and a row for every model.

const OPEN_SECONDS = 3, FOLDED_SECONDS = 10;
const fold = element.querySelector("details");
const find = (selector) => fold.querySelector(selector);
let clock = null;

// The same answer may come twice, and then the prop does not change.
function ask(event, data) {
  find(".said").textContent = "";
  props.said = "";
  trigger(event, data);
}

function answer() {
  find(".said").textContent = props.said;
}

function row({ key, label, size, share, used, in_use: busy }, mayUnload) {
  const about = el("div", {}, el("div", { class: "name" }, label), el("div", { class: busy ? "used now" : "used" }, used));
  const bar = el("div", { class: "bar", "aria-hidden": "true" }, el("div", { "--share": share }));
  const button = mayUnload && el("button", {
    type: "button", disabled: busy, "data-key": key, "aria-label": `Unload ${label}`,
    onclick: () => ask("evict", { key }),
  }, "Unload");
  return el("li", {}, about, el("div", { class: "share" }, el("div", { class: "size" }, size), bar), button || null);
}

function load() {
  const data = JSON.parse(props.value);
  const focused = fold.contains(document.activeElement) ? document.activeElement : null;
  find(".line").textContent = data.line;
  find("dl").replaceChildren(...data.facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  find(".none").textContent = data.none;
  find(".none").hidden = !data.none;
  find("ul").hidden = !data.models.length;
  find("ul").classList.toggle("fixed", !data.may_unload);
  find("ul").replaceChildren(...data.models.map((model) => row(model, data.may_unload)));
  find(".foot").hidden = !data.models.length;
  find(".foot p").textContent = data.note;
  find(".all").hidden = !data.may_unload;
  find(".all").disabled = data.models.every((model) => model.in_use);
  // A button that is gone, or may not be pressed now, leaves the keyboard where it can go on.
  if (focused && !(focused.isConnected && !focused.disabled && focused.checkVisibility())) {
    const same = focused.dataset.key && find(`[data-key="${CSS.escape(focused.dataset.key)}"]:enabled`);
    (same || find("summary")).focus();
  }
}

// Not while nobody looks at the page.
function tick() {
  if (!document.hidden && element.isConnected) trigger("tick");
}

function pace() {
  clearInterval(clock);
  clock = setInterval(tick, 1000 * (fold.open ? OPEN_SECONDS : FOLDED_SECONDS));
}

find(".all").addEventListener("click", () => ask("evict_all"));
fold.addEventListener("toggle", () => {
  pace();
  find(".said").textContent = "";
  if (fold.open) tick();
});
fold.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !fold.open) return;
  fold.open = false;
  find("summary").focus();
});
document.addEventListener("visibilitychange", tick);
pace();
watch("value", load);
watch("said", answer);
load();
