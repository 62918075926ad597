/* Visible texts whose contrast against what is behind them is below 4.5 (WCAG 2.2 AA, relative luminance as there). */
() => {
  const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    .getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3])).concat(1);
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const lineage = (element) => (element ? [...lineage(element.parentElement), element] : []);

  const contrast = (element, colour) => {
    const elders = lineage(element).map((elder) => getComputedStyle(elder));
    const back = elders.reduce((under, style) => over(rgba(style.backgroundColor), under), [255, 255, 255, 1]);
    const front = rgba(colour);
    front[3] *= elders.reduce((opacity, style) => opacity * style.opacity, 1);
    const [dark, light] = [luminance(over(front, back)), luminance(back)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    const seen = element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && box.width && box.height;
    if (text && seen && !element.closest('[disabled], script, style')) {
      texts.push([text, contrast(element, getComputedStyle(element).color)]);
    }
  }
  for (const field of document.querySelectorAll('[placeholder]')) {
    if (field.checkVisibility() && !field.value) {
      texts.push([field.placeholder, contrast(field, getComputedStyle(field, '::placeholder').color)]);
    }
  }
  return texts.filter(([, ratio]) => ratio < 4.5).map(([text, ratio]) => `${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
}
