// The payload's maps as numbers: of one layer as they came, of several layers as their mean. Part of the same function
// as viewer.js, whose `data` and `state` it reads; knows no page.

const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const largest = (values) => values.reduce((most, value) => (value > most ? value : most), 0);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function decode() {
  data.bytes = bytesOf(data.maps);
  data.sums = Array.from({ length: data.layers.length * data.words.length }, (_, index) =>
    cells(0, index).reduce((sum, value) => sum + value, 0),
  );
  data.hasShares = data.shares.flat().some((share) => share !== null);
  data.hasTruth = data.truth.some(Boolean);
  data.parts = data.segments && new Float32Array(bytesOf(data.segments.float32).buffer);
  data.means = {};
}

function cells(layer, index) {
  const size = data.rows * data.columns;
  const start = (layer * data.words.length + index) * size;
  return data.bytes.subarray(start, start + size);
}

// The layers on show: [first, last], both included.
const shownRange = () => (over.layer === null ? [state.first, state.last] : [over.layer, over.layer]);

function shownLayers() {
  const [first, last] = shownRange();
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

// A word's map of the layers on show: values from 0 to 255 and what 255 stands for.
function shownMap(index) {
  const layers = shownLayers();
  if (layers.length === 1) return { values: cells(layers[0], index), peak: data.peaks[layers[0]][index] };
  const range = layers.join();
  if (data.means.range !== range) data.means = { range, maps: [] };
  return (data.means.maps[index] ??= meanMap(layers, index));
}

function meanMap(layers, index) {
  const values = new Float32Array(data.rows * data.columns);
  for (const layer of layers) {
    const map = cells(layer, index);
    const unit = data.peaks[layer][index] / 255 / layers.length;
    for (let at = 0; at < values.length; at++) values[at] += map[at] * unit;
  }
  const peak = largest(values);
  return { values: peak > 0 ? values.map((value) => (255 * value) / peak) : values, peak };
}

function scaleTop() {
  return state.shared ? largest(data.words.map((_, index) => shownMap(index).peak)) : shownMap(word()).peak;
}

// How much each word looks at one patch: the patch's part of the word's own map, or the bare value on a shared scale.
function looks(at) {
  const layers = shownLayers();
  return data.words.map((_, index) => {
    let [here, all] = [0, 0];
    for (const layer of layers) {
      const unit = data.peaks[layer][index] / 255;
      here += cells(layer, index)[at] * unit;
      all += data.sums[layer * data.words.length + index] * unit;
    }
    return state.shared ? here / layers.length : here / (all || 1);
  });
}

// The part of a word's whole weight that fell on the image, null where the method has no such notion.
function imageShare(index) {
  const shares = shownLayers().map((layer) => data.shares[layer][index]);
  return shares.includes(null) ? null : mean(shares);
}

// The part that fell on one segment of the conversation, in some layers.
function segmentShare(layers, index, segment) {
  const count = data.segments.names.length;
  return mean(layers.map((layer) => data.parts[(layer * data.words.length + index) * count + segment]));
}
