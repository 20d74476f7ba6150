"""Bags as one page of pictures to look through: no script, and nothing is asked of the network.

Captions and ids are text of strangers: all of it is escaped, and the policy would let no markup run or load
anything but the thumbnails beside the page.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from capbench.benchmark import Benchmark
from capbench.pages.document import asset, head, plain_title, source_hash
from capbench.pages.pictures import Thumbnail, thumbnails
from capbench.store import make_folder, write_file
from capbench.types import Bag, Sample

PICTURES = "pictures"
EDGE = 240  # pixels of a thumbnail's longer side
POLICY = "default-src 'none'; style-src {style}; img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
BODY = """<body>
<main>
<h1>{title}</h1>
<p>{about}</p>
{body}
</main>
</body>
</html>
"""


def write_page(title: str, bags: Sequence[Bag], benchmark: Benchmark, folder: Path, first: int = 0) -> Path:
    """index.html with the first so many bags (0: all), thumbnails beside it; gives the page's path.

    Raises:
        BadData: the folder cannot be written.
    """
    shown = list(bags[: first or None])
    samples = {sample.id: sample for sample in benchmark.samples}
    members = list(dict.fromkeys(member for bag in shown for member in bag.members))
    make_folder(folder)
    names, reasons = thumbnails([samples[member].image for member in members], folder / PICTURES, EDGE)
    pictures = {member: Thumbnail(names[i], reasons.get(i, "")) for i, member in enumerate(members)}
    left = f" The first {len(shown)} of {len(bags)} are shown." if len(shown) < len(bags) else ""
    about = f"{len(bags)} bags of {sizes(bags)} pictures of {benchmark.name}.{left}"
    body = "\n".join(section(bag, samples, pictures) for bag in shown)
    write_file(folder / "index.html", page(title, about, body).encode())
    return folder / "index.html"


def page(title: str, about: str, body: str, styles: Sequence[str] = ("bags.css",)) -> str:
    """The document. body: markup; the rest is text."""
    style = "".join(asset(name) for name in styles)
    policy = POLICY.format(style=source_hash(style))
    return head(title, style, policy) + BODY.format(title=plain(title), about=plain(about), body=body)


def section(bag: Bag, samples: Mapping[str, Sample], pictures: Mapping[str, Thumbnail]) -> str:
    """One bag."""
    figures = "\n".join(figure(samples[member], pictures[member], bag) for member in bag.members)
    return f'<section><h2>{plain(bag.id)}</h2><div class="bag">\n{figures}\n</div></section>'


def figure(sample: Sample, picture: Thumbnail, bag: Bag) -> str:
    """One picture with its id and references; a gallery's targets are marked."""
    shown = picture_of(picture, f"{PICTURES}/")
    mark = " (target)" if bag.targets is not None and sample.id in bag.targets else ""
    texts = "".join(f"<li>{plain(text)}</li>" for text in sample.references)
    listed = f"<ul>{texts}</ul>" if texts else ""
    return f"<figure>{shown}<figcaption><code>{plain(sample.id)}</code>{mark}{listed}</figcaption></figure>"


def picture_of(picture: Thumbnail, folder: str = "") -> str:
    """A picture, or why there is none."""
    if not picture.file:
        return f'<div class="none">{plain(picture.reason)}</div>'
    return f'<img src="{folder}{picture.file}" alt="" loading="lazy">'


def plain(text: str) -> str:
    """Text as HTML shows it: escaped, control characters and lone surrogates as blanks."""
    return html.escape(plain_title(text))


def sizes(bags: Sequence[Bag]) -> str:
    """How many pictures a bag has."""
    counts = [len(bag.members) for bag in bags]
    least, most = min(counts, default=0), max(counts, default=0)
    return str(least) if least == most else f"{least} to {most}"
