"""A ranking by verdicts as one page: strengths with their intervals drawn, what is not ranked, and every pair.

No script, and nothing is asked of the network. Names of systems and judges are text of strangers: all of it is
escaped, as on the page of bags.
"""

from __future__ import annotations

import math
from pathlib import Path

from capbench.arena.ranking import Place, Ranking
from capbench.arena.text import Shown, apart_table, notes, ordered, pairs_table, systems_table
from capbench.comparison_text import html_table
from capbench.pages.bags import page, plain
from capbench.store import place_for, write_file

WIDTH, HEIGHT, EDGE = 240, 18, 8  # of a drawn interval, in pixels; EDGE: room for arrows
SHADES = 5  # of the table of pairs: from all lost to all won


def write_arena(shown: Shown, target: Path) -> None:
    """Write a ranking as one page.

    Raises:
        UsageError: no file can be written there.
    """
    place_for(target)
    write_file(target, arena_page(shown).encode())


def arena_page(shown: Shown) -> str:
    """The page."""
    ranking = shown.ranking
    parts = [group_table(shown, k) for k in range(len(ranking.groups))]
    if not ranking.groups:
        parts.append("<p>No two systems have both won against each other, directly or in a ring: no strengths.</p>")
    if ranking.apart:
        parts.append(html_table("Not ranked", *apart_table(shown)))
    parts.append(matrix(shown))
    said = "".join(f"<li>{plain(line)}</li>" for line in notes(shown))
    parts.append(f'<ul class="notes">{said}</ul>')
    title = f"{len(ranking.systems)} systems by {ranking.contests:,} contests"
    about = f"Who wins when two captions of one image stand side by side? {ranking.items:,} items."
    return page(title, about, "\n".join(parts), ("bags.css", "contest.css", "arena.css"))


def group_table(shown: Shown, group: int) -> str:
    """One group: its table, with the intervals drawn on one scale."""
    heads, rows = systems_table(shown, group)
    places = shown.ranking.groups[group]
    heads.insert(3, "")
    caption = "Strength" if group == 0 else f"A group apart ({group + 1})"
    head = "".join(f'<th scope="col"{kind(k)}>{plain(cell)}</th>' for k, cell in enumerate(heads))
    body = []
    for place, cells in zip(places, rows, strict=True):
        marked = [f"<td{kind(k)}>{plain(cell)}</td>" for k, cell in enumerate(cells)]
        marked.insert(3, f"<td>{interval_drawn(place, places)}</td>")
        body.append(f"<tr>{''.join(marked)}</tr>")
    return (
        f'<div class="wide" tabindex="0"><table><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def kind(column: int) -> str:
    """How a column stands: names to the left."""
    return ' class="long"' if column == 1 else ""


def interval_drawn(place: Place, places: tuple[Place, ...]) -> str:
    """A dot and its interval; an open end is an arrow."""
    ends = [x for p in places for x in (p.low, p.high, p.strength) if math.isfinite(x)]
    least, most = min(ends), max(ends)

    def at(value: float) -> float:
        """Where a strength stands."""
        share = 0.5 if most == least else (min(max(value, least), most) - least) / (most - least)
        return EDGE + share * (WIDTH - 2 * EDGE)

    middle = HEIGHT / 2
    label = f"{place.strength:.0f}"
    drawn = ""
    if not math.isnan(place.low):
        low = 0.0 if place.low == -math.inf else at(place.low)
        high = float(WIDTH) if place.high == math.inf else at(place.high)
        drawn = f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
        drawn += arrow(0.0, 1) if place.low == -math.inf else ""
        drawn += arrow(float(WIDTH), -1) if place.high == math.inf else ""
    return (
        f'<svg class="span" role="img" aria-label="{label}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}">{drawn}<circle cx="{at(place.strength):.1f}" cy="{middle}" r="4"/></svg>'
    )


def arrow(x: float, way: int) -> str:
    """The head of an open end. way: 1 where it points to the left."""
    middle = HEIGHT / 2
    back = x + way * 6
    return f'<path d="M{x} {middle}L{back} {middle - 4}L{back} {middle + 4}Z"/>'


def matrix(shown: Shown) -> str:
    """Every pair: won, tied and lost of row against column, shaded by the share won."""
    ranking = shown.ranking
    heads, rows = pairs_table(shown)
    names = ordered(ranking)
    head = "".join(f'<th scope="col" class="text">{plain(cell)}</th>' for cell in heads)
    body = []
    for name, cells in zip(names, rows, strict=True):
        marked = [f'<th scope="row" class="text">{plain(cells[0])}</th>']
        for other, cell in zip(names, cells[1:], strict=True):
            marked.append(f'<td class="{shade(ranking, name, other) if cell else "none-met"}">{plain(cell)}</td>')
        body.append(f"<tr>{''.join(marked)}</tr>")
    return (
        '<div class="wide" tabindex="0"><table class="pairs">'
        "<caption>Pairs: row against column, won/tied/lost</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def shade(ranking: Ranking, name: str, other: str) -> str:
    """The class of a cell by the share that the row won, a tie as half."""
    i, j = ranking.systems.index(name), ranking.systems.index(other)
    total = ranking.won[i, j] + ranking.won[j, i] + ranking.tied[i, j]
    share = (ranking.won[i, j] + ranking.tied[i, j] / 2) / total
    return f"shade{min(int(share * SHADES), SHADES - 1)}"
