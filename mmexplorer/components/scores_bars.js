// Bars: one picture, a row per label, a column per model. Built once per picture, filter or order; a moving slider
// only changes widths and numbers.

function cosineAxis(models) {
  const low = Math.min(...models.map((m) => m.range[0])), high = Math.max(...models.map((m) => m.range[1]));
  const start = Math.floor(low * 20) / 20, end = Math.ceil(high * 20) / 20;
  return end - start < 0.1 ? [start - 0.05, start + 0.1] : [start, end];
}

function buildBars(chart) {
  const { data, chosen } = chart, { models, labels } = data;
  const picture = data.pictures[chosen.picture];
  const lead = chart.model().cosines(chosen.picture);
  const visible = chart.visible((j) => lead[j]).labels;
  const single = models.length === 1;
  const axis = cosineAxis(models);
  const place = (cosine) => Math.min(1, Math.max(0, (cosine - axis[0]) / (axis[1] - axis[0])));

  chart.rows = visible.map((j) => {
    const cells = models.map((model, k) => {
      const bar = el("span", { class: "bar" });
      const probability = el("span", { class: "number" });
      const cosine = model.cosines(chosen.picture)[j];
      const node = el("span", { class: "score" },
        single ? null : el("span", { class: "model" }, model.name),
        el("span", { class: "track", "aria-hidden": true }, bar),
        probability,
        single ? el("span", { class: "dots", "aria-hidden": true }, el("i", { class: "zero", "--at": place(0), hidden: axis[0] >= 0 || axis[1] <= 0 }), el("i", { class: "dot", "--at": place(cosine) })) : null,
        el("span", { class: "number cosine", title: String(cosine) }, el("span", { class: "unseen" }, "cosine "), signed(cosine, 3)),
        el("span", { class: "unseen verdict" }));
      return { node, bar, probability, verdict: node.lastChild, model: k };
    });
    return { j, cells, node: el("li", {}, el("span", { class: "label", title: labels[j] }, labels[j]), ...cells.map((c) => c.node)) };
  });

  const head = el("div", { class: "bars-head" }, el("span", { class: "label" }, "label"), ...models.map((model) =>
    el("span", { class: "score" },
      single ? null : el("span", { class: "model-name" }, model.name),
      el("span", { class: "own-scale" }, single ? "probability" : ""),
      el("span", { class: "number" }, "prob."),
      single ? el("span", { class: "dots" }, el("span", {}, signed(axis[0], 2)), el("span", {}, "cosine"), el("span", {}, signed(axis[1], 2))) : null,
      el("span", { class: "number cosine" }, "cosine"))));

  chart.root.querySelector(".bars").replaceChildren(
    pictureHead(picture, data.pictures.length),
    el("div", { class: `rows ${single ? "single" : "several"}`, "--models": models.length }, head,
      el("ol", { "aria-label": `Labels for ${picture.name}` }, ...chart.rows.map((row) => row.node))),
    chart.rows.length ? "" : el("p", { class: "quiet" }, "No label contains these letters."));
}

function pictureHead(picture, count) {
  if (count < 2 && !picture.thumbnail) return "";
  return el("div", { class: "picture-head" },
    picture.thumbnail ? el("img", { src: picture.thumbnail, alt: "" }) : null,
    el("span", { class: "picture-name" }, picture.name));
}

function refreshBars(chart) {
  const { models } = chart.data, { picture } = chart.chosen;
  const all = models.map((model) => chart.probabilities(model, model.cosines(picture)));
  const winners = models.map((model) => indexOfHighest(model.cosines(picture)));
  for (const { j, cells } of chart.rows)
    for (const { node, bar, probability, verdict, model } of cells) {
      const p = all[model][j];
      bar.style.width = `${100 * p}%`;
      probability.textContent = percent(p);
      probability.title = String(p);
      probability.dataset.value = p;
      node.classList.toggle("winner", winners[model] === j);
      verdict.textContent = winners[model] === j ? ", highest" : "";
    }
  chart.root.querySelectorAll(".several .own-scale").forEach((node, k) => {
    const { scale, activation } = chart.settings(models[k]);
    node.textContent = `${activation}, scale ${scaleText(scale)}`;
  });
}
