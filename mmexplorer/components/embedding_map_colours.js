// Colours of points: by modality, cluster, category or number.
//
// The palette is Okabe and Ito's (2008) first six colours and five more, chosen so that no two come closer than theirs do
// in normal, protanope and deuteranope vision and all stand out from white and from near black.

const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#9c72fe", "#03665f", "#ba0d01", "#b5ccad", "#1348dc"];
const MOST = 12;
const RAMP = ["#5b4bc4", "#3f7fc4", "#25a79a", "#83c34f", "#e2c62e"].map(channelsOf);
const RAMP_STEPS = 48;
const LEAST_CONTRAST = 1.6;

function channelsOf(css) {
  const pen = el("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  pen.fillStyle = css;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

function rampColour(share) {
  const place = Math.min(share, 0.9999) * (RAMP.length - 1), step = Math.floor(place);
  return rgb(mixed(RAMP[step], RAMP[step + 1], place - step));
}

function contrast(one, other) {
  const luminance = (colour) => {
    const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return light / dark;
}

// A category's true colour, moved towards the ink where it would vanish in the paper.
function visibleColour(css, { ink, paper }) {
  let colour = channelsOf(css);
  while (contrast(colour, paper) < LEAST_CONTRAST) colour = mixed(colour, ink, 0.1);
  return rgb(colour);
}

function colourChoices(data) {
  const choices = data.count > data.pictures ? [["modality", "pictures and captions"]] : [["one", "one colour"]];
  if (data.clusters) choices.push(["cluster", "cluster"]);
  for (const column of data.columns) choices.push([`column ${column.name}`, column.name]);
  return choices;
}

function defaultColour(data) {
  const wanted = data.columns.find((column) => column.name === data.colour_by);
  return wanted ? `column ${wanted.name}` : data.clusters ? "cluster" : colourChoices(data)[0][0];
}

// {label, groups: [{name, colour}], groupOf(point)} or, for numbers, {label, low, high, missing, colours, colourOf(point)};
// textOf(point) is the value in words, where a column or the clusters give the colours.
function colouringOf({ data, chosen, theme }) {
  const faint = rgb(mixed(theme.paper, theme.ink, 0.38));
  if (chosen.colour === "one") return { label: "", groups: [{ name: "pictures", colour: PALETTE[0] }], groupOf: () => 0 };
  if (chosen.colour === "modality") {
    const groups = ["pictures", "captions"].map((name, k) => ({ name, colour: PALETTE[k] }));
    return { label: "", groups, groupOf: (p) => Number(data.isCaption(p)) };
  }
  if (chosen.colour === "cluster")
    return categories("cluster", data.clusters.names, (p) => data.clusters.codes[p], data.count, () => null, faint);
  const column = data.columns.find((one) => chosen.colour === `column ${one.name}`);
  const { name, values } = column;
  if (column.kind === "number") return numbers(name, values, data, faint);
  const own = (category) => (Object.hasOwn(column.colours, category) ? visibleColour(column.colours[category], theme) : null);
  return categories(name, column.categories, (p) => values[data.rowOf[p]], data.count, own, faint);
}

function categories(label, names, codeOf, count, ownColour, faint) {
  const counts = new Uint32Array(names.length);
  for (let p = 0; p < count; p++) counts[codeOf(p)] += 1;
  const ranked = [...names.keys()].sort((a, b) => counts[b] - counts[a] || a - b);
  const kept = ranked.length > MOST ? ranked.slice(0, MOST - 1) : ranked;
  const groups = kept.map((code, k) => ({ name: names[code], colour: ownColour(names[code]) ?? PALETTE[k] ?? faint }));
  if (kept.length < ranked.length) groups.push({ name: `other (${ranked.length - kept.length})`, colour: faint });
  const groupOfCode = new Uint8Array(names.length).fill(kept.length);
  kept.forEach((code, k) => { groupOfCode[code] = k; });
  return { label, groups, groupOf: (p) => groupOfCode[codeOf(p)], textOf: (p) => names[codeOf(p)] };
}

function numbers(label, values, data, faint) {
  let low = Infinity, high = -Infinity, missing = 0;
  for (const value of values)
    if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); } else missing += 1;
  const colours = Array.from({ length: RAMP_STEPS }, (_, step) => rampColour(step / (RAMP_STEPS - 1)));
  const colourOf = (p) => {
    const value = values[data.rowOf[p]];
    if (!Number.isFinite(value)) return faint;
    return colours[high > low ? Math.round(((value - low) / (high - low)) * (RAMP_STEPS - 1)) : 0];
  };
  return { label, low, high, missing, colours, faint, colourOf, textOf: (p) => numberText(values[data.rowOf[p]]) };
}

const numberText = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "no value");

const colourAt = (colouring, p) => (colouring.groups ? colouring.groups[colouring.groupOf(p)].colour : colouring.colourOf(p));
