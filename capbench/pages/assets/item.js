// One image in full: the picture, its references, every caption with every score.

/** A dialog that shows the images of a list one at a time. */
class ItemDialog {
  constructor(view) {
    this.view = view;
    this.title = make('h2', { id: 'item-title' });
    this.place = make('span', { class: 'count', role: 'status' });
    this.body = make('div', { class: 'item' });
    const step = (by, text, sign) => make('button', { type: 'button', class: by < 0 ? 'previous' : 'next', 'aria-label': text, click: () => this.step(by) }, sign);
    this.node = make('dialog', { class: 'viewer', 'aria-labelledby': 'item-title', keydown: (event) => this.key(event), close: () => this.closed() },
      make('header', {}, this.title, this.place, step(-1, 'Previous image', '←'), step(1, 'Next image', '→'),
        make('button', { type: 'button', class: 'close', 'aria-label': 'Close', click: () => this.node.close() }, '✕')),
      this.body);
    this.node.addEventListener('click', (event) => { if (event.target === this.node) this.node.close(); });
  }

  /** Show items[at]; the focus goes back to ``from`` when the dialog is closed. */
  open(items, at, from) {
    Object.assign(this, { items, at, from });
    this.show();
    if (!this.node.open) this.node.showModal();
  }

  step(by) {
    this.at = (this.at + by + this.items.length) % this.items.length;
    this.show();
  }

  key(event) {
    if (event.target.closest('input, select')) return;
    if (event.key === 'ArrowLeft') this.step(-1);
    else if (event.key === 'ArrowRight') this.step(1);
    else return;
    event.preventDefault();
  }

  closed() {
    history.replaceState(null, '', location.pathname + location.search);
    this.from?.focus();
  }

  show() {
    const { view } = this;
    const item = this.items[this.at];
    this.title.replaceChildren(words(view.ids[item]));
    this.place.textContent = `${count(this.at + 1)} of ${count(this.items.length)}`;
    this.body.replaceChildren(
      make('div', { class: 'seen' }, pictureOf(view, item, 'large'), referencesOf(view, item)),
      make('div', { class: 'captions' }, view.board.lines.map((_, s) => cardOf(view, s, item))));
    this.body.scrollTop = 0;
    history.replaceState(null, '', `#image-${item}`);
  }
}

function referencesOf(view, item) {
  const found = view.references?.[item];
  if (!found) return null;
  if (!found.length) return make('p', { class: 'none' }, 'no references');
  const rows = found.map((text, n) => make('li', {}, words(text), n === 0 && view.leftOut ? make('small', {}, ' (left out of the scoring)') : null));
  return [make('h3', {}, 'References'), make('ul', { class: 'references' }, rows)];
}

/** One system's caption and scores; a score is bold where no system has a better one on this image. */
function cardOf(view, s, item) {
  const captions = captionsOf(view, s, item);
  const found = view.elements[s]?.[item];
  const choices = view.candidates[s]?.[item];
  const painted = view.paintings[s]?.[item];
  const judged = view.judged[s]?.[item];
  const said = captions.map((text, n) => (text !== null && found && n === 0 ? markedCaption(text, found) : text === null ? make('p', { class: 'none' }, `no caption: ${visible(reasonOf(view, s, item))}`) : words(text, 'p', { class: 'caption' })));
  const scores = view.board.columns.map((column, k) => [column, k]).filter(([, k]) => view.scores[s][k]).map(([column, k]) => {
    const value = scoreOf(view, s, k, item);
    return make('div', { class: isBest(view, s, k, item) ? 'best' : '' }, make('dt', {}, words(column.label)), make('dd', {}, show(value)));
  });
  return make('article', { class: 'card' },
    make('h3', { class: 'who' }, mark(s), words(view.board.lines[s].label)), said.length ? said : make('p', { class: 'none' }, 'this run keeps no captions'), found ? elementsOf(found) : null, choices?.length ? candidatesOf(choices) : null, judged?.length ? judgedOf(judged) : null, painted?.length ? paintingsOf(view, view.board.lines[s].label, painted) : null, make('dl', {}, scores));
}

function isBest(view, s, k, item) {
  const { better } = view.board.columns[k];
  const mine = scoreOf(view, s, k, item);
  const all = view.board.lines.map((_, other) => scoreOf(view, other, k, item)).filter((value) => value !== null);
  if (mine === null || better === 'none' || all.length < 2) return false;
  return mine === (better === 'low' ? Math.min(...all) : Math.max(...all)) && new Set(all).size > 1;
}
