// Elements: text enters the page only as textContent, so that a label can never become markup.

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Colours as the page has them now: [r, g, b] of the ink, the paper and the accent.
function themeOf(root) {
  const probe = root.querySelector(".probe");
  const read = (name) => {
    probe.style.color = `var(${name})`;
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  return { ink: read("--ink"), paper: read("--paper"), accent: read("--accent") };
}

function mixed(from, to, share) {
  return from.map((channel, i) => Math.round(channel + (to[i] - channel) * share));
}

function rgb(colour, alpha = 1) {
  return `rgba(${colour.join(",")},${alpha})`;
}

// Black or white, whichever can be read better on a colour (relative luminance of WCAG 2).
function inkOn(colour) {
  const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return luminance > 0.179 ? [15, 18, 24] : [255, 255, 255];
}

// Gradio marks dark mode on the body; colours that were computed must follow.
function onThemeChange(root, redraw) {
  const observer = new MutationObserver(() => (root.isConnected ? redraw() : observer.disconnect()));
  observer.observe(document.body, { attributes: true, attributeFilter: ["class"] });
}

let uniqueCount = 0;
function uniqueName(stem) {
  uniqueCount += 1;
  return `${stem}-${Math.random().toString(36).slice(2, 9)}-${uniqueCount}`;
}
