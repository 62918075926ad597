// The answer's tokens. They are one stop of the tab key: the arrow keys move over them, and the one they are on is kept
// in the card beside the text; the mouse shows others there in passing.

const root = element.querySelector(".mm-tokens");
const find = (selector) => root.querySelector(selector);
const ORDINALS = ["likeliest", "second likeliest", "third likeliest", "fourth likeliest", "fifth likeliest"];
const MOST_BREAKS = 2; // an answer of empty lines would push its text out of sight
let data = null, nodes = [], kept = null, over = null;

const quoted = ({ text, kind }) => (kind === "end" ? "end of the answer" : `“${text}”`);

// ---- the text

function tokenNode(token, position) {
  const node = el("span", {
    class: ["token", token.kind, token.forced ? "forced" : ""].join(" ").trim(), role: "option", "data-position": position,
    "--p": token.probability, tabindex: -1,
    "aria-label": `${quoted(token)}, ${percent(token.probability)}${token.forced ? ", put there by you" : ""}`,
  }, token.text, el("small", {}, percent(token.probability)));
  return node;
}

function flowParts() {
  const parts = [];
  data.tokens.forEach((token, position) => {
    if (token.space || token.kind === "end") parts.push(" ");
    parts.push(nodes[position]);
    for (let line = 0; line < Math.min(token.breaks, MOST_BREAKS); line++) parts.push(el("br"));
  });
  return parts;
}

function summary() {
  const { tokens } = data, first = tokens.filter((token) => token.rank === 1).length;
  const least = tokens[leastLikely()];
  const count = `${tokens.length} token${tokens.length === 1 ? "" : "s"}`;
  const likeliest = first === tokens.length ? (first === 1 ? "the likeliest" : "each the likeliest") : `${first} of them the likeliest`;
  return `${count}, ${likeliest}. Least sure: ${quoted(least)}, ${percent(least.probability)}.`;
}

function leastLikely() {
  return data.tokens.reduce((least, token, i) => (token.probability < data.tokens[least].probability ? i : least), 0);
}

// ---- the card

function nameNode(tag, token) {
  return el(tag, { class: `name ${token.kind}`, title: token.text, dir: "auto" },
    token.space ? el("span", { class: "blank", title: "begins with a space" }, "␣") : null, token.text);
}

function why(token) {
  const place = token.rank ? `The ${ORDINALS[token.rank - 1]} here` : "Not among the five likeliest here";
  if (token.forced) return `${place}; put there by you.`;
  return token.rank === 1 ? `${place}.` : `${place}; drawn by chance at temperature ${data.temperature}.`;
}

function alternativeRow(token, position, other, index) {
  const chosen = other.id === token.id;
  const go = el("button", {
    type: "button", "aria-label": `Continue with ${quoted(other)} in place of ${quoted(token)}`,
    onclick: () => trigger("force", { position, id: other.id, index, value: other.text }),
  }, "Continue");
  return el("li", { class: chosen ? "is-chosen" : null },
    nameNode("span", other),
    el("span", { class: "track", "aria-hidden": "true" }, el("i", { "--p": other.probability })),
    el("span", { class: "number" }, percent(other.probability)),
    chosen ? el("span", { class: "state" }, token.forced ? "yours" : "written") : go);
}

function cardParts(position) {
  const token = data.tokens[position];
  const rows = token.alternatives.map((other, index) => alternativeRow(token, position, other, index));
  if (!token.rank) rows.push(alternativeRow(token, position, token, null));
  return [
    el("div", { class: "chosen" }, nameNode("h4", token),
      el("span", { class: "place" }, `token ${position + 1} of ${data.tokens.length}, ${percent(token.probability)}`)),
    el("p", { class: "why" }, why(token)),
    el("ol", { class: "alternatives", "aria-label": "Likeliest tokens at this place" }, ...rows),
    el("p", { class: "hint" }, "Continue: keep the answer up to here, put that token, and let the model go on."),
  ];
}

function draw() {
  const position = over ?? kept;
  nodes.forEach((node, i) => {
    node.setAttribute("aria-selected", i === kept);
    node.classList.toggle("shown", i === position);
    node.tabIndex = i === (kept ?? 0) ? 0 : -1;
  });
  find(".card").replaceChildren(...(position === null
    ? [el("p", { class: "hint" }, "Point at a token to see what else was likely; click to keep it here.")]
    : cardParts(position)));
}

function show(change) {
  if ("kept" in change) kept = change.kept;
  over = change.over ?? null;
  draw();
}

// ---- what the visitor does

const positionOf = (event) => {
  const node = event.target.closest(".token");
  return node ? Number(node.dataset.position) : null;
};

// The token above or below: of the next line in that direction, the one whose middle is nearest.
function inNextLine(from, direction) {
  const boxes = nodes.map((node) => node.getBoundingClientRect());
  const start = boxes[from], middle = (box) => (box.left + box.right) / 2;
  const ahead = boxes.map((box, i) => ({ box, i })).filter(({ box }) => direction * (box.top - start.top) > start.height / 2);
  if (!ahead.length) return from;
  const line = Math.min(...ahead.map(({ box }) => direction * box.top));
  const nearest = ahead.filter(({ box }) => direction * box.top - line < start.height / 2)
    .sort((one, other) => Math.abs(middle(one.box) - middle(start)) - Math.abs(middle(other.box) - middle(start)))[0];
  return nearest.i;
}

const flow = find(".flow");
flow.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse" && positionOf(event) !== over) show({ over: positionOf(event) }); });
flow.addEventListener("pointerleave", () => { if (over !== null) show({}); });
flow.addEventListener("click", (event) => { if (positionOf(event) !== null) show({ kept: positionOf(event) }); });
flow.addEventListener("keydown", (event) => {
  const here = positionOf(event);
  if (here === null || event.ctrlKey || event.altKey || event.metaKey) return;
  const to = {
    ArrowLeft: () => here - 1, ArrowRight: () => here + 1, Home: () => 0, End: () => nodes.length - 1,
    ArrowUp: () => inNextLine(here, -1), ArrowDown: () => inNextLine(here, 1), Enter: () => here, " ": () => here,
  }[event.key]?.();
  if (to === undefined) return;
  event.preventDefault();
  if (to < 0 || to >= nodes.length) return;
  show({ kept: to });
  nodes[to].focus();
});
element.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !data || kept === null) return;
  const inCard = find(".card").contains(document.activeElement), was = kept;
  show({ kept: null });
  if (inCard) nodes[was].focus();
});

find(".numbers").addEventListener("click", () => {
  const on = flow.classList.toggle("with-numbers");
  find(".numbers").setAttribute("aria-pressed", on);
});

// ---- a new value

function load() {
  const hadFocus = root.contains(document.activeElement);
  const payload = props.value ? JSON.parse(props.value) : null;
  data = payload?.tokens.length ? payload : null;
  find(".empty").textContent = props.empty;
  find(".empty").hidden = Boolean(data);
  find(".filled").hidden = !data;
  if (!data) return;
  nodes = data.tokens.map(tokenNode);
  flow.replaceChildren(...flowParts());
  flow.scrollTop = 0;
  find(".summary").textContent = summary();
  find(".of-forced").hidden = !data.tokens.some((token) => token.forced);
  const forced = data.tokens.findLastIndex((token) => token.forced);
  show({ kept: forced >= 0 ? forced : leastLikely() }); // where the answer was most open
  if (hadFocus) nodes[kept].focus({ preventScroll: true });
}

watch("value", load);
load();
