// Downloads made in the browser: CSV, JSON, and PNG drawn on a canvas.

function exportScores(chart, kind) {
  const name = fileName(chart, kind);
  if (kind === "csv") save(new Blob(["\ufeff", scoresCsv(chart)], { type: "text/csv;charset=utf-8" }), `${name}.csv`);
  else if (kind === "json") save(new Blob([JSON.stringify(scoresJson(chart), null, 2)], { type: "application/json" }), `${name}.json`);
  else (kind === "matrix" ? matrixCanvas : barsCanvas)(chart).then((canvas) => canvas.toBlob((blob) => save(blob, `${name}.png`)));
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function fileName(chart, kind) {
  const { models, pictures } = chart.data;
  const plain = (text) => text.toLowerCase().replace(/\.[a-z]{3,4}$/, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40);
  const subject = kind === "png" || pictures.length === 1 ? pictures[chart.chosen.picture].name : `${pictures.length} pictures`;
  const model = kind === "matrix" || models.length === 1 ? chart.model().name : `${models.length} models`;
  return ["scores", plain(model), plain(subject), kind === "matrix" ? "matrix" : ""].filter(Boolean).join("-");
}

function scoresJson(chart) {
  const { labels, pictures, models, remarks } = chart.data;
  return {
    labels, remarks, pictures: pictures.map((picture) => picture.name),
    models: models.map((model) => {
      const { scale, bias, activation } = chart.settings(model);
      const rows = pictures.map((_, i) => model.cosines(i));
      return {
        model: model.name, templates: model.templates,
        logit_scale: scale, logit_bias: bias, activation,
        model_logit_scale: model.scale, model_activation: model.activation,
        cosines: rows.map((row) => [...row]),
        probabilities: rows.map((row) => [...chart.probabilities(model, row)]),
        template_cosines: model.spread ? model.templates.map((_, t) => pictures.map((_, i) => [...model.spread(t, i)])) : null,
      };
    }),
  };
}

// A cell that a spreadsheet would take for a formula gets an apostrophe; numbers are ours and stay numbers.
function csvCell(value) {
  if (typeof value === "number") return String(value);
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

function scoresCsv(chart) {
  const { labels } = chart.data, result = scoresJson(chart);
  const lines = [["model", "picture", "label", "cosine", "probability", "activation", "logit_scale", "logit_bias", "templates"]];
  for (const model of result.models)
    result.pictures.forEach((picture, i) => labels.forEach((label, j) => lines.push([
      model.model, picture, label, model.cosines[i][j], model.probabilities[i][j],
      model.activation, model.logit_scale, model.logit_bias, model.templates.join(" | "),
    ])));
  return lines.map((line) => line.map(csvCell).join(",") + "\r\n").join("");
}
