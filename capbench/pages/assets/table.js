// The table of scores: sorted by any column, filtered by name, columns shown or hidden.

/** The section of a board's scores. */
function scoresSection(board, id) {
  const state = { by: 'rank', down: false, find: '', hidden: new Set() };
  const body = make('tbody');
  const head = make('tr');
  const note = make('p', { class: 'count', role: 'status' });
  const table = make(
    'table',
    { class: 'scores' },
    make('caption', { class: 'unseen' }, `Scores of ${plural(board.lines.length, 'system')} with 95% intervals and ranks`),
    make('thead', {}, head),
    body,
  );
  const again = () => {
    const order = sortedLines(board, state);
    head.replaceChildren(...heads(board, state, again));
    body.replaceChildren(...order.map((i) => lineOf(board, i, state)));
    note.textContent = `${count(order.length)} of ${plural(board.lines.length, 'system')}`;
  };
  again();
  const find = searchBox('Find a captioner', 'name or run', (text) => {
    state.find = text;
    again();
  });
  const bar = make('div', { class: 'bar' }, find, columnChooser(board, state, again), note);
  const lead = `Dots are values, bars 95% bootstrap intervals on one scale a column; the number in a box is the rank by that column alone. A rank is one more than the number of systems that are better beyond chance; = is shared. n is ${count(board.n)} unless a cell says otherwise.`;
  return section(id, 'Scores', lead, bar, sideways('Scores', table), outOfOrderNotes(board));
}

/** Why some rank is better than one above it: the lines are ordered by value. */
function outOfOrderNotes(board) {
  const named = (i) => make('span', { class: 'who' }, mark(i), words(board.lines[i].label, 'b'));
  const ranked = (i) => [named(i), ` (${board.lines[i].rank})`];
  const notes = board.outOfOrder.map(({ above, below, by }) => make('li', {},
    ...ranked(below), ' stands below ', ...ranked(above), ': ', ...by.flatMap((i, n) => [n ? ', ' : '', named(i)]),
    by.length === 1 ? ' is' : ' are', ' better than ', named(above), ' beyond chance, and not better than ', named(below), '.'));
  return notes.length ? make('ul', { class: 'disagree order' }, notes) : null;
}

/** The lines to show, in order. */
function sortedLines(board, { by, down, find }) {
  const shown = board.lines.map((_, i) => i).filter((i) => `${board.lines[i].label}\n${board.lines[i].run}`.toLowerCase().includes(find));
  const value = (i) => {
    const line = board.lines[i];
    if (by === 'rank') return i; // the lines come in the order of the headline
    if (by === 'name') return line.label.toLowerCase();
    if (by === 'seconds') return line.seconds ?? Infinity;
    if (by === 'date') return line.date;
    const cell = line.cells[by];
    if (!cell || cell.value === null) return null;
    return board.columns[by].better === 'low' ? cell.value : -cell.value;
  };
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null); // without a number: last, either way
    const order = x < y ? -1 : x > y ? 1 : a - b;
    return down ? -order : order;
  };
  return shown.sort(compare);
}

function heads(board, state, again) {
  const head = (by, label, about, classes = '') => {
    const on = state.by === by;
    const press = () => {
      Object.assign(state, { by, down: on ? !state.down : false });
      again();
      document.getElementById(`${board.id}-by-${by}`).focus();
    };
    const sort = on ? (state.down ? 'descending' : 'ascending') : 'none';
    const button = make('button', { type: 'button', id: `${board.id}-by-${by}`, click: press }, label, make('span', { class: 'way', 'aria-hidden': 'true' }, on ? (state.down ? ' ▴' : ' ▾') : ''));
    return make('th', { scope: 'col', class: classes, 'aria-sort': sort }, button, make('small', {}, about));
  };
  const columns = shownColumns(board, state).map((k) => {
    const { label, better, note } = board.columns[k];
    const label2 = [words(label), ' ', make('span', { 'aria-hidden': 'true' }, ARROW[better])];
    return head(k, label2, `${BETTER[better]} [${note}]`, 'number');
  });
  return [
    head('rank', 'Rank', `by ${visible(board.sortedBy)}`, 'rank'),
    head('name', 'Captioner', '', 'name'),
    ...columns,
    board.timed && head('seconds', 'Speed', 'a caption', 'number'),
    board.dated && head('date', 'Run on', '', 'number'),
  ].filter(Boolean);
}

function shownColumns(board, state) {
  return board.columns.map((_, k) => k).filter((k) => !state.hidden.has(k));
}

/** One system. */
function lineOf(board, i, state) {
  const line = board.lines[i];
  const about = [line.cut && `${plural(line.cut, 'caption')} truncated`, line.empty && `${plural(line.empty, 'caption')} empty`].filter(Boolean);
  const name = make('th', { scope: 'row', class: 'name' },
    make('span', { class: 'who' }, mark(i), nameOf(line.label, { title: visible(line.run) })),
    about.length ? make('small', { class: 'flaw' }, about.join(', ')) : null);
  const cells = shownColumns(board, state).map((k) => cellOf(board, i, k));
  return make('tr', {},
    make('td', { class: 'rank' }, rankText(board.lines.map((other) => other.rank), i)),
    name, cells,
    board.timed && make('td', { class: 'number plain' }, line.seconds === null ? '–' : seconds(line.seconds)),
    board.dated && make('td', { class: 'number plain' }, line.date || '–'));
}

/** One number: value, rank in the column, whisker, bounds. */
function cellOf(board, i, k) {
  const cell = board.lines[i].cells[k];
  if (!cell) return make('td', { class: 'number none' }, '–');
  if (cell.value === null) return make('td', { class: 'number none' }, `unscored (${count(cell.unscored)})`);
  const ranks = board.lines.map((line) => line.ranks[k]);
  const known = cell.low !== null && cell.high !== null;
  const bounds = known ? `${show(cell.low)} to ${show(cell.high)}` : 'no interval';
  const missing = [cell.unscored && `${count(cell.unscored)} unscored`, cell.n + cell.unscored !== board.n && `n ${count(cell.n)}`].filter(Boolean);
  const rank = ranks[i] === null ? null : make('span', { class: 'place', title: `rank by ${visible(board.columns[k].label)}` }, make('span', { class: 'unseen' }, 'rank '), rankText(ranks, i));
  return make('td', { class: `number${ranks[i] === 1 ? ' best' : ''}` },
    make('span', { class: 'value' }, make('b', {}, show(cell.value)), rank),
    whisker(cell, scaleOf(board.lines.map((line) => line.cells[k])), i),
    make('small', {}, bounds, missing.length ? make('span', { class: 'flaw' }, ` · ${missing.join(', ')}`) : null));
}

/** Boxes to tick, behind a button. */
function columnChooser(board, state, again) {
  const boxes = board.columns.map((column, k) => {
    const box = make('input', { type: 'checkbox', checked: true, change: () => {
      if (box.checked) state.hidden.delete(k);
      else state.hidden.add(k);
      again();
    } });
    return make('label', {}, box, ' ', words(column.label), make('small', {}, ` [${column.note}]`));
  });
  return make('details', { class: 'chooser' }, make('summary', {}, 'Columns'), make('div', {}, boxes));
}
