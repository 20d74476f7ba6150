// One metric against another, with intervals and the Pareto front.

const STANDING = { first: ', on the Pareto front', near: ', off the Pareto front by value, not told apart from it', '': '' };
const PAD = { left: 56, right: 18, top: 14, bottom: 46 };

/** The section; null where there are not two metrics with a better side, or not two systems.
    given: the columns to begin with, and the systems off their front that are not told apart from it. */
function scatterSection(board, id, given = { axes: [], near: [] }) {
  const usable = board.columns.map((_, k) => k).filter((k) => board.columns[k].better !== 'none' && withNumber(board, k).length > 1);
  if (usable.length < 2) return null;
  const state = { x: usable[0], y: usable.find((k) => board.columns[k].metric !== board.columns[usable[0]].metric) ?? usable[1] };
  if (given.axes.every((k) => usable.includes(k))) [state.x, state.y] = [given.axes[0] ?? state.x, given.axes[1] ?? state.y];
  const begun = { ...state };
  const figure = make('div', { class: 'plot' });
  const front = make('p', { role: 'status' });
  const again = () => {
    const both = withNumber(board, state.x).filter((i) => withNumber(board, state.y).includes(i));
    const best = paretoFront(board, both, state);
    const near = state.x === begun.x && state.y === begun.y ? given.near : [];
    figure.replaceChildren(plotOf(board, both, best, near, state, Math.max(300, figure.clientWidth || 720)));
    const rest = best.length === both.length ? '. Nobody is beaten in both.' : best.length === 1 ? ', best by both.' : '. Each of the others is beaten in both by one of these.';
    const between = best.some((i) => board.lines[i].label.includes(',')) ? '; ' : ', ';
    front.replaceChildren(make('b', {}, 'Pareto front: '), ...best.flatMap((i, n) => [n ? between : '', words(board.lines[i].label)]), rest);
  };
  const names = usable.map((k) => [k, `${visible(board.columns[k].label)} [${board.columns[k].note}]`]);
  const bar = make('div', { class: 'bar' },
    choice('Across', names, state.x, (k) => { state.x = Number(k); again(); }),
    choice('Up', names, state.y, (k) => { state.y = Number(k); again(); }));
  let width = 0;
  new ResizeObserver(() => {
    if (figure.clientWidth === width) return;
    width = figure.clientWidth;
    again();
  }).observe(figure);
  const dotted = given.near.length ? ' A dot within: off the front by value, not beyond chance.' : '';
  return section(id, 'Trade-offs', `Bars are 95% intervals. Filled marks are on the front: no other system is better by both metrics.${dotted} Better is always up and to the right.`, bar, figure, front);
}

function withNumber(board, k) {
  return board.lines.map((_, i) => i).filter((i) => board.lines[i].cells[k] && board.lines[i].cells[k].value !== null);
}

/** The systems that no other beats by both metrics (value by value; chance is the intervals' business). */
function paretoFront(board, systems, { x, y }) {
  const good = (i, k) => board.lines[i].cells[k].value * (board.columns[k].better === 'low' ? -1 : 1);
  const beats = (a, b) => good(a, x) >= good(b, x) && good(a, y) >= good(b, y) && (good(a, x) > good(b, x) || good(a, y) > good(b, y));
  return systems.filter((i) => !systems.some((other) => beats(other, i))).sort((a, b) => good(a, x) - good(b, x));
}

/** A linear scale with round ticks; turned round where low is better. */
function axisOf(board, k, systems, from, to) {
  const ends = systems.flatMap((i) => { const c = board.lines[i].cells[k]; return [c.low ?? c.value, c.high ?? c.value]; });
  let [low, high] = [Math.min(...ends), Math.max(...ends)];
  const space = (high - low || Math.abs(high) || 1) * 0.06;
  [low, high] = [low - space, high + space];
  const rough = (high - low) / Math.max(3, Math.round(Math.abs(to - from) / (to > from ? 110 : 64)));
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) ticks.push(n * step);
  if (board.columns[k].better === 'low') [low, high] = [high, low];
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return { at: (value) => from + ((value - low) / (high - low)) * (to - from), ticks, text: (tick) => tick.toFixed(digits).replace('-', '−') };
}

