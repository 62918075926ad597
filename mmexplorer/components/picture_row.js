// Draws one button for each picture; captions are set as text, never as markup.

const row = element.querySelector(".mm-picture-row ol");
const TINY = 128; // pixels of a side up to which every pixel is worth seeing

function tile({ picture, alt, caption }, index) {
  const image = el("img", { src: picture, alt, draggable: "false" });
  image.onload = () => image.classList.toggle("tiny", image.naturalWidth < TINY && image.naturalHeight < TINY);
  const choose = () => trigger("select", { index });
  const title = caption || alt;
  return el("li", {}, el("button", { type: "button", title, onclick: choose }, image, el("small", {}, caption)));
}

function load() {
  row.replaceChildren(...(props.value ? JSON.parse(props.value) : []).map(tile));
  row.scrollLeft = 0;
}

watch("value", load);
load();
