// The page of one table or several.

function start({ boards }) {
  const several = boards.length > 1;
  const groups = boards.map((board, n) => {
    const sections = Object.values(boardSections(board, several ? `t${n + 1}-` : '')).filter(Boolean);
    if (!several) return { board, sections, node: null };
    const title = make('h2', { class: 'board', id: `t${n + 1}` }, words(board.benchmark), make('small', {}, ` ${aboutBoard(board)}`));
    return { board, sections, node: title };
  });
  const title = several ? 'Leaderboards' : boards[0].benchmark;
  const about = several ? plural(boards.length, 'table') : aboutBoard(boards[0]);
  const links = several ? groups.map(({ board, node }) => [node.id, `${visible(board.benchmark)} by ${visible(board.sortedBy)}`]) : linksTo(groups[0].sections);
  document.body.append(headerOf(title, about, links), make('main', { id: 'main' }, groups.flatMap(({ node, sections }) => [node, ...sections])), footer());
}
