// The browser of images: a picture, what every system says of it, and where they differ.

const NARROW = window.matchMedia('(max-width: 640px)');

/** The section. open(items, place) shows one image in full. */
function imagesSection(view, open) {
  const n = view.board.lines.length;
  const state = { find: '', column: view.firstColumn, a: 0, b: Math.min(1, n - 1), order: 'file', only: 'all' };
  const note = make('p', { class: 'count', role: 'status' });
  const list = new VirtualList('Images; Enter opens one', (item) => rowOf(view, state, item), (_, place) => open(list.items, place, list.box));
  const empty = make('p', { class: 'empty', hidden: true }, 'No image fits. Change the search or the filter.');
  const again = () => {
    const items = chosenItems(view, state);
    list.setItems(items, rowHeight(n));
    empty.hidden = items.length > 0;
    list.box.hidden = items.length === 0;
    note.textContent = `${count(items.length)} of ${plural(view.ids.length, 'image')}`;
  };
  const set = (name, number) => (value) => {
    state[name] = number ? Number(value) : value;
    again();
  };
  NARROW.addEventListener('change', again);
  printRows(list);
  const bar = make('div', { class: 'bar' }, searchBox('Find', 'words of captions, references, ids', set('find')), ...choices(view, state, set), note);
  const where = view.pictures ? 'Pictures are as the models saw them.' : 'Pictures and references are shown when the page is made with the benchmark: capbench view RUN -b BENCHMARK.';
  const made = section('images', 'Images', `${where} Scores are an image's own; those of a whole corpus are not their mean.`, bar, list.box, empty);
  again();
  return { node: made, list };
}

function choices(view, state, set) {
  const { columns, lines } = view.board;
  const names = lines.map((line, s) => [s, visible(line.label)]);
  const scored = columns.map((_, k) => k).filter((k) => view.scores.some((own) => own[k]));
  const orders = Object.entries(ORDERS).filter(([name]) => lines.length > 1 || ['file', 'worst', 'best'].includes(name));
  const only = [['all', 'all images'], ['failed', 'a caption failed'], ['unscored', 'a score is missing']];
  if (lines.length > 1) only.push(['differ', 'A and B say different things']);
  return [
    scored.length > 0 && choice('Score', scored.map((k) => [k, `${visible(columns[k].label)} [${columns[k].note}]`]), state.column, set('column', true)),
    lines.length > 1 && choice('A', names, state.a, set('a', true)),
    lines.length > 1 && choice('B', names, state.b, set('b', true)),
    choice('Order', orders, state.order, set('order'), true),
    choice('Show', only, state.only, set('only'), true),
  ].filter(Boolean);
}

/** How many systems a row names. */
function shownSystems(n) {
  return Math.min(n, NARROW.matches ? 3 : 5);
}

function rowHeight(n) {
  return 44 + Math.max(2, shownSystems(n)) * 25 + (n > shownSystems(n) ? 20 : 0);
}

function rowOf(view, state, item) {
  const order = [...new Set([state.a, state.b, ...view.board.lines.keys()])].slice(0, shownSystems(view.board.lines.length));
  const lead = view.board.lines.length > 1 ? leadOf(view, state, item) : null;
  const rest = view.board.lines.length - order.length;
  return make('div', { class: 'inside' },
    pictureOf(view, item, 'thumb'),
    make('div', { class: 'said' },
      make('div', { class: 'id' }, words(view.ids[item]), lead !== null && make('span', { class: 'lead-by', title: 'A minus B, better is more' }, `A−B ${signed(lead)}`)),
      order.map((s) => make('div', { class: 'line' }, mark(s), words(view.board.lines[s].label, 'span', { class: 'by' }), captionLine(view, s, item), scoreBadge(view, s, state.column, item))),
      rest > 0 && make('div', { class: 'rest' }, `and ${plural(rest, 'more system')}`)));
}

/** A caption on one line. */
function captionLine(view, s, item) {
  const [text, ...more] = captionsOf(view, s, item);
  if (text === undefined) return make('span', { class: 'text none' }, 'this run keeps no captions');
  if (text === null) return make('span', { class: 'text none' }, `no caption: ${visible(reasonOf(view, s, item))}`);
  return make('span', { class: 'text' }, words(text.slice(0, 400)), more.length ? make('small', {}, ` +${more.length}`) : null);
}

function reasonOf(view, s, item) {
  return view.reasons[s]?.[item] ?? 'failed';
}

function scoreBadge(view, s, k, item) {
  return make('span', { class: 'score' }, show(scoreOf(view, s, k, item)));
}

/** A picture, or why there is none. */
function pictureOf(view, item, classes) {
  const file = view.pictures?.[item];
  if (file) return make('img', { class: classes, src: `${encodeURIComponent(view.folder)}/${file}`, alt: '', loading: 'lazy', decoding: 'async' });
  const why = view.pictures ? view.unseen[item] ?? 'no picture' : 'no picture';
  return make('span', { class: `${classes} blank` }, visible(why));
}

/** Paper has no scrolling: print the first fifty rows one below the other. */
function printRows(list) {
  const paper = make('div', { class: 'paper' });
  window.addEventListener('beforeprint', () => {
    paper.replaceChildren(...list.items.slice(0, 50).map((item) => make('div', { class: 'row' }, list.rowOf(item))));
    if (list.items.length > 50) paper.append(make('p', {}, `The first 50 of ${count(list.items.length)} images.`));
    list.box.after(paper);
  });
  window.addEventListener('afterprint', () => paper.remove());
}
