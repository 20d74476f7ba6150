// What a judge was asked about a caption: what was read of each answer, or why nothing was, and the answer itself.

function judgedOf(asked) {
  const bad = asked.filter(([, state]) => state !== 'read').length;
  const rows = asked.map(([where, state, said, reply]) => make('tr', {},
    make('th', { scope: 'row' }, words(where), state === 'read' ? null : make('small', { class: 'flaw' }, ` ${state}`)),
    make('td', {}, words(said), reply ? make('p', {}, make('small', {}, words(reply))) : null)));
  const count = bad ? `, ${bad} without an answer that can be read` : '';
  return make('details', { class: 'elements judged' }, make('summary', {}, `the judge was asked ${plural(asked.length, 'question')}${count}`), make('table', {}, make('tbody', {}, rows)));
}
