"""Captioners compared on bags, as one page: R@1 and differences, then every bag with its pictures, ranks and captions.

The page holds its pictures and needs no file beside it, no script and no network. Captions, ids and names are text
of strangers: all of it is escaped, as on the page of bags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from capbench.bag_compare import BagComparison, BagResult, SetResult, Target
from capbench.bag_text import rank_text, reach, size_table
from capbench.benchmark import Benchmark
from capbench.comparison_text import html_table, notes, table
from capbench.pages.bags import page, picture_of, plain
from capbench.pages.pictures import Thumbnail, inline
from capbench.tables import safe

EDGE = 200  # pixels of a picture's longer side
PICTURES = 3000  # of one set of bags: as many bags as they fill are shown, those that differ most
Drawn = Callable[[str], Thumbnail]


def contest_page(found: BagComparison, bench: Benchmark, units: int = 0) -> str:
    """The page. bench: the benchmark that the bags are of, for their pictures. units: as for tables of comparisons."""
    images = {safe(sample.id): sample.image for sample in bench.samples}
    kept: dict[str, Thumbnail] = {}

    def draw(name: str) -> Thumbnail:
        """A member's picture, read once."""
        if name not in kept:
            kept[name] = inline(images.get(name), EDGE)
        return kept[name]

    said = "".join(f"<li>{plain(line)}</li>" for line in [*notes(found.differences, units), *reach(found)])
    parts = [
        html_table("R@1 beside chance", *size_table(found)),
        html_table("Differences in R@1", *table(found.differences, units)),
        f'<ul class="notes">{said}</ul>',
        *(set_section(found, one, draw) for one in found.sets),
    ]
    title = f"{' and '.join(found.names)} on bags"
    about = f"Does a caption find its own picture among look-alikes? {found.differences.benchmark}."
    return page(title, about, "\n".join(parts), ("bags.css", "contest.css"))


def set_section(found: BagComparison, one: SetResult, draw: Drawn) -> str:
    """One set of bags."""
    shown = affordable(one.bags)
    left = "" if len(shown) == len(one.bags) else f" {len(shown)} of {len(one.bags)} are shown."
    body = "\n".join(bag_section(found, bag, draw) for bag in shown)
    about = f"{len(one.bags)} bags, those in which the captioners differ most first.{left}"
    return f"<section><h2>{plain(one.name)}</h2><p>{about}</p>\n{body}\n</section>"


def affordable(bags: Sequence[BagResult]) -> list[BagResult]:
    """The first bags, as many as PICTURES allows; one always."""
    made: list[BagResult] = []
    pictures = 0
    for bag in bags:
        pictures += len(bag.members)
        if made and pictures > PICTURES:
            break
        made.append(bag)
    return made


def bag_section(found: BagComparison, bag: BagResult, draw: Drawn) -> str:
    """One bag: who finds how many, then its pictures."""
    scored = len(bag.targets)
    counts = zip(found.names, zip(*(t.found for t in bag.targets), strict=True), strict=True)
    said = "; ".join(f"{name} finds {counted(own)} of {scored}" for name, own in counts)
    if 0 < bag.size < len(bag.members):
        said += f"; judged among {bag.size} of {len(bag.members)} pictures: the others cannot be encoded"
    targets = {target.id: target for target in bag.targets}
    figures = "\n".join(figure(name, draw(name), targets, found.names, bag.size) for name in bag.members)
    return f'<section><h3>{plain(bag.id)}</h3><p>{plain(said)}</p><div class="bag">\n{figures}\n</div></section>'


def counted(found: Sequence[float]) -> str:
    """How many are found; a tie counts its share."""
    return f"{sum(share for share in found if share > 0):.3g}"


def figure(name: str, picture: Thumbnail, targets: Mapping[str, Target], names: Sequence[str], size: int) -> str:
    """One picture; of a target also what each captioner says, and where that puts it."""
    if name not in targets:
        return (
            f"<figure>{picture_of(picture)}<figcaption><code>{plain(name)}</code> (not a target)</figcaption></figure>"
        )
    target = targets[name]
    said = zip(names, target.found, target.ranks, target.captions, strict=True)
    lines = "".join(
        f"<dt>{plain(label)} {verdict(share, rank, size)}</dt>"
        f"<dd>{'<em>no caption</em>' if text is None else plain(text)}</dd>"
        for label, share, rank, text in said
    )
    return f"<figure>{picture_of(picture)}<figcaption><code>{plain(name)}</code><dl>{lines}</dl></figcaption></figure>"


def verdict(share: float, rank: float, size: int) -> str:
    """Whether the caption finds its picture, and the rank that it gives it."""
    if share != share:  # noqa: PLR0124 -- NaN is the one value that differs from itself
        return '<span class="mark">unscored</span>'
    word = "found" if share == 1 else "tied" if share > 0 else "missed"
    sign = {"found": "\u2713", "tied": "=", "missed": "\u2717"}[word]
    return f'<span class="mark {word}">{sign} {word}, rank {rank_text(rank)} of {size}</span>'
