// A long list of which only the visible rows exist. A listbox to keyboards and screen readers.

const SPARE = 4; // rows drawn above and below what is seen

class VirtualList {
  /** rowOf(item) gives a row's node, open(item, place) is called on Enter or a click; rowHeight in pixels. */
  constructor(label, rowOf, open) {
    this.rowOf = rowOf;
    this.open = open;
    this.items = [];
    this.rows = new Map();
    this.current = 0;
    this.rowHeight = 100;
    this.waiting = false;
    this.inner = make('div', { class: 'inner', role: 'presentation' });
    this.box = make('div', {
      class: 'list', role: 'listbox', tabindex: '0', 'aria-label': label,
      scroll: () => this.later(), keydown: (event) => this.key(event),
    }, this.inner);
    new ResizeObserver(() => this.later()).observe(this.box);
  }

  /** Show other items, or the same in another way. */
  setItems(items, rowHeight) {
    this.items = items;
    this.rowHeight = rowHeight;
    this.current = 0;
    this.box.scrollTop = 0;
    this.refresh();
  }

  /** Draw every visible row again. */
  refresh() {
    this.inner.style.height = `${this.items.length * this.rowHeight}px`;
    this.inner.replaceChildren();
    this.rows.clear();
    this.drawRows();
  }

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawRows();
    });
  }

  drawRows() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.rowHeight) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / this.rowHeight) + SPARE);
    for (const [place, row] of this.rows) {
      if (place < first || place >= last) {
        row.remove();
        this.rows.delete(place);
      }
    }
    for (let place = first; place < last; place += 1) {
      if (!this.rows.has(place)) this.rows.set(place, this.inner.appendChild(this.placed(place)));
    }
    this.markCurrent();
  }

  placed(place) {
    const row = make('div', {
      class: 'row', id: `row-${place}`, role: 'option', 'aria-setsize': this.items.length, 'aria-posinset': place + 1,
      click: () => {
        this.current = place;
        this.markCurrent();
        this.open(this.items[place], place);
      },
    }, this.rowOf(this.items[place]));
    row.style.transform = `translateY(${place * this.rowHeight}px)`;
    row.style.height = `${this.rowHeight}px`;
    return row;
  }

  markCurrent() {
    for (const [place, row] of this.rows) row.setAttribute('aria-selected', String(place === this.current));
    if (this.rows.has(this.current)) this.box.setAttribute('aria-activedescendant', `row-${this.current}`);
    else this.box.removeAttribute('aria-activedescendant');
  }

  /** Make a row current and scroll just enough to see it. */
  go(place) {
    if (!this.items.length) return;
    this.current = Math.min(Math.max(0, place), this.items.length - 1);
    const top = this.current * this.rowHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + this.rowHeight > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + this.rowHeight - this.box.clientHeight;
    this.drawRows();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.rowHeight) - 1);
    const to = {
      ArrowDown: this.current + 1, ArrowUp: this.current - 1, PageDown: this.current + page, PageUp: this.current - page,
      Home: 0, End: this.items.length - 1,
    }[event.key];
    if (to !== undefined) this.go(to);
    else if ((event.key === 'Enter' || event.key === ' ') && this.items.length) this.open(this.items[this.current], this.current);
    else return;
    event.preventDefault();
  }
}
