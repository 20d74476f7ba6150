// What a caption's elements are worth: supported by a reference or not, and what it leaves out. Signs and words say it
// before colours do.

const ELEMENT_KINDS = ['Objects', 'Attributes', 'Relations'];

/** A caption with its supported and unsupported words marked. */
function markedCaption(text, [marks]) {
  const parts = [];
  let done = 0;
  for (const [start, end, supported] of marks) {
    parts.push(visible(text.slice(done, start)), markedWord(text.slice(start, end), supported));
    done = end;
  }
  return make('p', { class: 'caption', dir: 'auto' }, parts, visible(text.slice(done)));
}

function markedWord(text, supported) {
  const name = supported ? 'supported' : 'unsupported';
  return make('span', { class: name, title: supported ? 'supported by a reference' : 'in no reference' },
    supported ? null : make('span', { class: 'sign' }, '✗', make('span', { class: 'heard' }, ' not supported: ')), visible(text));
}

/** Every element of each kind under what became of it. */
function elementsOf([, kinds]) {
  const rows = kinds.flatMap(([supported, unsupported, label, missing], k) => [
    elementRow(ELEMENT_KINDS[k], 'supported', '✓', 'supported', supported.map(([said, there, stage]) => [said, there ? ` = ${there} (${stage})` : ''])),
    elementRow(ELEMENT_KINDS[k], 'supported', '✓', 'in the image’s labels', label.map((said) => [said, ''])),
    elementRow(ELEMENT_KINDS[k], 'unsupported', '✗', 'not supported', unsupported.map((said) => [said, ''])),
    elementRow(ELEMENT_KINDS[k], 'missing', '+', 'missing', missing.map(([there, texts]) => [there, texts > 1 ? ` ×${texts}` : ''])),
  ]).filter(Boolean);
  const [made, left] = [1, 3].map((place) => kinds.reduce((sum, kind) => sum + kind[place].length, 0));
  return make('details', { class: 'elements' },
    make('summary', {}, `Elements: ${count(made)} not supported, ${count(left)} missing`),
    make('table', {}, make('tbody', {}, rows)));
}

function elementRow(kind, name, sign, text, found) {
  if (!found.length) return null;
  const items = found.map(([said, more]) => make('li', {}, words(said), more ? words(more, 'small') : null));
  return make('tr', { class: name }, make('th', { scope: 'row' }, `${kind} ${text}`, make('span', { class: 'sign', 'aria-hidden': 'true' }, ` ${sign}`)), make('td', {}, make('ul', {}, items)));
}
