// What a caption was painted as, with the seed and how alike the painting is to the picture.

function paintingsOf(view, label, found) {
  const figures = found.map(([file, seed, value, why, revised]) => make('figure', {},
    file ? make('img', { src: `${encodeURIComponent(view.folder)}/${file}`, alt: `Painted from the caption of ${visible(label)}, seed ${seed}`, loading: 'lazy' }) : make('p', { class: 'none' }, why),
    make('figcaption', {}, `seed ${seed}`, value === null ? null : `: ${show(value)}`),
    revised ? make('details', {}, make('summary', {}, 'the prompt that the server made of it'), words(revised, 'p')) : null));
  return make('div', { class: 'paintings', role: 'group', 'aria-label': `Paintings of the caption of ${visible(label)}` }, figures);
}
