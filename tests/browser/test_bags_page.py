"""The page of bags in a browser: pictures side by side, and hostile ids and captions as plain text."""

import dataclasses
import json

import pytest
from PIL import Image

from capbench import benchmark, images
from capbench.bag_files import read_bags
from capbench.benchmark import Benchmark
from capbench.pages.bags import write_page
from capbench.types import Bag, Sample

HOSTILE = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 2'>",
    "</code></figcaption></figure></section><style>*{display:none}</style>",
    '"><svg onload=window.hit=3>',
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    "{policy} {0} ${window.hit=4}",
    "right\u202eleft <b>",
    "lone \ud800 surrogate, null \x00 and bell \x07",
    "W" * 3000,
    "word " * 10_000,
]


@pytest.fixture(scope="module")
def scenes():
    return benchmark.load("scenes(n=21)")


def test_pictures_and_references_stand_side_by_side(show, screenshot, scenes, tmp_path):
    (tmp_path / "bags.json").write_text(json.dumps([[s.id for s in scenes.samples[k : k + 7]] for k in (0, 7)]))
    bags = read_bags(str(tmp_path / "bags.json"), [s.id for s in scenes.samples])
    page = show(write_page("Bags of bags.json", bags, scenes, tmp_path / "page"))
    assert page.texts("h2") == ["bag-0000", "bag-0001"]
    assert page.texts("main > p") == ["2 bags of 7 pictures of scenes."]
    assert page.texts("figure code")[7:] == [s.id for s in scenes.samples[7:14]]
    assert page.texts("figure:nth-of-type(1) li")[:2] == list(scenes.samples[0].references[:2])
    page.until(lambda: page.js("return [...document.images].every((image) => image.naturalWidth > 0)"))
    tops = page.js("return [...document.querySelectorAll('section:first-of-type img')].map((i) => i.offsetTop)")
    assert len(set(tops)) < 7
    assert page.cut_texts() == []
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    assert screenshot(page, "bags").stat().st_size > 10_000


def test_hostile_words_are_words(show, screenshot, scenes, tmp_path):
    pictures = [s.image for s in scenes.samples]
    samples = [Sample(text, pictures[i], (text, "a plain text")) for i, text in enumerate(HOSTILE)]
    Image.new("RGB", (30, 2000)).save(tmp_path / "tall.png")
    (tmp_path / "broken.png").write_bytes(b"<script>window.hit=5</script>")
    samples += [
        Sample(f"extra {k}", images.reference(tmp_path / k), ()) for k in ("tall.png", "broken.png", "absent.png")
    ]
    bench = dataclasses.replace(Benchmark("x", 1, tuple(samples), ""), name="</p><script>window.hit=6</script>")
    ids = tuple(s.id for s in samples)
    bags = [Bag(f"<b>{k}</b>", ids[k : k + 4], ids[k : k + 1]) for k in range(0, 12, 4)]
    page = show(write_page("</title><script>window.hit=7</script>", bags, bench, tmp_path / "page"))
    assert page.js("return window.hit === undefined")
    assert page.texts("h2") == ["<b>0</b>", "<b>4</b>", "<b>8</b>"]
    assert page.all("script, svg, b, iframe") == []
    assert len(page.all("style")) == 1
    assert page.texts("figure code")[:2] == HOSTILE[:2]
    assert page.texts(".none") == ["the file is not a picture that Pillow knows"]
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    assert page.texts("figcaption")[0].splitlines()[0] == f"{HOSTILE[0]} (target)"
    assert len(list((tmp_path / "page" / "pictures").iterdir())) == 11
    assert screenshot(page, "bags-hostile").stat().st_size > 10_000


def test_on_a_phone_and_in_the_dark(show, screenshot, scenes, tmp_path):
    bags = [Bag("x", tuple(s.id for s in scenes.samples[:5]))]
    page = show(write_page("Bags", bags, scenes, tmp_path / "page"), (390, 844), dark=True)
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    assert page.js("return getComputedStyle(document.documentElement).colorScheme") == "light dark"
    assert screenshot(page, "bags-phone").stat().st_size > 5_000
