// The page of runs image by image.

function start({ view }) {
  const dialog = new ItemDialog(view);
  const open = (items, at, from) => dialog.open(items, at, from);
  const images = imagesSection(view, open);
  const parts = boardSections(view.board, '');
  const all = [parts.scores, images.node, bagsSection(view, open), parts.plot, parts.disagree, parts.signatures].filter(Boolean);
  const main = make('main', { id: 'main' }, all);
  document.body.append(headerOf(view.board.benchmark, aboutBoard(view.board), linksTo(all)), main, dialog.node, footer());
  const linked = () => {
    const found = /^#image-(\d+)$/.exec(location.hash);
    if (found && Number(found[1]) < view.ids.length) open(view.ids.map((_, item) => item), Number(found[1]), images.list.box);
  };
  addEventListener('hashchange', linked);
  linked();
}
