// From one flat layout of the same points to the next: dots fly on the overlay while the new picture is drawn below.

const MORPH = 500, MORPH_LIMIT = 10_000;

function mayMorph(map, before, after) {
  return map.drawn && map.stage.clientWidth && before.dimensions === 2 && after.dimensions === 2
    && after.count <= MORPH_LIMIT && !matchMedia("(prefers-reduced-motion: reduce)").matches;
}

// Puts dots in the places of the points that are drawn now; returns what makes them fly to where the points lie then.
function takeOff(map) {
  const { over, plot } = map, places = pixelsOf(map);
  const paint = (placeOf) => {
    const pen = over.getContext("2d"), radius = map.pointSize() / 2;
    clearOverlay(map);
    pen.globalAlpha = 0.85;
    for (const p of map.shown) {
      const [left, top] = placeOf(p);
      pen.fillStyle = colourAt(map.colouring, p);
      pen.fillRect(left - radius, top - radius, 2 * radius, 2 * radius);
    }
    pen.globalAlpha = 1;
  };
  paint((p) => places.get(p));
  map.flying = true;
  plot.style.visibility = "hidden";

  return () => new Promise((done) => {
    const targets = pixelsOf(map), started = performance.now();
    const frame = () => {
      const share = Math.min(1, (performance.now() - started) / MORPH), eased = share * share * (3 - 2 * share);
      paint((p) => {
        const to = targets.get(p), from = places.get(p) ?? to;
        return [from[0] + (to[0] - from[0]) * eased, from[1] + (to[1] - from[1]) * eased];
      });
      if (share < 1 && map.stage.clientWidth) return requestAnimationFrame(frame);
      map.flying = false;
      plot.style.visibility = "";
      drawOverlay(map);
      done();
    };
    requestAnimationFrame(frame);
  });
}

function pixelsOf(map) {
  const [xs, ys] = map.data.axes;
  return new Map(map.shown.map((p) => [p, toPixels(map, xs[p], ys[p])]));
}
