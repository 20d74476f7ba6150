// What a captioner made of others could choose from: every candidate with its score, the best first.

function candidatesOf(choices) {
  const tables = choices.flatMap((entry) => choiceTable(entry.slice(0, -1), entry.at(-1)));
  const most = choices.reduce((sum, entry) => sum + entry.length - 1, 0);
  return make('details', { class: 'elements candidates' }, make('summary', {}, plural(most, 'candidate')), tables);
}

function choiceTable(listed, remark) {
  const order = [...listed].sort((a, b) => (a[4] ?? Infinity) - (b[4] ?? Infinity));
  const rows = order.map(([captioner, text, score, reason, place]) => make('tr', { class: place === 0 ? 'best' : '' },
    make('th', { scope: 'row' }, words(captioner), make('small', {}, score === null ? ' passed over' : ` ${show(score)}${place === 0 ? ', best' : ''}`)),
    make('td', {}, text === null ? null : words(text), reason ? make('small', { class: 'flaw' }, ' ', words(reason)) : null)));
  return [make('table', {}, make('tbody', {}, rows)), remark ? make('p', {}, make('small', {}, words(remark))) : null];
}
