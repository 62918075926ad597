// The payload: from base64 of gzipped JSON to typed arrays. Points are the pictures first, then the captions.

const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };

function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

const arrayOf = (packed) => new ARRAYS[packed.type](bytesOf(packed.data).buffer);

async function unpackedMap(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const payload = JSON.parse(await new Response(stream).text());
  const { dimensions, low, extent } = payload.coordinates;
  const steps = arrayOf(payload.coordinates), count = steps.length / dimensions;
  const axes = low.map((start, axis) =>
    Float32Array.from({ length: count }, (_, p) => start + (steps[p * dimensions + axis] / 65535) * extent[axis]));
  const textRows = arrayOf(payload.text_rows), { pictures, names, captions } = payload;
  const rowOf = Uint32Array.from({ length: count }, (_, p) => (p < pictures ? p : textRows[p - pictures]));
  return {
    ...payload, count, dimensions, axes, rowOf,
    low, high: axes.map((axis) => axis.reduce((highest, value) => Math.max(highest, value), axis[0] ?? 0)),
    columns: payload.columns.map((column) => ({ ...column, values: arrayOf(column.codes ?? column.values) })),
    clusters: payload.clusters && { names: payload.clusters.names, codes: arrayOf(payload.clusters.codes) },
    density: payload.density.map((grid) => grid && { ...grid, values: arrayOf(grid) }),
    isCaption: (p) => p >= pictures,
    nameOf: (p) => (p < pictures ? names[p] : captions[rowOf[p]] ?? names[rowOf[p]]),
    captionOf: (p) => captions[rowOf[p]],
  };
}

// The same pictures and captions, wherever they lie.
function samePoints(one, other) {
  return Boolean(one && other) && one.count === other.count && one.pictures === other.pictures
    && one.names.every((name, row) => name === other.names[row]);
}

function sameClusters(one, other) {
  return Boolean(one.clusters) && one.clusters.names.join("\n") === other.clusters.names.join("\n")
    && one.clusters.codes.every((code, p) => code === other.clusters.codes[p]);
}

function sameCoordinates(one, other) {
  return one.dimensions === other.dimensions
    && one.axes.every((axis, a) => axis.every((value, p) => value === other.axes[a][p]));
}
