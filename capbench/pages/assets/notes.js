// Where the metrics disagree, which pairs differ, what was only reported, and what each number is.

/** Pairs that the headline and other columns order differently, and what each column can tell apart. */
function disagreementSection(board, id) {
  if (board.lines.length < 2 || !board.pairs.length) return null;
  const items = board.disagreements.map((found) => disagreementOf(board, found));
  const none = make('p', {}, 'No column contradicts the headline beyond chance.');
  const rows = board.pairs.map(({ column, compared, same }) => make('tr', {},
    make('th', { scope: 'row' }, words(board.columns[column].label)),
    make('td', { class: 'number plain' }, `${compared - same.length} of ${compared}`),
    make('td', {}, same.length ? same.flatMap(([i, j], n) => [n ? ', ' : '', pairName(board, i, j)]) : 'none')));
  const table = make('table', { class: 'pairs' },
    make('caption', {}, 'Which pairs differ, a metric at a time'),
    make('thead', {}, make('tr', {}, ['Metric', 'Pairs that differ', 'Pairs it cannot tell apart'].map((text, n) => make('th', { scope: 'col', class: n === 1 ? 'number' : '' }, text)))),
    make('tbody', {}, rows));
  return section(id, 'Where the metrics disagree', `Paired bootstrap over the same ${board.unit}, 95%, not corrected for the number of pairs.`,
    items.length ? make('ul', { class: 'disagree' }, items) : none, sideways('Pairs', table));
}

function pairName(board, i, j) {
  return make('span', { class: 'pair' }, words(board.lines[i].label), ' ~ ', words(board.lines[j].label));
}

function disagreementOf(board, { above, below, columns, certain }) {
  const values = (k) => `${show(board.lines[below].cells[k].value)} against ${show(board.lines[above].cells[k].value)}`;
  const sides = columns.flatMap((k, n) => [n ? ', ' : '', words(board.columns[k].label), make('small', {}, ` ${values(k)}`)]);
  return make('li', {},
    make('span', { class: 'who' }, mark(below), words(board.lines[below].label, 'b')), ' is better than ',
    make('span', { class: 'who' }, mark(above), words(board.lines[above].label, 'b')), ' by ', sides, '; ',
    words(board.sortedBy), make('small', {}, ` ${values(0)}`), certain ? ' says the opposite.' : ' cannot tell them apart.');
}

/** Numbers from papers, as their sources print them. */
function reportedSection(board, id) {
  if (!board.reported.length) return null;
  const names = [...new Set(board.reported.flatMap((row) => Object.keys(row.values)))];
  const rows = board.reported.map((row) => make('tr', {},
    make('th', { scope: 'row' }, words(row.captioner)),
    names.map((name) => make('td', { class: 'number plain' }, name in row.values ? String(row.values[name]) : '–')),
    make('td', {}, row.url ? make('a', { href: row.url, rel: 'noreferrer' }, words(row.source)) : words(row.source), row.note && make('small', {}, ` ${visible(row.note)}`))));
  const head = ['Captioner', ...names, 'Source'].map((name, n) => make('th', { scope: 'col', class: n && n <= names.length ? 'number' : '' }, words(name)));
  const table = make('table', { class: 'reported' }, make('caption', { class: 'unseen' }, 'Reported numbers'), make('thead', {}, make('tr', {}, head)), make('tbody', {}, rows));
  return section(id, 'Reported, not run', 'From papers: other code, perhaps other data. They have no rank.', sideways('Reported numbers', table));
}

/** The signatures in full, and how the table was made. */
function signatureSection(board, id) {
  const notes = board.signatures.map((signature, n) => make('li', { value: n + 1 }, make('code', {}, visible(signature))));
  const lead = 'A number is what its signature says: metric, every parameter, tokenizer or encoder, references, data. Numbers whose signatures differ never share a column. Cite the signature beside the number.';
  return section(id, 'Signatures', lead, make('ol', { class: 'signatures' }, notes));
}
