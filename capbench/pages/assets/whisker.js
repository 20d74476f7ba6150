// A value and its interval on the scale that a column's systems share.

const WIDE = 104;
const MARGIN = 6;

/** The scale of a column: from the lowest bound to the highest. */
function scaleOf(cells) {
  const ends = cells.filter((cell) => cell && cell.value !== null).flatMap((cell) => [cell.low ?? cell.value, cell.high ?? cell.value]);
  const low = Math.min(...ends);
  const high = Math.max(...ends);
  const span = high - low || 1;
  return (value) => MARGIN + ((value - low) / span) * (WIDE - 2 * MARGIN);
}

/** The picture; the numbers stand beside it as text. */
function whisker(cell, scale, i) {
  const at = scale(cell.value);
  const known = cell.low !== null && cell.high !== null;
  return draw(
    'svg',
    { class: `whisker ${colourOf(i)}`, width: WIDE, height: 12, viewBox: `0 0 ${WIDE} 12`, 'aria-hidden': 'true' },
    draw('line', { class: 'track', x1: 0, y1: 6, x2: WIDE, y2: 6 }),
    known && draw('line', { class: 'bar', x1: scale(cell.low), y1: 6, x2: scale(cell.high), y2: 6 }),
    known && [cell.low, cell.high].map((end) => draw('line', { class: 'bar', x1: scale(end), y1: 2.5, x2: scale(end), y2: 9.5 })),
    draw('circle', { class: 'dot', cx: at, cy: 6, r: 3.6 }),
  );
}
