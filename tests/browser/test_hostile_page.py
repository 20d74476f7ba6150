"""Captions, names and ids that would like to be markup or script are shown as what they are."""

import dataclasses
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pytest
from PIL import Image

from capbench import engine, images, leaderboard, pages
from capbench.benchmark import Benchmark, reference_digest
from capbench.captioners.baselines import Human
from capbench.engine import Job
from capbench.leaderboard.reported import Reported
from capbench.metrics.elements import Elements
from capbench.metrics.rouge import RougeL
from capbench.scoring import Part
from capbench.types import Failure, Sample

HOSTILE = [
    "<script>window.hit = 1</script>",
    "</script><script>window.hit = 2</script>",
    "<img src=x onerror='window.hit = 3'>",
    '"><svg onload=window.hit=4>',
    "<style>*{display:none}</style>",
    "javascript:window.hit=5",
    "${window.hit=6} {{window.hit=7}} <%= window.hit=8 %>",
    "<!--<script>",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    "]]></script>\u2028window.hit=9\u2029//",
    "<a href='javascript:window.hit=10' autofocus onfocus='window.hit=11'>x</a>",
    "<iframe srcdoc='<script>parent.hit=12</script>'></iframe>",
    "right\u202eleft <b>",
    "lone \ud800 surrogate",
    "null \x00 and bell \x07",
    "word " * 10_000,
    "W" * 3000,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 日本語 עברית",
]


@dataclass(frozen=True)
class Says:
    """Says hostile things, each picture another one; every seventh caption fails with a hostile reason."""

    turn: int = 0
    name: ClassVar[str] = "says"

    def fingerprint(self):
        return f"says/{self.turn}"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield self

    def caption(self, requests, params):
        turns = [(int(r.image.path.rpartition("/")[2][:-4]) + self.turn) for r in requests]
        return [Failure(HOSTILE[2]) if k % 7 == 6 else HOSTILE[k % len(HOSTILE)] for k in turns]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Three hostile runs, and the benchmark that they were made with."""
    root = tmp_path_factory.mktemp("hostile")
    samples = []
    for k, text in enumerate(HOSTILE):
        path = root / f"{k}.png"
        Image.new("RGB", (40, 30), (12 * k, 80, 200 - 9 * k)).save(path)
        samples.append(Sample(f"{text[:60]} {k}", images.reference(path), (text[:400], "a plain reference")))
    (root / "0.png").write_bytes(b"no picture")
    samples[0] = dataclasses.replace(samples[0], image=images.reference(root / "0.png"))
    bench = Benchmark(HOSTILE[0], 1, tuple(samples), reference_digest(samples))
    for captioner, label in ((Says(), HOSTILE[1]), (Says(3), HOSTILE[2]), (Human(), HOSTILE[12])):
        part = Part(RougeL(), "", "rouge_l()", HOSTILE[3], headline=True)
        engine.run(engine.plan(Job(captioner, "", label, bench, (part,), {}, root=root / "runs")))
    return root / "runs", bench


@pytest.fixture(scope="module")
def hostile_view(world):
    runs, bench = world
    target = runs.parent / "view.html"
    assert pages.write_view([runs], target, bench) == len(HOSTILE) - 1
    return target


@pytest.fixture(scope="module")
def hostile_board(world):
    runs, _ = world
    rows = (Reported(HOSTILE[0], HOSTILE[2], {HOSTILE[1]: 1.0}, "https://example.org/'\"><script>", HOSTILE[3]),)
    boards = [dataclasses.replace(board, reported=rows) for board in leaderboard.gather([runs])]
    pages.write_boards(boards, runs.parent / "board.html")
    return runs.parent / "board.html"


def harmless(page):
    """Nothing ran, and no element is there that the page's own scripts did not make."""
    assert page.js("return window.hit ?? null") is None
    assert len(page.all("script")) == 2
    assert len(page.all("style")) == 1
    assert not page.all("iframe, object, embed, form, base, [onerror], [onload], [onfocus], [srcdoc], [style*=none]")
    links = [link.get_attribute("href") for link in page.all("a")]
    assert not any(link.startswith("javascript") for link in links)


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_the_view_shows_hostile_texts_as_texts(show, hostile_view, size):
    page = show(hostile_view, size)
    harmless(page)
    assert page.one("h1").text == HOSTILE[0]
    assert HOSTILE[1] in page.js("return document.querySelector('table.scores').textContent")
    for k in range(len(HOSTILE)):
        page.js("document.querySelectorAll('.list')[0].scrollTop = 0")
        if k == 0:
            page.all(".list .row")[0].click()
        else:
            page.one("dialog .next").click()
        shown = page.js("return [...document.querySelectorAll('dialog .references li bdi')].map((n) => n.textContent)")
        assert shown[1] == "a plain reference"
        harmless(page)
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")


