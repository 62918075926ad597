// The words as chips: side by side, or, where words have roles, as flowing text in one group for each role. Part of the
// same function as viewer.js.

const REST = 250; // milliseconds after which a word that arrow keys have reached counts as chosen
const TIGHT = /^[\p{Pe}\p{Pf}.,;:!?%’…]/u; // stands close to the word before it

let resting = null;

function loadWords() {
  data.chips = data.words.map(chip);
  [data.lights, data.marks] = [[], []];
  parts.viewer.classList.toggle("flowing", Boolean(data.roles));
  parts.chips.replaceChildren(...(data.roles ? groups() : data.chips));
}

// Neighbouring words of the same role make one group.
function groups() {
  const result = [];
  data.chips.forEach((node, index) => {
    const role = data.roles[index] ?? "";
    if (result.at(-1)?.dataset.role !== role) {
      const name = make("p", role && role[0].toUpperCase() + role.slice(1));
      const group = make("div", null, ...(role ? [name] : []), make("div", null));
      group.className = "group";
      group.dataset.role = role;
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", name.textContent || "Words");
      result.push(group);
    }
    result.at(-1).lastChild.append(node);
  });
  return result;
}

function chip(label, index) {
  const node = make("div", null, make("i", ""), make("span", label), make("i", ""));
  node.className = data.roles && TIGHT.test(label) ? "chip tight" : "chip";
  node.setAttribute("role", "option");
  const score = data.scores?.[index];
  if (typeof score === "number") {
    const value = make("small", score.toFixed(3));
    value.title = data.score_name;
    node.append(value);
  }
  node.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && set(over, { word: index }));
  node.addEventListener("pointerleave", () => over.word !== null && set(over, { word: null }));
  node.addEventListener("click", () => {
    set(state, { word: index });
    chosen();
  });
  return node;
}

// Only what has changed is touched, and lights are set on nodes without text: among several hundred words that is felt.
function drawWords(values) {
  const most = (values && largest(values)) || 1;
  data.chips.forEach((node, index) => {
    const light = values ? Math.round((100 * values[index]) / most) / 100 : 0;
    if (light !== data.lights[index]) {
      data.lights[index] = node.dataset.lit = light;
      const [tint, bar] = node.getElementsByTagName("i");
      tint.style.opacity = 0.38 * light;
      if (data.roles) bar.style.opacity = light * light;
      else bar.style.transform = `scaleX(${light})`;
    }
    const marks = [index === state.word, index === word()].join();
    if (marks === data.marks[index]) return;
    data.marks[index] = marks;
    node.setAttribute("aria-selected", index === state.word);
    node.tabIndex = index === state.word ? 0 : -1;
    node.classList.toggle("shown", index === word());
  });
}

// Scrolls, among many words, to the chosen one.
function reveal() {
  const [frame, node] = [parts.chips, data.chips[state.word]];
  const top = node.getBoundingClientRect().top - frame.getBoundingClientRect().top;
  if (top < 0 || top > frame.clientHeight - node.offsetHeight) frame.scrollTop += top - frame.clientHeight / 3;
}

// Tells the server, if it listens, which word was chosen.
function chosen() {
  clearTimeout(resting);
  trigger("word", { index: state.word, value: data.words[state.word] });
}

// The word above or below: of the next line in that direction, the one whose middle is nearest.
function inNextLine(direction) {
  const boxes = data.chips.map((node, index) => ({ index, box: node.getBoundingClientRect() }));
  const { box: here } = boxes[state.word];
  const middle = (box) => (box.top + box.bottom) / 2;
  const offset = ({ box }) => direction * (middle(box) - middle(here));
  const ahead = boxes.filter((one) => offset(one) > here.height / 2);
  const line = ahead.reduce((least, one) => Math.min(least, offset(one)), Infinity);
  const apart = ({ box }) => Math.abs(box.left + box.right - here.left - here.right);
  const next = ahead.filter((one) => offset(one) < line + here.height / 2);
  return next.sort((one, other) => apart(one) - apart(other))[0]?.index ?? state.word;
}

parts.chips.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };
  if (!(event.key in steps)) return;
  event.preventDefault();
  over.word = null;
  const vertical = data.roles && (event.key === "ArrowUp" || event.key === "ArrowDown");
  const to = vertical ? inNextLine(steps[event.key]) : clamp(state.word + steps[event.key], data.words.length);
  set(state, { word: to });
  data.chips[to].focus();
  clearTimeout(resting);
  resting = setTimeout(() => data && chosen(), REST);
});
