// The page from its data.

const data = JSON.parse(document.getElementById('data').textContent);

/** What the head of the page says. */
function headerOf(title, about, links) {
  return make('header', { class: 'top' },
    make('div', { class: 'brand' }, make('span', { class: 'name' }, 'capbench'), themeButton()),
    make('h1', {}, words(title)),
    make('p', { class: 'about' }, about),
    make('nav', { 'aria-label': 'Sections' }, links.map(([id, text]) => make('a', { href: `#${id}` }, text))));
}

function aboutBoard(board) {
  const mark = board.mark ? ` (${visible(board.mark)})` : '';
  return `${plural(board.lines.length, 'system')} · ${plural(board.items, 'image')} · version ${board.version} · ranked by ${visible(board.sortedBy)}${mark}`;
}

/** The sections of one board; those that have nothing to say are null. */
function boardSections(board, prefix, given) {
  return {
    scores: scoresSection(board, `${prefix}scores`),
    plot: scatterSection(board, `${prefix}tradeoffs`, given),
    disagree: disagreementSection(board, `${prefix}disagreement`),
    reported: reportedSection(board, `${prefix}reported`),
    signatures: signatureSection(board, `${prefix}signatures`),
  };
}

function linksTo(sections) {
  return sections.map((node) => [node.id, node.querySelector('h2').textContent]);
}

function footer() {
  return make('footer', {}, `Made by capbench ${data.made}. This page asks nothing of the network.`);
}

document.querySelector('.wait').remove();
start(data);
