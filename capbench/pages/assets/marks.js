// A system's mark: a colour and a shape, so that colour is never the only difference.

const COLOURS = 8;

const SHAPES = [
  (r) => draw('circle', { r: r * 0.9 }),
  (r) => draw('rect', { x: -r * 0.8, y: -r * 0.8, width: r * 1.6, height: r * 1.6 }),
  (r) => draw('path', { d: `M0 ${-r}L${r} ${r * 0.8}L${-r} ${r * 0.8}Z` }),
  (r) => draw('path', { d: `M0 ${-r * 1.1}L${r * 1.1} 0L0 ${r * 1.1}L${-r * 1.1} 0Z` }),
  (r) => draw('path', { d: `M0 ${r}L${r} ${-r * 0.8}L${-r} ${-r * 0.8}Z` }),
  (r) => draw('path', { d: `M${-r * 0.35} ${-r}h${r * 0.7}v${r * 0.65}h${r * 0.65}v${r * 0.7}h${-r * 0.65}v${r * 0.65}h${-r * 0.7}v${-r * 0.65}h${-r * 0.65}v${-r * 0.7}h${r * 0.65}Z` }),
  (r) => draw('path', { d: `M0 ${-r}L${r * 0.95} ${-r * 0.3}L${r * 0.6} ${r * 0.85}L${-r * 0.6} ${r * 0.85}L${-r * 0.95} ${-r * 0.3}Z` }),
];

/** The class that gives system i its colour. */
function colourOf(i) {
  return `s${i % COLOURS}`;
}

/** The bare shape of system i, centred on 0, 0. */
function shapeOf(i, radius) {
  return SHAPES[i % SHAPES.length](radius);
}

/** The mark of system i as a small picture beside its name. */
function mark(i) {
  return draw('svg', { class: `mark ${colourOf(i)}`, viewBox: '-7 -7 14 14', 'aria-hidden': 'true' }, shapeOf(i, 5.5));
}