function plotOf(board, systems, front, near, { x, y }, width) {
  const height = Math.min(460, Math.max(300, width * 0.56));
  const across = axisOf(board, x, systems, PAD.left, width - PAD.right);
  const up = axisOf(board, y, systems, height - PAD.bottom, PAD.top);
  const label = `${visible(board.columns[y].label)} against ${visible(board.columns[x].label)}, ${plural(systems.length, 'system')}`;
  const svg = draw('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': label });
  svg.append(...grid(across, up, width, height));
  svg.append(
    draw('text', { class: 'axis', x: (PAD.left + width - PAD.right) / 2, y: height - 6, 'text-anchor': 'middle' }, `${visible(board.columns[x].label)} ${ARROW[board.columns[x].better]}`),
    draw('text', { class: 'axis', x: 0, y: 0, transform: `translate(13 ${(height - PAD.bottom) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, `${visible(board.columns[y].label)} ${ARROW[board.columns[y].better]}`));
  const spot = (i) => [across.at(board.lines[i].cells[x].value), up.at(board.lines[i].cells[y].value)];
  if (front.length > 1) svg.append(draw('path', { class: 'front', d: stairs(front.map(spot)) }));
  const placed = systems.map(spot).map(([cx, cy]) => ({ left: cx - 8, right: cx + 8, top: cy - 8, bottom: cy + 8 }));
  for (const i of systems) svg.append(pointOf(board, i, { x, y }, across, up, front.includes(i) ? 'first' : near.includes(i) ? 'near' : ''));
  for (const i of systems) svg.append(nameAt(board.lines[i].label, spot(i), placed, width, height));
  return svg;
}

function grid(across, up, width, height) {
  return [
    ...across.ticks.flatMap((tick) => [
      draw('line', { class: 'grid', x1: across.at(tick), x2: across.at(tick), y1: PAD.top, y2: height - PAD.bottom }),
      draw('text', { class: 'tick', x: across.at(tick), y: height - PAD.bottom + 16, 'text-anchor': 'middle' }, across.text(tick))]),
    ...up.ticks.flatMap((tick) => [
      draw('line', { class: 'grid', x1: PAD.left, x2: width - PAD.right, y1: up.at(tick), y2: up.at(tick) }),
      draw('text', { class: 'tick', x: PAD.left - 7, y: up.at(tick) + 4, 'text-anchor': 'end' }, up.text(tick))]),
  ];
}

/** The front as a staircase: what it dominates lies below and to the left. */
function stairs(spots) {
  return spots.map(([cx, cy], n) => (n ? `V${cy}H${cx}` : `M${cx} ${cy}`)).join('');
}

function pointOf(board, i, { x, y }, across, up, standing) {
  const [cx, cy] = [board.lines[i].cells[x], board.lines[i].cells[y]];
  const [px, py] = [across.at(cx.value), up.at(cy.value)];
  const said = `${visible(board.lines[i].label)}: ${visible(board.columns[x].label)} ${show(cx.value)}, ${visible(board.columns[y].label)} ${show(cy.value)}${STANDING[standing]}`;
  return draw('g', { class: `point ${colourOf(i)}${standing ? ` ${standing}` : ''}`, tabindex: '0', role: 'img', 'aria-label': said },
    draw('title', {}, said),
    cx.low !== null && draw('line', { class: 'bar', x1: across.at(cx.low), x2: across.at(cx.high), y1: py, y2: py }),
    cy.low !== null && draw('line', { class: 'bar', x1: px, x2: px, y1: up.at(cy.low), y2: up.at(cy.high) }),
    draw('g', { transform: `translate(${px} ${py})` }, draw('circle', { class: 'halo', r: 11 }), shapeOf(i, 6.5), standing === 'near' && draw('circle', { class: 'halo core', r: 2.4 })));
}

/** The name at the first free place around its mark; left out where there is none (the mark still says it). */
function nameAt(label, [cx, cy], placed, width, height) {
  const short = label.length > 28 ? `${label.slice(0, 27)}…` : label;
  const w = short.length * 6.9 + 6;
  const places = [[12, -7], [-w - 6, -7], [12, 16], [-w - 6, 16], [12, -24], [-w - 6, -24], [12, 33], [-w - 6, 33]];
  for (const [dx, dy] of places) {
    const box = { left: cx + dx - 2, right: cx + dx + w, top: cy + dy - 12, bottom: cy + dy + 4 };
    const inside = box.left > PAD.left && box.right < width && box.top > 0 && box.bottom < height - PAD.bottom;
    if (inside && !placed.some((p) => p.left < box.right && box.left < p.right && p.top < box.bottom && box.top < p.bottom)) {
      placed.push(box);
      return draw('text', { class: 'label', x: cx + dx, y: cy + dy, 'aria-hidden': 'true' }, visible(short));
    }
  }
  return draw('g');
}
