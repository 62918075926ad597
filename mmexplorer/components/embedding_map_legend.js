// The legend: a button for each colour that shows or hides its points, with how many there are; or a scale of numbers.

const countText = (count) => count.toLocaleString("en");

function buildLegend(map) {
  const { colouring, chosen, data } = map, box = map.find(".legend");
  const title = el("p", { class: "legend-title" }, colouring.label);
  if (!colouring.groups) {
    const stops = colouring.colours.filter((_, step) => step % 6 === 0 || step === RAMP_STEPS - 1);
    box.replaceChildren(title,
      el("div", { class: "scale" },
        el("i", { class: "ramp", "--stops": stops.join(",") }),
        el("span", {}, numberText(colouring.low)), el("span", {}, numberText(colouring.high))),
      colouring.missing ? el("p", { class: "quiet" }, el("i", { class: "swatch", "--colour": colouring.faint }), `no value: ${countText(colouring.missing)}`) : "");
    return;
  }
  const counts = new Uint32Array(colouring.groups.length);
  for (let p = 0; p < data.count; p++) if (ofModality(map, p)) counts[colouring.groupOf(p)] += 1;
  const toggle = (group) => {
    chosen.hidden.has(group.name) ? chosen.hidden.delete(group.name) : chosen.hidden.add(group.name);
    map.filtered();
  };
  const items = colouring.groups.map((group, k) => el("li", {},
    el("button", { type: "button", class: "group", "aria-pressed": String(!chosen.hidden.has(group.name)), title: group.name, onclick: () => toggle(group) },
      el("i", { class: chosen.colour === "modality" && k ? "swatch diamond" : "swatch", "--colour": group.colour }),
      el("span", { class: "group-name" }, group.name),
      el("span", { class: "group-count" }, countText(counts[k])))));
  const several = colouring.groups.length > 1;
  const every = (hide) => () => { chosen.hidden = new Set(hide ? colouring.groups.map((group) => group.name) : []); map.filtered(); };
  // A click builds the list anew: the focus goes on to the same place.
  const focused = [...box.querySelectorAll("button")].indexOf(document.activeElement);
  box.replaceChildren(title, el("ul", {}, ...items),
    several ? el("p", { class: "both" },
      el("button", { type: "button", onclick: every(false) }, "all"), el("button", { type: "button", onclick: every(true) }, "none")) : "");
  box.querySelectorAll("button")[focused]?.focus();
}

function ofModality({ data, chosen }, p) {
  return chosen.modality === "both" || (chosen.modality === "captions") === data.isCaption(p);
}

// The points on show, in their order.
function shownPoints(map) {
  const { data, colouring, chosen } = map, shown = [];
  const hidden = colouring.groups?.map((group) => chosen.hidden.has(group.name));
  for (let p = 0; p < data.count; p++) if (ofModality(map, p) && !hidden?.[colouring.groupOf(p)]) shown.push(p);
  return shown;
}
