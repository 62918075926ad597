// Downloads made in the browser: the map as PNG with its legend, and the whole map as one HTML page that needs no server.

const INLINED_SHEETS = 16_000_000; // characters of thumbnails that a page may carry

const fileStem = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 60) || "collection";

function download(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function exportPicture(map) {
  const { stage, data, theme, colouring } = map, width = stage.clientWidth, height = stage.clientHeight;
  const source = await map.plotly.toImage(map.plot, { format: "png", width, height, scale: 2 });
  const image = await new Promise((done) => { const one = new Image(); one.onload = () => done(one); one.src = source; });
  const key = 200, head = data.title ? 44 : 12, foot = 34;
  const canvas = el("canvas", { width: 2 * (width + key), height: 2 * (head + height + foot) }), pen = canvas.getContext("2d");
  const ink = rgb(theme.ink), quiet = rgb(mixed(theme.paper, theme.ink, 0.68));
  pen.scale(2, 2);
  pen.fillStyle = rgb(theme.paper);
  pen.fillRect(0, 0, width + key, head + height + foot);
  const text = (value, left, top, { colour = ink, weight = 400, size = 13, room = key - 40 } = {}) => {
    Object.assign(pen, { font: `${weight} ${size}px ${LETTERS}`, fillStyle: colour, textAlign: "left", textBaseline: "middle" });
    let shown = value;
    while (shown.length > 1 && pen.measureText(shown).width > room) shown = shown.replace(/.…?$/u, "") + "…";
    pen.fillText(shown, left, top);
  };
  pen.globalAlpha = map.lit.points.length && data.dimensions === 2 ? 0.4 : 1;
  pen.drawImage(image, 0, head, width, height);
  pen.globalAlpha = 1;
  if (data.dimensions === 2) {
    pen.save();
    pen.beginPath();
    pen.rect(0, head, width, height);
    pen.clip();
    pen.translate(0, head);
    paintOverlay({ ...map, hovered: null, byKey: false }, pen, width, height);
    pen.restore();
  }
  if (data.title) text(data.title, 16, 24, { weight: 650, size: 17, room: width });
  text(data.about, 16, head + height + foot / 2, { colour: quiet, size: 12, room: width + key - 32 });
  text(colouring.label, width + 12, head + 14, { weight: 650 });
  if (colouring.groups) colouring.groups.filter((group) => !map.chosen.hidden.has(group.name)).forEach((group, k) => {
    const top = head + 38 + k * 22;
    mark(pen, [width + 18, top], 5, map.chosen.colour === "modality" && k === 1, group.colour);
    text(group.name, width + 32, top);
  }); else {
    colouring.colours.forEach((colour, step) => { pen.fillStyle = colour; pen.fillRect(width + 12 + step * 3, head + 30, 3.5, 10); });
    text(numberText(colouring.low), width + 12, head + 54, { colour: quiet });
    text(numberText(colouring.high), width + 12 + 3 * RAMP_STEPS - 40, head + 54, { colour: quiet });
  }
  canvas.toBlob((blob) => download(blob, `map-${fileStem(data.title)}.png`));
}

async function inlinedSheets(map) {
  const texts = await Promise.all(map.sheetUrls.map(async (url) => {
    const blob = await (await fetch(new URL(url, document.baseURI))).blob();
    return new Promise((done) => { const reader = new FileReader(); reader.onload = () => done(reader.result); reader.readAsDataURL(blob); });
  }));
  return texts.reduce((sum, text) => sum + text.length, 0) > INLINED_SHEETS ? [] : texts;
}

// The page runs these very scripts: `embeddingMap` is the function that all of them stand in.
async function exportPage(map, markup) {
  const library = await (await fetch(new URL(props.plotly_url, document.baseURI))).text();
  const carried = { value: props.value, highlight: JSON.stringify({ ...map.lit, lit: map.lit.points }), sheet_urls: await inlinedSheets(map).catch(() => []), page_css: "", chosen: { ...map.chosen, hidden: [...map.chosen.hidden] } };
  // What would end a script or open a comment stands only inside texts and patterns, where it can be written this way.
  const script = (text) => `<script>${text.replace(/<(?=\/script|!--)/gi, "\\x3c")}</` + "script>";
  const title = el("p", {}, map.data.title || "Map of a collection").innerHTML;
  const page = [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">`,
    `<title>${title}</title><style>body { margin: 12px; background: #fff; color: #1f2937; color-scheme: light dark; }`,
    `h1 { font: 650 18px/1.4 ${LETTERS}; margin: 0 0 10px; }`,
    `@media (prefers-color-scheme: dark) { body { background: #0b0f19; color: #f3f4f6; --body-text-color: #f3f4f6; --block-background-fill: #1f2937; --border-color-primary: #374151; --color-accent: #818cf8; } }`,
    `#map { ${props.page_css} }</style></head><body><h1>${title}</h1><div id="map">${markup}</div>`,
    script(library), script(`window[Symbol.for("mmexplorer.plotly")] = Promise.resolve(Plotly);`),
    script(`${embeddingMap}\nembeddingMap(document.getElementById("map"), ${JSON.stringify(carried).replaceAll("<", "\\u003c")}, () => {}, () => {});`),
    "</body></html>",
  ];
  download(new Blob(page, { type: "text/html" }), `map-${fileStem(map.data.title)}.html`);
}
