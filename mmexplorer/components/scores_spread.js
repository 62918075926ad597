// Spread: what each wording of the prompt would say alone, and the ensemble beside it, for the picture on show.

const SPREAD_ROWS = 8;

function drawSpread(chart) {
  const { data, chosen } = chart, model = chart.model(), section = chart.root.querySelector(".spread");
  section.hidden = !model.spread;
  if (section.hidden) return section.replaceChildren();

  const probability = chosen.measure === "probability";
  const written = (value) => (probability ? percent(value) : signed(value, 3));
  const score = (cosines) => ({ cosines, chances: chart.probabilities(model, cosines), winner: indexOfHighest(cosines) });
  const ensemble = score(model.cosines(chosen.picture));
  const alone = model.templates.map((text, t) => ({ text, ...score(model.spread(t, chosen.picture)) }));
  const value = (result, j) => (probability ? result.chances : result.cosines)[j];
  const visible = chart.visible((j) => ensemble.cosines[j]).labels.slice(0, SPREAD_ROWS);
  const axis = probability ? [0, 1] : spreadAxis(visible, [ensemble, ...alone]);
  const place = (v) => (v - axis[0]) / (axis[1] - axis[0]);

  const strips = visible.map((j) => {
    const values = alone.map((result) => value(result, j));
    const low = Math.min(...values), high = Math.max(...values);
    return el("li", {}, el("span", { class: "label", title: data.labels[j] }, data.labels[j]),
      el("span", { class: "strip", "aria-hidden": true },
        el("i", { class: "extent", "--from": place(low), "--to": place(high) }),
        ...values.map((v, t) => el("i", { class: "one", "data-template": t, "--at": place(v), title: `${alone[t].text}: ${written(v)}` })),
        el("i", { class: "together", "--at": place(value(ensemble, j)), title: `ensemble: ${written(value(ensemble, j))}` })),
      el("span", { class: "number" }, written(low) === written(high) ? written(low) : `${written(low)} \u2013 ${written(high)}`));
  });
  const line = (result, text, t) => el("tr", { class: t === null ? "ensemble" : "", "data-template": t,
    onpointerenter: () => mark(t, true), onpointerleave: () => mark(t, false) },
    el("th", { scope: "row" }, text),
    el("td", { class: result.winner === ensemble.winner ? "" : "differs" }, data.labels[result.winner]),
    el("td", { class: "number" }, percent(result.chances[result.winner])),
    el("td", { class: "number" }, signed(result.cosines[result.winner], 3)));
  const mark = (t, on) => section.querySelectorAll(`.one[data-template="${t}"]`).forEach((dot) => dot.classList.toggle("marked", on));
  const scrolled = section.querySelector(".templates")?.scrollTop ?? 0;

  section.replaceChildren(
    el("h4", {}, "Which wording wins"),
    el("p", { class: "quiet" }, spreadSentence(data.labels, ensemble, alone)),
    el("div", { class: "strips" },
      el("div", { class: "strips-head", "aria-hidden": true }, el("span", { class: "label" }, "label"),
        el("span", { class: "strip-axis" }, el("span", {}, probability ? "0\u00a0%" : signed(axis[0], 2)),
          el("span", { class: "key" }, el("i", { class: "one" }), "one template", el("i", { class: "together" }), "ensemble"),
          el("span", {}, probability ? "100\u00a0%" : signed(axis[1], 2))),
        el("span", { class: "number" }, "range")),
      el("ol", { "aria-label": `Range of the ${chosen.measure} over the templates` }, ...strips)),
    el("div", { class: "templates", tabindex: 0, role: "region", "aria-label": "Each template's winner" },
      el("table", {},
        el("thead", {}, el("tr", {}, ...["template", "highest label", "probability", "cosine"].map((text, i) =>
          el("th", { scope: "col", class: i > 1 ? "number" : "" }, text)))),
        el("tbody", {}, line(ensemble, `ensemble of ${alone.length}`, null), ...alone.map((result, t) => line(result, result.text, t))))));
  section.querySelector(".templates").scrollTop = scrolled;
}

function spreadAxis(visible, results) {
  const values = results.flatMap((result) => visible.map((j) => result.cosines[j]));
  const low = Math.floor(Math.min(...values) * 20) / 20, high = Math.ceil(Math.max(...values) * 20) / 20;
  return [low, Math.max(high, low + 0.05)];
}

function spreadSentence(labels, ensemble, alone) {
  const winner = ensemble.winner;
  const chance = (result) => result.chances[winner];
  const best = alone.reduce((a, b) => (chance(b) > chance(a) ? b : a));
  const worst = alone.reduce((a, b) => (chance(b) < chance(a) ? b : a));
  const others = alone.filter((result) => result.winner !== winner).length;
  const agreement = others === 0 ? "Every template alone agrees" : `${others} of ${alone.length} templates alone would choose another label`;
  const [most, least] = [percent(chance(best)), percent(chance(worst))];
  const extremes = most === least ? "" : `; \u201c${best.text}\u201d gives it most (${most}), \u201c${worst.text}\u201d least (${least})`;
  return `The ensemble says \u201c${labels[winner]}\u201d, ${percent(chance(ensemble))}. ${agreement}${extremes}.`;
}
