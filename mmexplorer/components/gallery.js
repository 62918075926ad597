// The gallery. Cards are one stop of the tab key: the arrow keys, Home and End move between them.

const root = element.querySelector(".mm-gallery");
const find = (selector) => root.querySelector(selector);
const thousands = (count) => count.toLocaleString("en");
let data = null, buttons = [], pressed = null;

// Pictures of few pixels keep them visible when they are enlarged.
const TINY = 64;
function picture(uri, alt) {
  const image = el("img", { alt, loading: "lazy", decoding: "async", draggable: "false" });
  image.addEventListener("load", () =>
    image.classList.toggle("tiny", Math.max(image.naturalWidth, image.naturalHeight) <= TINY));
  image.src = uri;
  return image;
}

function leadParts({ picture: uri, title, text, facts }) {
  return [
    uri ? el("div", { class: "large" }, picture(uri, title)) : null,
    el("div", { class: "about" },
      el("h4", {}, title),
      text ? el("blockquote", {}, text) : null,
      facts.length ? el("dl", {}, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))) : null),
  ];
}

function countRow(name, count, most, sum, quiet) {
  return el("li", { class: quiet ? "rest" : null, title: `${name}: ${thousands(count)}` },
    el("span", { class: "name" }, name),
    el("span", { class: "track" }, el("i", { "--share": count / most })),
    el("span", { class: "number" }, thousands(count)),
    el("span", { class: "number part" }, percent(count / sum)));
}

function countRows() {
  const { counts, others } = data;
  const sum = counts.reduce((all, [, count]) => all + count, others.count);
  const most = Math.max(others.count, ...counts.map(([, count]) => count), 1);
  const rows = counts.map(([name, count]) => countRow(name, count, most, Math.max(sum, 1)));
  if (others.classes) rows.push(countRow(`${thousands(others.classes)} more`, others.count, most, sum, true));
  return rows;
}

const scoreText = (score) => (data.score.digits ? signed(score, data.score.digits) : thousands(score));

// Everything on a card in words, as far as it is there: for the tooltip, and for those who hear the page.
function spoken(card) {
  return [
    card.title, card.caption,
    card.class && `${data.class_name} ${card.class}${card.same === null ? "" : card.same ? " (the same)" : " (another)"}`,
    card.score === null ? "" : `${data.score.name} ${scoreText(card.score)}`,
  ].filter(Boolean);
}

function cardButton(card, position) {
  const words = spoken(card);
  const button = el("button", {
    type: "button", class: card.picture ? "card" : "card text", tabindex: position ? -1 : 0,
    "data-point": card.point, title: words.join("\n"), "aria-label": words.join(", "),
    onclick: () => {
      pressed = card.point;
      trigger("select", { index: card.point, value: card.title });
    },
  },
  el("span", { class: "face" }, card.picture ? picture(card.picture, "") : el("q", {}, card.caption || card.title)),
  el("span", { class: "title" }, card.title),
  card.picture && card.caption ? el("span", { class: "caption" }, card.caption) : null,
  card.class ? el("span", { class: card.same ? "class same" : "class" }, card.same ? "\u2713 " : "", card.class) : null,
  card.score === null ? null : el("span", { class: "score", "--share": Math.min(1, Math.max(0, card.score / data.score.full)) },
    el("span", {}, data.score.name), el("span", { class: "number" }, scoreText(card.score))));
  button.addEventListener("focus", () => { for (const other of buttons) other.tabIndex = other === button ? 0 : -1; });
  return button;
}

function columns() {
  const below = buttons.findIndex((button) => button.offsetTop > buttons[0].offsetTop);
  return below < 0 ? buttons.length : below;
}

find(".cards").addEventListener("keydown", (event) => {
  const here = buttons.indexOf(document.activeElement), last = buttons.length - 1;
  const to = {
    ArrowLeft: here - 1, ArrowRight: here + 1, ArrowUp: here - columns(), ArrowDown: here + columns(), Home: 0, End: last,
  }[event.key];
  if (here < 0 || to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (to >= 0 && to <= last) buttons[to].focus();
});

function put(selector, children) {
  const box = find(selector), kept = children.filter(Boolean);
  box.replaceChildren(...kept);
  box.hidden = !kept.length;
}

function load() {
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.point : null;
  data = props.value ? JSON.parse(props.value) : null;
  find(".empty").textContent = props.empty;
  find(".empty").hidden = Boolean(data);
  find(".filled").hidden = !data;
  if (!data) return;
  const { heading, note, lead, cards, total } = data;
  const compared = cards.filter((card) => card.same !== null);
  put(".lead", lead ? leadParts(lead) : []);
  put(".heading", [heading]);
  put(".agreement", [compared.length && `\u2713 the same ${data.class_name}: ${compared.filter((card) => card.same).length} of ${compared.length}`]);
  put(".shown", [total !== null && `${thousands(cards.length)} of ${thousands(total)} shown`]);
  put(".note", [note]);
  put(".counts", countRows());
  buttons = cards.map(cardButton);
  put(".cards", buttons.map((button) => el("li", {}, button)));
  // Whoever walks from neighbour to neighbour by keyboard goes on where the cards begin.
  if (focused !== null && focused !== undefined && buttons.length)
    (buttons.find((button) => button.dataset.point === focused) ?? buttons[0]).focus({ preventScroll: true });
  // A card far below became the lead, which stands at the top.
  if (lead && lead.point === pressed) find(".lead").scrollIntoView({ block: "nearest" });
  pressed = null;
}

watch("value", load);
load();