def test_invisible_characters_are_seen(show, hostile_view):
    page = show(hostile_view, fragment="#image-12")
    text = page.js("return document.querySelector('dialog .references li').textContent")
    assert text.startswith("right⟨U+202E⟩left <b>")
    page.one("dialog .next").click()
    page.one("dialog .next").click()
    text = page.js("return document.querySelector('dialog .references li').textContent")
    assert text == "null ␀ and bell ␇"
    page.one("dialog .previous").click()
    text = page.js("return document.querySelector('dialog .references li').textContent")
    assert text == "lone ⟨U+D800⟩ surrogate"


def test_what_failed_says_why(show, hostile_view):
    page = show(hostile_view, fragment="#image-6")
    assert f"no caption: {HOSTILE[2]}" in page.texts("dialog .card .none")
    page = show(hostile_view, fragment="#image-0")
    assert page.one("dialog .large.blank").text == "the file is not a picture that Pillow knows"


def test_the_board_shows_hostile_names_as_names(show, hostile_board):
    page = show(hostile_board)
    harmless(page)
    heading = page.js("return [...document.querySelectorAll('h1, h2')].map((n) => n.textContent).join()")
    assert HOSTILE[0] in heading
    reported = page.js("return document.querySelector('table.reported').textContent")
    assert all(text in reported for text in (HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[3]))


def test_the_policy_stops_what_would_get_through(show, hostile_view):
    page = show(hostile_view)
    page.js(
        """
        const script = document.createElement('script');
        script.textContent = 'window.hit = 20';
        document.body.append(script);
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:9/x.png';
        document.body.append(image);
        const other = document.createElement('div');
        document.body.append(other);
        other.innerHTML = '<img src=x onerror="window.hit = 21">';
        """
    )
    page.until(lambda: len(said := page.console()) >= 1 and any("Content Security Policy" in m for m in said))
    assert page.js("return window.hit ?? null") is None
    page.console()
    page.requests()


PARSER = """
from contextlib import contextmanager
from dataclasses import dataclass
from capbench.protocols import Elements

@dataclass(frozen=True)
class Parser:
    name = "words"
    kind = "parser"
    def fingerprint(self):
        return "words"
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        yield self
    def parse(self, texts):
        found = [text.split()[:50] for text in texts]
        return [Elements(tuple(w), tuple(zip(w, w)), tuple(zip(w, w, w))) for w in found]
"""


def test_hostile_elements_are_shown_as_texts(show, world, tmp_path):
    _, bench = world
    (tmp_path / "words.py").write_text(PARSER)
    part = Part(Elements(parser=f"{tmp_path}/words.py:Parser"), "", "elements", "", headline=True)
    engine.run(engine.plan(Job(Says(), "", HOSTILE[1], bench, (part,), {}, root=tmp_path / "runs")))
    pages.write_view([tmp_path / "runs"], tmp_path / "view.html", bench)
    page = show(tmp_path / "view.html", fragment="#image-0")
    for k in range(len(HOSTILE)):
        page.js("document.querySelectorAll('details.elements').forEach((node) => { node.open = true; })")
        harmless(page)
        assert page.js("return document.documentElement.scrollWidth <= innerWidth"), k
        page.one("dialog .next").click()
