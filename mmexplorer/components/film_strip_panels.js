// The large pictures of one step, the sentence above them and the line of noise levels. Knows no scrubber; film_strip.js
// follows it in the same function.

const root = element.querySelector(".mm-film-strip");
const find = (selector) => root.querySelector(selector);

const rounded = (value, digits) => String(Number(value.toFixed(digits)));
const secondsText = (seconds) => (seconds < 0.9995 ? `${(1000 * seconds).toFixed(0)} ms` : `${seconds.toFixed(1)} s`);
const etaText = (eta) => (eta === null ? "" : eta < 1 ? "less than a second left" : `about ${Math.round(eta)} s left`);

function stepText(frame, total) {
  return `Step ${frame ? frame.number : 0} of ${total}`;
}

// Timestep, noise level and time of a step; while the drawing is made only the time that remains.
function factsText(frame, data) {
  if (data.live) return etaText(data.eta);
  return `timestep ${rounded(frame.timestep, 1)}, noise level ${frame.noise_level.toFixed(2)} (share of noise), ${secondsText(frame.seconds)}`;
}

// A picture stays on the screen until the next one is decoded, so that nothing flickers.
function setPicture(figure, uri, alt) {
  const image = figure.querySelector("img");
  figure.classList.toggle("waiting", !uri);
  if (uri && image.getAttribute("src") !== uri) image.src = uri;
  image.alt = uri ? alt : "";
}

function setGuidance(figure, maps, index, number) {
  const canvas = figure.querySelector(".frame canvas");
  figure.classList.toggle("waiting", !maps);
  canvas.setAttribute("aria-label", maps ? `Strength of the guidance vector at step ${number}` : "");
  if (!maps) return;
  const size = maps.rows * maps.columns;
  paint(canvas, maps.values.subarray(index * size, (index + 1) * size), maps.rows, maps.columns, 1, false);
}

function unpackedMaps(guidance) {
  if (!guidance) return null;
  const [, rows, columns] = guidance.maps.shape;
  return { rows, columns, values: Uint8Array.from(atob(guidance.maps.uint8), (c) => c.charCodeAt(0)) };
}

// What the three pictures are, the same for every step. Each text has the room of two lines, on a phone of five, so that
// nothing moves when the drawing is complete.
function setCaptions(data) {
  const caption = (panel, text) => { find(`${panel} figcaption span`).textContent = text; };
  caption(".of-clean", data.decoded
    ? "The network’s guess, after this step, at the finished picture."
    : "The network’s guess at the finished picture, in rough colours.");
  caption(".of-latent", data.live
    ? "What the network saw: shown when the picture is complete."
    : `What the network saw: ${data.latent.shape.join(" × ")} numbers, ${data.latent.mapped ? "as colours by a linear map" : "three channels as colours"}.`);
  caption(".of-guidance", data.live
    ? "What the prompt changes: shown when the picture is complete."
    : "Conditional minus unconditional prediction; one scale for all steps.");
  find(".of-guidance").title = data.live ? "" : `Mean absolute value over ${data.latent.shape[0]} channels`;
  find(".scale").style.visibility = data.guidance ? "" : "hidden";
  find(".most").textContent = data.guidance ? rounded(data.guidance.most, 3) : "";
}

function drawScale() {
  paint(find(".scale canvas"), Uint8Array.from({ length: 256 }, (_, i) => i), 1, 256, 1, false);
}

function drawChart(frames, live) {
  const points = live ? [] : frames.map((frame, i) => [i / Math.max(1, frames.length - 1), 1 - Math.min(1, frame.noise_level)]);
  const line = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(4)} ${y.toFixed(4)}`).join("");
  find(".chart .line").setAttribute("d", line);
  find(".chart .area").setAttribute("d", line && `${line}L1 1L0 1Z`);
  find(".marker").hidden = live;
}

function moveMarker(frame, share) {
  find(".marker").style.setProperty("--x", share);
  find(".marker").style.setProperty("--y", Math.min(1, frame.noise_level));
}
