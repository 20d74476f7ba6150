// Which images to show, and in which order. Plain functions of the data.

const ORDERS = {
  file: 'order of the benchmark',
  apart: 'A and B furthest apart',
  first: 'A above B, most first',
  second: 'B above A, most first',
  spread: 'largest spread of all systems',
  worst: 'worst on average',
  best: 'best on average',
};

/** The score of a system on an item in a column: a number or null. */
function scoreOf(view, s, k, item) {
  const column = view.scores[s][k];
  return column ? column[item] : null;
}

/** How much better A is than B on an item; null where one has no score. */
function leadOf(view, { column, a, b }, item) {
  const [x, y] = [scoreOf(view, a, column, item), scoreOf(view, b, column, item)];
  if (x === null || y === null) return null;
  return view.board.columns[column].better === 'low' ? y - x : x - y;
}

/** The items to show, in order. state: find, column, a, b, order, only. */
function chosenItems(view, state) {
  const kept = view.ids.map((_, item) => item).filter((item) => isKept(view, state, item));
  if (state.order === 'file') return kept;
  const keys = new Map(kept.map((item) => [item, keyOf(view, state, item)]));
  const known = kept.filter((item) => keys.get(item) !== null);
  return known.sort((i, j) => keys.get(j) - keys.get(i) || i - j);
}

/** What an order sorts by, the largest first; null leaves the item out. */
function keyOf(view, state, item) {
  const lead = leadOf(view, state, item);
  if (state.order === 'apart') return lead === null ? null : Math.abs(lead);
  if (state.order === 'first') return lead !== null && lead > 0 ? lead : null;
  if (state.order === 'second') return lead !== null && lead < 0 ? -lead : null;
  const values = view.board.lines.map((_, s) => scoreOf(view, s, state.column, item)).filter((value) => value !== null);
  if (!values.length) return null;
  if (state.order === 'spread') return Math.max(...values) - Math.min(...values);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const good = view.board.columns[state.column].better === 'low' ? -mean : mean;
  return state.order === 'best' ? good : -good;
}

function isKept(view, state, item) {
  if (state.only === 'failed' && !view.board.lines.some((_, s) => captionsOf(view, s, item).some((text) => text === null))) return false;
  if (state.only === 'unscored' && !view.board.lines.some((_, s) => view.scores[s][state.column] && scoreOf(view, s, state.column, item) === null)) return false;
  if (state.only === 'differ' && new Set([state.a, state.b].map((s) => captionsOf(view, s, item)[0])).size < 2) return false;
  return !state.find || textOf(view, item).includes(state.find);
}

/** A system's captions of an item: one or more texts, null for a failed one; none where the run keeps no captions. */
function captionsOf(view, s, item) {
  const found = view.captions[s] ? view.captions[s][item] : [];
  return Array.isArray(found) ? found : [found];
}

const texts = new Map();

/** Everything written about an item, in lower case, for the search. */
function textOf(view, item) {
  if (!texts.has(item)) {
    const captions = view.board.lines.flatMap((_, s) => captionsOf(view, s, item));
    texts.set(item, [view.ids[item], ...captions, ...(view.references?.[item] ?? [])].join('\n').toLowerCase());
  }
  return texts.get(item);
}
