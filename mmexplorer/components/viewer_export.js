// The viewer's picture with its heatmap, outline and a caption as a PNG, drawn again at export size. Part of the same
// function as viewer.js, whose state it reads.

const EXPORT_SIDE = 1024;
const CAPTION_HEIGHT = 64;

function save() {
  const scale = EXPORT_SIDE / Math.max(data.width, data.height);
  const [width, height] = [data.width, data.height].map((side) => Math.round(side * scale));
  const canvas = Object.assign(document.createElement("canvas"), { width, height: height + CAPTION_HEIGHT });
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = !data.pixelated;
  context.drawImage(parts.picture, 0, 0, width, height);
  const [x, y, right, bottom] = data.box.map((edge, side) => edge * (side % 2 ? height : width));
  context.globalAlpha = state.opacity;
  context.imageSmoothingEnabled = state.smooth;
  context.drawImage(parts.heat, x, y, right - x, bottom - y);
  context.globalAlpha = 0.6;
  context.fillStyle = "#808080";
  const outside = new Path2D();
  outside.rect(0, 0, width, height);
  outside.rect(x, y, right - x, bottom - y);
  context.fill(outside, "evenodd");
  context.globalAlpha = 1;
  const truth = data.truth[word()];
  if (truth && state.truth) {
    const outline = new Path2D();
    outline.addPath(new Path2D(truth.outline), new DOMMatrix([width / truth.size[0], 0, 0, height / truth.size[1], 0, 0]));
    for (const [style, thickness] of [["#000", 7], ["#fff", 3]]) {
      Object.assign(context, { strokeStyle: style, lineWidth: thickness, lineCap: "square" });
      context.stroke(outline);
    }
  }
  context.fillStyle = "#111";
  context.font = "600 24px system-ui, sans-serif";
  context.fillText(data.words[word()], 12, height + 28, width - 24);
  context.font = "16px system-ui, sans-serif";
  const score = data.scores?.[word()];
  const caption = [
    layersText().toLowerCase(),
    typeof score === "number" && `${data.score_name} ${score.toFixed(3)}`,
    `scale 0 to ${number(scaleTop())}`,
    data.method,
    data.model,
  ];
  context.fillText(caption.filter(Boolean).join(" · "), 12, height + 52, width - 24);
  canvas.toBlob((blob) => {
    const link = make("a", null);
    link.href = URL.createObjectURL(blob);
    link.download = `${data.words[word()].replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "word"}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
