// A map of patches as colours on a canvas. Knows no words and no page; viewer.js follows it in the same function.
"use strict";

const SMOOTH_SIDE = 256; // canvas pixels along the longer side; the browser enlarges the rest of the way

// 256 colours, packed as a canvas stores them. Lightness rises evenly in OKLab (Ottosson 2020) while the hue turns from
// violet over red to yellow, with a chroma that stays inside sRGB, so the order survives colour blindness and grey print.
const ramp = Uint32Array.from({ length: 256 }, (_, step) => {
  const t = step / 255;
  const lightness = 0.2 + 0.75 * t;
  const chroma = 0.06 * (1 - t) ** 2 + 0.442 * t * (1 - t) + 0.12 * t ** 2;
  const hue = ((290 + 175 * t) * Math.PI) / 180;
  const [a, b] = [chroma * Math.cos(hue), chroma * Math.sin(hue)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const [red, green, blue] = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((c) => Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055)));
  const alpha = Math.round(90 + 165 * t); // where little falls the picture itself stays visible
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
});

// Draw a map (rows x columns, values 0 to 255) times `gain` (0 to 1): bilinear when smooth, else a pixel per patch.
function paint(canvas, map, rows, columns, gain, smooth) {
  const unit = smooth ? Math.max(1, Math.round(SMOOTH_SIDE / Math.max(rows, columns))) : 1;
  const [width, height] = [columns * unit, rows * unit];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  // A patch's value belongs to its centre; clamping keeps the outer half patches filled.
  const place = (i, count) => Math.min(count - 1, Math.max(0, (i + 0.5) / unit - 0.5));
  const xs = Float32Array.from({ length: width }, (_, x) => place(x, columns));
  const line = new Float32Array(columns + 1); // one row of patches, the last one repeated
  let next = 0;
  for (let y = 0; y < height; y++) {
    const at = place(y, rows);
    const [upper, lower] = [Math.floor(at) * columns, Math.min(rows - 1, Math.floor(at) + 1) * columns];
    const down = at - Math.floor(at);
    for (let x = 0; x < columns; x++) line[x] = (map[upper + x] * (1 - down) + map[lower + x] * down) * gain;
    line[columns] = line[columns - 1];
    for (let x = 0; x < width; x++) {
      const left = xs[x] | 0;
      pixels[next++] = ramp[Math.round(line[left] + (line[left + 1] - line[left]) * (xs[x] - left))];
    }
  }
  context.putImageData(image, 0, 0);
}
