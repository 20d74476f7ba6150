// Galleries: the pictures that a caption has to be found among, side by side, with the rank that each system's gets.

const MOST = 200; // pictures of one gallery that are drawn

const BAG_ORDERS = { file: 'order of the benchmark', hard: 'hardest first', easy: 'easiest first', apart: 'A and B furthest apart' };

/** The section; null where no run was judged in galleries. */
function bagsSection(view, open) {
  if (!view.galleries.length) return null;
  const state = { set: 0, order: 'file', at: 0, a: 0, b: Math.min(1, view.board.lines.length - 1), bags: [] };
  const title = make('h3', { id: 'gallery-name' });
  const note = make('p', { class: 'count', role: 'status' });
  const grid = make('div', { class: 'gallery', role: 'group', 'aria-labelledby': 'gallery-name' });
  const paint = () => {
    const set = view.galleries[state.set];
    const bag = set.bags[state.bags[state.at]];
    title.replaceChildren(words(bag.id));
    note.textContent = `gallery ${count(state.at + 1)} of ${count(state.bags.length)}, ${plural(bag.members.length, 'picture')}`;
    grid.replaceChildren(
      ...bag.members.slice(0, MOST).map((item, m) => memberOf(view, bag, item, m, (from) => open(bag.members, m, from))),
      ...(bag.members.length > MOST ? [make('p', {}, `and ${plural(bag.members.length - MOST, 'more picture')}`)] : []));
  };
  const again = () => {
    state.bags = orderedBags(view.galleries[state.set].bags, state);
    state.at = 0;
    paint();
  };
  const step = (by, text, sign) => make('button', { type: 'button', 'aria-label': text, click: () => {
    state.at = (state.at + by + state.bags.length) % state.bags.length;
    paint();
  } }, sign);
  const set = (name, number) => (value) => { state[name] = number ? Number(value) : value; again(); };
  const names = view.board.lines.map((line, s) => [s, visible(line.label)]);
  const orders = Object.entries(BAG_ORDERS).filter(([name]) => names.length > 1 || name !== 'apart');
  const bar = make('div', { class: 'bar' },
    view.galleries.length > 1 && choice('Galleries', view.galleries.map((found, n) => [n, visible(found.label)]), 0, set('set', true)),
    choice('Order', orders, state.order, set('order'), true),
    names.length > 1 && choice('A', names, state.a, set('a', true)),
    names.length > 1 && choice('B', names, state.b, set('b', true)));
  again();
  const head = make('div', { class: 'bar tight' }, step(-1, 'Previous gallery', '←'), step(1, 'Next gallery', '→'), title, note);
  return section('galleries', 'Galleries', "The number beside a mark is the rank of the picture when its gallery is searched with that system's caption: 1 is found first.", bar, head, grid);
}

/** Indices of bags in the order asked for. */
function orderedBags(bags, { order, a, b }) {
  const places = [...bags.keys()];
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const rank = (bag, s) => { const known = bag.ranks[s].filter((value) => value !== null); return known.length ? mean(known) : null; };
  const all = (bag) => { const known = bag.ranks.map((_, s) => rank(bag, s)).filter((value) => value !== null); return known.length ? mean(known) : 0; };
  const key = {
    file: () => 0,
    hard: (bag) => -all(bag),
    easy: (bag) => all(bag),
    apart: (bag) => -Math.abs((rank(bag, a) ?? 0) - (rank(bag, b) ?? 0)),
  }[order];
  return places.sort((i, j) => key(bags[i]) - key(bags[j]) || i - j);
}

/** One picture with every system's rank. */
function memberOf(view, bag, item, m, open) {
  const judged = view.board.lines.some((_, s) => bag.ranks[s][m] !== null); // else a distractor only
  const ranks = !judged ? [] : view.board.lines.map((line, s) => {
    const rank = bag.ranks[s][m];
    const text = rank === null ? '–' : Number(rank.toFixed(1));
    return make('span', { class: `found${rank !== null && rank <= 1 ? ' best' : ''}`, title: `${visible(line.label)}: rank ${text}` },
      mark(s), make('span', { class: 'unseen' }, visible(line.label), ' rank '), String(text));
  });
  const button = make('button', { type: 'button', class: 'member', 'aria-label': `Open ${visible(view.ids[item])}`, click: () => open(button) }, pictureOf(view, item, 'tile'));
  return make('figure', { class: judged ? 'judged' : '' }, button, make('figcaption', {}, words(view.ids[item], 'span', { class: 'id' }), make('span', { class: 'ranks' }, ranks)));
}
