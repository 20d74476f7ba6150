// Elements from data. Text is only ever set as text, so no string that comes from a run becomes markup or script.

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element with attributes (functions become listeners; null and false are left out) and children. */
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A labelled <select>. options: [value, text] pairs; wide: a line of its own on a phone. */
function choice(label, options, value, change, wide = false) {
  const select = make(
    'select',
    { change: () => change(select.value) },
    options.map(([key, text]) => make('option', { value: key, selected: String(key) === String(value) }, text)),
  );
  return make('label', { class: wide ? 'field wide' : 'field' }, make('span', {}, label), select);
}

/** A labelled search box. */
function searchBox(label, hint, change) {
  const input = make('input', { type: 'search', placeholder: hint, autocomplete: 'off', spellcheck: 'false' });
  let waiting = 0;
  input.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change(input.value.trim().toLowerCase()), 120);
  });
  return make('label', { class: 'field grow' }, make('span', {}, label), input);
}

/** A section with a heading that links lead to. */
function section(id, title, lead, ...children) {
  const heading = make('h2', { id: `${id}-title` }, title);
  const about = lead ? make('p', { class: 'lead' }, lead) : null;
  return make('section', { id, 'aria-labelledby': `${id}-title` }, heading, about, ...children);
}

/** A box that scrolls sideways, reachable by keyboard. */
function sideways(label, child) {
  return make('div', { class: 'sideways', role: 'region', tabindex: '0', 'aria-label': label }, child);
}
