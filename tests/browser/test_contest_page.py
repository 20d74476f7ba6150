"""The page of a comparison on bags in a browser: pictures, ranks and captions, at two widths, in two themes."""

import dataclasses

import pytest

from capbench import contenders
from capbench.bag_compare import compare_on_bags
from capbench.pages.contest import contest_page

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
HOSTILE = [
    "<script>window.hit = 1</script>", "<img src=x onerror='window.hit = 2'>",
    "</dd></dl></figcaption></figure></section><style>*{display:none}</style>", '"><svg onload=window.hit=3>',
    "&lt;b&gt; &amp;", "right\u202eleft <b>", "lone \ud800 surrogate, null \x00", "W" * 3000, "word " * 10_000, "",
]  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Two captioners on the first 12 families, and the benchmark."""
    root = tmp_path_factory.mktemp("runs")
    given = contenders.setting("scenes-bags", ["self_retrieval(bags='scenes-3')"], limit=84, runs=root)
    words = ["speaker", "speaker(flaw='no_colour')"]
    field = contenders.on_bags(words, root, given, ["scenes-3", "scenes-7"], "", lambda _: None)
    return compare_on_bags(field.contenders, field.bags, resamples=200), given.bench


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_bag_with_its_pictures_ranks_and_captions(show, screenshot, compared, tmp_path, size, dark):
    made, bench = compared
    (tmp_path / "page.html").write_text(contest_page(made, bench))
    page = show(tmp_path / "page.html", SIZES[size], dark=dark)
    assert page.texts("h2") == ["scenes-3", "scenes-7"]
    assert len(page.all("h3")) == 24
    page.until(lambda: page.js("return [...document.images].every((image) => image.src.startsWith('data:'))"))
    assert len(page.all("figure img")) == 12 * 3 + 12 * 7
    first = page.all("figure")[0]
    worst = made.sets[0].bags[0]
    assert first.text.splitlines()[0] == worst.members[0]
    assert "✓ found, rank 1 of 3" in first.text
    captions = [node.text for node in page.all("figure:first-of-type dd")][:2]
    assert captions == [text.strip() for text in worst.targets[0].captions]
    assert page.js("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.cut_texts() == []
    notes = page.js("const n = document.querySelector('.notes'); return n.scrollHeight - n.clientHeight")
    assert notes <= 1
    assert screenshot(page, f"contest-{size}-{'dark' if dark else 'light'}").stat().st_size > 20_000


def test_hostile_captions_are_words(show, screenshot, compared, tmp_path):
    made, bench = compared
    one = made.sets[0]
    bags = [
        dataclasses.replace(
            bag,
            id=f"<b>{k}</b>",
            targets=tuple(
                dataclasses.replace(t, captions=(HOSTILE[(3 * k + i) % len(HOSTILE)], None))
                for i, t in enumerate(bag.targets)
            ),
        )
        for k, bag in enumerate(one.bags[:4])
    ]
    names = ("<script>window.hit = 9</script>", "x" * 200)
    made = dataclasses.replace(
        made,
        sets=(dataclasses.replace(one, name="</h2><script>window.hit=8</script>", bags=tuple(bags)),),
        differences=dataclasses.replace(made.differences, names=names),
    )
    (tmp_path / "page.html").write_bytes(contest_page(made, bench).encode())
    page = show(tmp_path / "page.html", SIZES["phone"])
    assert page.js("return window.hit === undefined")
    assert page.all("script, svg, b, iframe") == []
    assert page.texts("h3") == ["<b>0</b>", "<b>1</b>", "<b>2</b>", "<b>3</b>"]
    assert page.all("figure")[0].text.count("<script>window.hit = 1</script>") == 1
    assert "no caption" in page.texts("dd em")
    assert page.js("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert screenshot(page, "contest-hostile").stat().st_size > 20_000


def test_a_picture_that_cannot_be_read_says_why(show, compared, tmp_path):
    made, bench = compared
    lost = made.sets[0].bags[0].members[0]
    samples = tuple(dataclasses.replace(s, image=None) if s.id == lost else s for s in bench.samples)
    (tmp_path / "page.html").write_text(contest_page(made, dataclasses.replace(bench, samples=samples)))
    page = show(tmp_path / "page.html")
    assert page.texts(".none")[0] == "no picture"
