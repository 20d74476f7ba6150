"""Bags as one page of pictures to look through: no script, and nothing is asked of the network.

Captions and ids are text of strangers: all of it is escaped, and the policy would let no markup run or load
anything but the thumbnails beside the page.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from capbench import images
from capbench.benchmark import Benchmark
from capbench.errors import BadData
from capbench.progress import progress
from capbench.store import write_file
from capbench.types import Bag, Sample

PICTURES = "pictures"
EDGE = 240  # pixels of a thumbnail's longer side
QUALITY = 82
SOURCES = "img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
WORKERS = 4
STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
section { border-top: 1px solid #8886; padding: .8rem 0; }
.bag { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .8rem; }
figure { margin: 0; min-width: 0; } img { width: 100%; height: 11rem; object-fit: contain; background: #8882; }
.none { height: 11rem; display: grid; place-items: center; background: #8882; padding: .5rem; box-sizing: border-box; }
figcaption { overflow-wrap: anywhere; font-size: .85rem; } code { font-size: .8rem; }
ul { margin: .2rem 0 0; padding-left: 1.1rem; max-height: 9rem; overflow: auto; unicode-bidi: isolate; }
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p>{about}</p>
{body}
</body>
</html>
"""


class Shown(NamedTuple):
    """A picture's thumbnail below the page ("": none), and why there is none."""

    file: str
    reason: str = ""


def write_page(title: str, bags: Sequence[Bag], benchmark: Benchmark, folder: Path, first: int = 0) -> Path:
    """index.html with the first so many bags (0: all), thumbnails beside it; gives the page's path.

    Raises:
        BadData: the folder cannot be written.
    """
    shown = list(bags[: first or None])
    samples = {sample.id: sample for sample in benchmark.samples}
    members = list(dict.fromkeys(member for bag in shown for member in bag.members))
    try:
        (folder / PICTURES).mkdir(parents=True, exist_ok=True)
        pictures = thumbnails([samples[member] for member in members], folder / PICTURES)
        left = f" The first {len(shown)} of {len(bags)} are shown." if len(shown) < len(bags) else ""
        about = f"{len(bags)} bags of {sizes(bags)} pictures of {benchmark.name}.{left}"
        body = "\n".join(section(bag, samples, pictures) for bag in shown)
        write_file(folder / "index.html", page(title, about, body).encode())
    except OSError as error:
        raise BadData(f"cannot write to {folder}: {error.strerror or error}") from error
    return folder / "index.html"


def page(title: str, about: str, body: str) -> str:
    """The document. body: markup; the rest is text."""
    source = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{source}'; {SOURCES}"
    return PAGE.format(policy=html.escape(policy), title=plain(title), style=STYLE, about=plain(about), body=body)


def section(bag: Bag, samples: Mapping[str, Sample], pictures: Mapping[str, Shown]) -> str:
    """One bag."""
    figures = "\n".join(figure(samples[member], pictures[member], bag) for member in bag.members)
    return f'<section><h2>{plain(bag.id)}</h2><div class="bag">\n{figures}\n</div></section>'


def figure(sample: Sample, picture: Shown, bag: Bag) -> str:
    """One picture with its id and references; a gallery's targets are marked."""
    shown = f'<img src="{PICTURES}/{picture.file}" alt="" loading="lazy">'
    if not picture.file:
        shown = f'<div class="none">{plain(picture.reason)}</div>'
    mark = " (target)" if bag.targets is not None and sample.id in bag.targets else ""
    texts = "".join(f"<li>{plain(text)}</li>" for text in sample.references)
    listed = f"<ul>{texts}</ul>" if texts else ""
    return f"<figure>{shown}<figcaption><code>{plain(sample.id)}</code>{mark}{listed}</figcaption></figure>"


def plain(text: str) -> str:
    """Text as HTML shows it: escaped, control characters and lone surrogates as blanks."""
    return html.escape("".join(ch if ch.isprintable() else " " for ch in text))


def sizes(bags: Sequence[Bag]) -> str:
    """How many pictures a bag has."""
    counts = [len(bag.members) for bag in bags]
    least, most = min(counts, default=0), max(counts, default=0)
    return str(least) if least == most else f"{least} to {most}"


def thumbnails(samples: Sequence[Sample], folder: Path) -> dict[str, Shown]:
    """A thumbnail for each sample by id; equal pictures share a file, which is kept if it is there.

    A file's name is the picture's digest, so that no id or path becomes a name on the disk.
    """
    distinct = {s.image.digest: s for s in samples if s.image is not None and s.image.digest}
    made: dict[str, Shown] = {}
    with ThreadPoolExecutor(WORKERS) as workers, progress(len(distinct), "thumbnails") as bar:
        for digest, shown in zip(distinct, workers.map(lambda s: thumbnail(s, folder), distinct.values()), strict=True):
            made[digest] = shown
            bar.update(1)
    lost = Shown("", "there is no picture, or it cannot be read")
    return {s.id: lost if s.image is None else made.get(s.image.digest, lost) for s in samples}


def thumbnail(sample: Sample, folder: Path) -> Shown:
    """One picture's, made unless it is there."""
    if sample.image is None:
        return Shown("", "the benchmark has no picture for it")
    path = folder / f"{sample.image.digest[:24]}-{EDGE}.jpg"
    if not path.exists():
        try:
            picture = images.load(sample.image)
        except images.ImageFault as error:
            return Shown("", error.message)
        picture.thumbnail((EDGE, EDGE))
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=QUALITY)
        write_file(path, out.getvalue())
    return Shown(path.name)
