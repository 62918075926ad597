// Draws one button for each example; titles are set as text, never as markup.
const row = element.querySelector('.mmx-examples');
JSON.parse(props.value).forEach(({ title, picture }, index) => {
  const button = document.createElement('button');
  button.type = 'button';
  button.title = title;
  const image = document.createElement('img');
  image.src = picture;
  image.alt = title;
  button.append(image);
  button.addEventListener('click', () => trigger('select', { index, value: title }));
  row.append(button);
});
