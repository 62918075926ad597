// Numbers: the payload's float32 arrays, how cosines become probabilities, and how both are written.

function floats(packed) {
  const bytes = Uint8Array.from(atob(packed.float32), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// Double precision and shifted by the highest logit, as results.probabilities does it.
function probabilitiesOf(cosines, scale, bias, activation) {
  const result = new Float64Array(cosines.length);
  let highest = -Infinity, sum = 0;
  for (let j = 0; j < result.length; j++) {
    result[j] = cosines[j] * scale + bias;
    if (result[j] > highest) highest = result[j];
  }
  if (activation === "sigmoid") return result.map((x) => 0.5 * (1 + Math.tanh(0.5 * x)));
  for (let j = 0; j < result.length; j++) sum += result[j] = Math.exp(result[j] - highest);
  for (let j = 0; j < result.length; j++) result[j] /= sum;
  return result;
}

function indexOfHighest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

function signed(value, digits) {
  return value.toFixed(digits).replace("-", "\u2212");
}

function percent(p) {
  if (p > 0 && p < 0.0005) return "<0.1\u00a0%";
  if (p < 1 && p > 0.9995) return ">99.9\u00a0%";
  return (100 * p).toFixed(1) + "\u00a0%";
}

function biasText(bias) {
  return bias === 0 ? "" : ` ${bias < 0 ? "\u2212" : "+"} ${Math.abs(bias).toFixed(1)}`;
}

function scaleText(scale) {
  return scale >= 100 ? scale.toFixed(0) : scale.toFixed(1);
}
