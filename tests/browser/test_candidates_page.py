"""What a captioner made of others chose from, on the page of an image."""

import json

import pytest

import capbench
from capbench import benchmark, pages, run_folders

SPEC = "rerank(captioners=[\"speaker(flaw='short')\", 'speaker', 'few.json'])"


@pytest.fixture(scope="module")
def chosen(tmp_path_factory):
    """A run that chose, one that did not, and their page."""
    root = tmp_path_factory.mktemp("chosen")
    ids = [sample.id for sample in benchmark.load("scenes").samples[:20]]
    few = root / "few.json"
    few.write_text(json.dumps({ids[1]: "<b>a thing</b>"}))
    spec = SPEC.replace("few.json", str(few))
    made = capbench.run(spec, "scenes", ["cider"], backends={"clip": "scenes"}, limit=20, runs=root / "runs")
    capbench.run("speaker", "scenes", ["cider"], limit=20, runs=root / "runs")
    target = root / "page.html"
    pages.write_view([root / "runs"], target, benchmark.load("scenes"))
    return target, made


def inner(node, selector):
    return [found.get_attribute("textContent") for found in node.find_elements("css selector", selector)]


def test_every_candidate_stands_with_its_score_the_best_first(show, chosen, screenshot):
    target, made = chosen
    page = show(target, fragment="#image-0")
    cards = page.all("dialog article.card")
    (card,) = [node for node in cards if inner(node, ".candidates")]
    assert inner(card, ".candidates summary") == ["3 candidates"]
    heads, texts = inner(card, ".candidates th"), inner(card, ".candidates td")
    assert heads[0].startswith("speaker ")
    assert heads[0].endswith(", best")
    assert heads[1].startswith("speaker-short ")
    assert heads[2] == "few passed over"
    assert texts[0] == made.captions[0].text
    assert texts[2] == " no caption in few.json"
    assert inner(card, ".candidates p") == ["few: no caption in few.json"]
    card.find_element("css selector", ".candidates summary").click()
    assert page.cut_texts() == []
    assert screenshot(page, "candidates", whole=False).stat().st_size > 10_000


def test_hostile_candidates_are_text(show, chosen):
    page = show(chosen[0], fragment="#image-1")
    assert page.all("dialog .candidates b") == []
    assert any("<b>a thing</b>" in text for text in inner(page.one("dialog"), ".candidates td"))


def test_a_run_without_choices_has_none(chosen):
    assert not (run_folders.find_runs(chosen[1].folder.parent)[1] / "candidates").exists()
