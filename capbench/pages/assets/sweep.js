// The page of a sweep: the trade-off, the points, and every number of their runs.

function start({ sweep }) {
  const near = sweep.points.filter((point) => point.standing === 'near' && point.line !== null).map((point) => point.line);
  const axes = sweep.axes.filter((k) => k !== null);
  const parts = boardSections(sweep.board, '', { axes, near });
  const sections = [parts.plot, pointsSection(sweep), notesSection(sweep), parts.scores, parts.signatures].filter(Boolean);
  const about = `${plural(sweep.points.length, 'point')} · ${sweep.names.map(visible).join(' × ')} · ${visible(sweep.board.benchmark)} version ${sweep.board.version} · ${plural(sweep.board.items, 'image')}`;
  document.body.append(headerOf(`A sweep of ${sweep.title}`, about, linksTo(sections)), make('main', { id: 'main' }, sections), footer());
}

/** Every point in the order of the grid, with what is said of it. */
function pointsSection({ names, columns, points, board }) {
  const heads = [
    ...names.map((name) => make('th', { scope: 'col' }, words(name))),
    make('th', { scope: 'col' }, 'Trade-off'),
    ...columns.map(({ label, better }) => make('th', { scope: 'col', class: 'number' }, words(label), ' ', make('span', { 'aria-hidden': 'true' }, ARROW[better]), make('small', {}, BETTER[better]))),
  ];
  const rows = points.map((point) => make('tr', { class: point.standing },
    point.settings.map((text, n) => make(n ? 'td' : 'th', { class: n ? 'setting' : 'name', ...(n ? {} : { scope: 'row' }) },
      n || point.line === null ? words(text) : make('span', { class: 'who' }, mark(point.line), words(text)))),
    make('td', { class: 'standing' }, point.said, point.error && make('small', { class: 'flaw' }, ' ', words(point.error))),
    point.cells.map((cell) => pointCell(cell))));
  const table = make('table', { class: 'points' },
    make('caption', { class: 'unseen' }, `${plural(points.length, 'point')} of the grid, the first parameter varying slowest`),
    make('thead', {}, make('tr', {}, heads)), make('tbody', {}, rows));
  const lead = `The trade-off is of ${columns.slice(0, 2).map(({ label }) => visible(label)).join(' and ')}. Beaten: a point of the front is as good in both, and better beyond chance in one (paired test on the same ${board.unit}, 5% after Holm). Not told apart: off the front by value, not beyond chance.`;
  return section('points', 'Points', lead, sideways('Points', table));
}

function pointCell(cell) {
  if (!cell) return make('td', { class: 'number none' }, '–');
  if (cell.value === null) return make('td', { class: 'number none' }, `unscored (${count(cell.unscored)})`);
  const bounds = cell.low === null ? 'no interval' : `${show(cell.low)} to ${show(cell.high)}`;
  return make('td', { class: 'number' }, show(cell.value), make('small', {}, bounds, cell.unscored ? make('span', { class: 'flaw' }, ` · ${count(cell.unscored)} unscored`) : null));
}

function notesSection({ notes }) {
  if (!notes.length) return null;
  return section('notes', 'Notes', '', make('ul', { class: 'disagree' }, notes.map((note) => make('li', {}, words(note)))));
}
