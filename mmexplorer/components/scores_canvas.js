// The same pictures as on the page, on a canvas at twice the resolution, in the current theme.

const FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif";

function sheet(chart, width, height) {
  const canvas = el("canvas", { width: 2 * width, height: 2 * height });
  const pen = canvas.getContext("2d");
  const { ink, paper, accent } = chart.theme;
  pen.scale(2, 2);
  pen.fillStyle = rgb(paper);
  pen.fillRect(0, 0, width, height);
  pen.textBaseline = "middle";
  const shades = { ink: rgb(ink), quiet: rgb(mixed(paper, ink, 0.68)), line: rgb(mixed(paper, ink, 0.15)), faint: rgb(mixed(paper, ink, 0.06)), accent: rgb(accent), soft: rgb(mixed(paper, accent, 0.45)) };
  const text = (value, x, y, { shade = "ink", align = "left", weight = 400, size = 13, room = Infinity } = {}) => {
    pen.font = `${weight} ${size}px ${FONT}`;
    pen.textAlign = align;
    pen.fillStyle = shades[shade] ?? shade;
    let shown = value;
    while (shown.length > 1 && pen.measureText(shown).width > room) shown = shown.replace(/.…?$/u, "") + "…";
    pen.fillText(shown, x, y);
  };
  const box = (shade, x, y, w, h) => { pen.fillStyle = shades[shade] ?? shade; pen.fillRect(x, y, w, h); };
  return { canvas, pen, text, box, shades };
}

function loaded(uri) {
  return uri ? new Promise((done) => { const image = new Image(); image.onload = () => done(image); image.onerror = () => done(null); image.src = uri; }) : null;
}

function drawFitted(pen, image, x, y, side) {
  const shrink = side / Math.max(image.width, image.height);
  const w = image.width * shrink, h = image.height * shrink;
  pen.imageSmoothingEnabled = shrink < 1;
  pen.drawImage(image, x + (side - w) / 2, y + (side - h) / 2, w, h);
}

function settingText(chart, model) {
  const { scale, bias, activation } = chart.settings(model);
  const shift = activation === "sigmoid" ? biasText(bias) : "";
  const templates = model.templates.length > 1 ? `, ${model.templates.length} templates` : model.templates[0] === "{}" ? "" : `, \u201c${model.templates[0]}\u201d`;
  return `${model.name}: ${activation}(${scaleText(scale)} × cosine${shift})${templates}`;
}

async function barsCanvas(chart) {
  const { data, chosen, rows } = chart, { models, labels } = data, picture = data.pictures[chosen.picture];
  const image = await loaded(picture.thumbnail);
  const names = 220, column = models.length === 1 ? 640 : 340, row = 26, top = 104;
  const width = 24 + names + models.length * column + 24, foot = 22 * models.length + 20;
  const { canvas, pen, text, box } = sheet(chart, width, top + rows.length * row + 12 + foot);
  if (image) drawFitted(pen, image, 24, 16, 56);
  text(picture.name, image ? 92 : 24, 44, { weight: 600, size: 16, room: width - 130 });
  models.forEach((model, k) => {
    const left = 24 + names + k * column, bar = column - 166;
    const p = chart.probabilities(model, model.cosines(chosen.picture)), winner = indexOfHighest(model.cosines(chosen.picture));
    text(models.length > 1 ? model.name : "probability", left, top - 14, { shade: "quiet", size: 12, room: bar });
    if (models.length > 1) text("prob.", left + bar + 76, top - 14, { shade: "quiet", size: 12, align: "right" });
    text("cosine", left + column - 26, top - 14, { shade: "quiet", size: 12, align: "right" });
    rows.forEach(({ j }, r) => {
      const y = top + r * row + row / 2, won = j === winner, weight = won ? 650 : 400;
      if (k === 0) text(labels[j], 24, y, { room: names - 20, weight: models.length === 1 ? weight : 400 });
      box("faint", left, y - 7, bar, 14);
      box(won ? "accent" : "soft", left, y - 7, Math.max(p[j] * bar, p[j] > 0 ? 1 : 0), 14);
      text(percent(p[j]), left + bar + 76, y, { align: "right", weight });
      text(signed(model.cosines(chosen.picture)[j], 3), left + column - 26, y, { align: "right", weight, shade: "quiet" });
    });
  });
  models.forEach((model, k) => text(settingText(chart, model), 24, top + rows.length * row + 30 + k * 22, { shade: "quiet", size: 12, room: width - 48 }));
  return canvas;
}

async function matrixCanvas(chart) {
  const { data, chosen, theme } = chart, { pictures, labels } = data, model = chart.model();
  const { columns } = chart;
  const images = await Promise.all(pictures.map((picture) => loaded(picture.thumbnail)));
  // Browsers refuse canvases wider than 16,384 pixels.
  const names = 190, row = 40, top = 170, cell = Math.min(46, 7800 / columns.length);
  const width = Math.max(560, 24 + names + columns.length * cell + 24);
  const { canvas, pen, text, box } = sheet(chart, width, top + pictures.length * row + 52);
  const { low, high } = matrixShare(chart, model), probability = chosen.measure === "probability";
  text(`${chosen.measure} of ${pictures.length} pictures`, 24, 28, { weight: 600, size: 16 });
  columns.forEach((j, c) => {
    if (cell < 12) return;
    pen.save();
    pen.translate(24 + names + (c + 0.5) * cell, top - 8);
    pen.rotate(-Math.PI / 2);
    text(labels[j], 0, 0, { size: 12, room: top - 60 });
    pen.restore();
  });
  pictures.forEach((picture, i) => {
    const y = top + i * row, cosines = model.cosines(i), p = chart.probabilities(model, cosines), winner = indexOfHighest(cosines);
    if (images[i]) drawFitted(pen, images[i], 24, y + 2, 36);
    text(picture.name, images[i] ? 70 : 24, y + row / 2, { size: 12, room: names - 54 });
    columns.forEach((j, c) => {
      const value = probability ? p[j] : cosines[j], x = 24 + names + c * cell;
      const colour = cellColour(theme, (value - low) / (high - low));
      box(rgb(colour), x, y, cell - (cell > 8 ? 1 : 0), row - 1);
      if (cell >= 30) text(cellText(value, probability), x + cell / 2, y + row / 2, { size: 12, align: "center", weight: j === winner ? 700 : 400, shade: rgb(inkOn(colour)) });
      if (j === winner) { pen.strokeStyle = rgb(theme.ink); pen.lineWidth = 1.5; pen.strokeRect(x + 0.75, y + 0.75, cell - 2.5, row - 2.5); }
    });
  });
  text(settingText(chart, model), 24, top + pictures.length * row + 28, { shade: "quiet", size: 12, room: width - 48 });
  return canvas;
}
