"""Supported, unsupported and missing elements on the page of an image: in signs and in words."""

import json

import pytest

import capbench
from capbench import benchmark, pages

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def elements_page(tmp_path_factory):
    root = tmp_path_factory.mktemp("elements")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPBENCH_CACHE", str(root / "cache"))
        for flaw in ("none", "wrong_colour", "invent", "short"):
            spec = "elements(parser='scenes_parser')"
            capbench.run(f"speaker(flaw={flaw!r})", "scenes", [spec], runs=root / "runs", limit=20)
        pages.write_view([root / "runs"], root / "view.html", benchmark.load("scenes"))
    return root / "view.html"


def card(page, label):
    cards = [node for node in page.all("dialog .card") if label in node.find_element("css selector", ".who").text]
    assert len(cards) == 1
    return cards[0]


def inner(node, selector):
    return [found.get_attribute("textContent") for found in node.find_elements("css selector", selector)]


def test_what_is_made_up_is_marked_with_a_sign_and_named(show, elements_page):
    page = show(elements_page, fragment="#image-0")
    perfect, invented = card(page, "speaker-none"), card(page, "speaker-invent")
    assert inner(perfect, ".caption .unsupported") == []
    assert inner(perfect, "summary") == ["Elements: 0 not supported, 0 missing"]
    assert inner(invented, "summary") == ["Elements: 4 not supported, 0 missing"]
    marked = inner(invented, ".caption .unsupported")
    assert marked
    assert all(text.startswith("✗ not supported: ") for text in marked)
    rows = dict(zip(inner(invented, ".elements th"), inner(invented, ".elements td"), strict=True))
    assert "Objects not supported ✗" in rows
    assert "Relations supported ✓" in rows
    short = card(page, "speaker-short")
    assert any(text == "Objects missing +" for text in inner(short, ".elements th"))
    assert all(text.endswith("×5") for text in inner(short, ".elements .missing li"))
    plain = page.js(
        "return [...document.querySelectorAll('dialog .caption')].map((n) => n.textContent.replaceAll('✗ not supported: ', ''))"
    )
    data = json.loads(page.js("return document.getElementById('data')?.textContent ?? 'null'") or "null")
    if data is not None:
        assert sorted(plain) == sorted(own[0] for own in data["view"]["captions"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(show, elements_page, screenshot, size, dark):
    page = show(elements_page, SIZES[size], dark=dark, fragment="#image-3")
    page.js("document.querySelectorAll('details.elements').forEach((node) => { node.open = true; })")
    assert page.js("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.cut_texts() == []
    assert screenshot(page, f"elements-{size}-{'dark' if dark else 'light'}").stat().st_size > 20_000
