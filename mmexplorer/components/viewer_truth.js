// How well a mean of several layers agrees with an object's mask: what figures.viewer.ground_truth_score says of single
// layers, which come with the payload. Part of the same function as viewer.js.

const TOLERANCE = 0.5; // patches

function truthScore(index) {
  const truth = data.truth[index];
  const [first, last] = shownRange();
  if (first === last) return { hit: truth.hits[first], iou: truth.ious[first] };
  const map = shownMap(index);
  return (map.score ??= agreement(truth, map.values));
}

function agreement(truth, map) {
  const [width, height] = truth.size;
  const [left, top, right, bottom] = data.box.map((edge, side) => edge * truth.size[side % 2]);
  const mask = (truth.mask ??= filled(truth));
  const strongest = map.indexOf(largest(map));
  const across = reach(strongest % data.columns, left, (right - left) / data.columns, width);
  const down = reach(Math.floor(strongest / data.columns), top, (bottom - top) / data.rows, height);
  let touched = false;
  for (let y = down[0]; y < down[1]; y++) {
    for (let x = across[0]; x < across[1]; x++) touched ||= mask[y * width + x] === 1;
  }
  const pixels = onPixels(map, width, height, [left, top, right, bottom]);
  const area = mask.reduce((sum, inside) => sum + inside, 0);
  const least = pixels.slice().sort()[pixels.length - area];
  let [both, either] = [0, 0];
  pixels.forEach((value, at) => {
    const strong = value > 0 && value >= least;
    both += strong && mask[at];
    either += strong || mask[at];
  });
  return { hit: touched && map.some((value) => value < map[strongest]), iou: both / either };
}

// The mask inside an outline: a row's pixel is inside after an odd number of upright strokes.
function filled({ outline, size: [width, height] }) {
  const mask = new Uint8Array(width * height);
  for (const [, x, top, bottom] of outline.matchAll(/M(\d+) (\d+)V(\d+)/g)) {
    if (Number(x) < width) for (let y = Number(top); y < Number(bottom); y++) mask[y * width + Number(x)] ^= 1;
  }
  for (let y = 0; y < height; y++) for (let x = 1; x < width; x++) mask[y * width + x] ^= mask[y * width + x - 1];
  return mask;
}

// The pixels within the tolerance of a patch's centre along one axis, at least the one under the centre.
function reach(patch, start, step, pixels) {
  const first = Math.trunc(start + (patch + 0.5 - TOLERANCE) * step);
  const last = Math.ceil(start + (patch + 0.5 + TOLERANCE) * step);
  return [Math.max(first, 0), Math.min(Math.max(last, first + 1), pixels)];
}

// A map at a picture's pixels, bilinear, zero outside its box.
function onPixels(map, width, height, [left, top, right, bottom]) {
  const pixels = new Float32Array(width * height);
  const place = (pixel, start, stop, count) =>
    Math.min(count - 1, Math.max(0, ((pixel + 0.5 - start) * count) / (stop - start) - 0.5));
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, bottom); y++) {
    const v = place(y, top, bottom, data.rows), upper = Math.floor(v), lower = Math.min(upper + 1, data.rows - 1);
    for (let x = Math.max(0, Math.floor(left)); x < Math.min(width, right); x++) {
      const u = place(x, left, right, data.columns), near = Math.floor(u), far = Math.min(near + 1, data.columns - 1);
      const at = (row, column) => map[row * data.columns + column];
      const mixed = (row) => at(row, near) * (1 - (u - near)) + at(row, far) * (u - near);
      pixels[y * width + x] = mixed(upper) * (1 - (v - upper)) + mixed(lower) * (v - upper);
    }
  }
  return pixels;
}
