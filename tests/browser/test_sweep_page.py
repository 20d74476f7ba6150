"""The page of a sweep: the front, what is not told apart from it, every point; at two widths, light and dark."""

import json
import re

import pytest

from capbench import pages, sweeps

METRICS = ["cider", "clipscore", "rouge_l"]
FLAWS = ["none", "short", "no_relation", "invent", "repeat"]
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Five flaws, said in the fixed order and in a drawn one."""
    root = tmp_path_factory.mktemp("sweep runs")
    vary = {"flaw": FLAWS, "temperature": [0.0, 0.7]}
    return sweeps.sweep("speaker", "scenes", vary, METRICS, backends={"clip": "scenes"}, limit=60, runs=root)


@pytest.fixture(scope="module")
def sweep_page(swept, tmp_path_factory):
    target = tmp_path_factory.mktemp("sweep page") / "a sweep.html"
    pages.write_sweep(swept, target)
    return target


def test_every_point_stands_in_the_table_with_its_numbers_and_its_standing(show, sweep_page, swept):
    page = show(sweep_page)
    rows = page.all("table.points tbody tr")
    assert len(rows) == len(swept.points) == 10
    for i, row in enumerate(rows):
        text = row.text
        assert all(str(value) in text for _, value in swept.points[i].point.settings)
        assert all(f"{s.value:.3f}" in text for s in swept.cells(i))
        assert swept.points[i].said in text
    assert {done.standing for done in swept.points} >= {"front", "beaten"}


def test_the_plot_says_which_points_are_on_the_front_by_shape_and_by_word(show, sweep_page, swept):
    page = show(sweep_page)
    said = {p.get_attribute("aria-label"): p.get_attribute("class") for p in page.all("#tradeoffs .point")}
    assert len(said) == 10
    for done in swept.points:
        (label,) = (text for text in said if text.startswith(f"{done.point.label}: CIDEr"))
        assert label.endswith(", on the Pareto front") == (done.standing == "front")
        assert label.endswith(", not told apart from it") == (done.standing == "near")
        assert ("near" in said[label].split()) == (done.standing == "near")
    near = sum(done.standing == "near" for done in swept.points)
    assert len(page.all("#tradeoffs .core")) == near
    assert ("A dot within" in page.one("#tradeoffs .lead").text) == bool(near)
    assert len(page.all("#tradeoffs .point .bar")) >= 10


def test_the_points_of_the_front_are_told_apart_in_its_sentence(show, sweep_page, swept):
    said = show(sweep_page).one("#tradeoffs [role=status]").text
    front = {done.point.label for done in swept.points if done.standing == "front"}
    listed = said.removeprefix("Pareto front: ").partition(". ")
    assert front <= set(said.removeprefix("Pareto front: ").replace(", best by both.", "").split("; ")) or (
        set(listed[0].split("; ")) == front
    )


def test_other_columns_have_their_own_front_and_no_dots(show, sweep_page):
    page = show(sweep_page)
    page.choose("Up", "ROUGE-L [3]")
    assert page.all("#tradeoffs .core") == []
    labels = [point.get_attribute("aria-label") for point in page.all("#tradeoffs .point")]
    assert all(re.search(r": CIDEr [\d.]+, ROUGE-L [\d.]+", label) for label in labels)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_screen(show, sweep_page, screenshot, size, dark):
    page = show(sweep_page, SIZES[size], dark=dark)
    assert page.js("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.cut_texts() == []
    assert screenshot(page, f"sweep-{size}-{'dark' if dark else 'light'}").stat().st_size > 20_000


def test_hostile_prompts_are_text(show, tmp_path):
    hostile = "</script><img src=x onerror=alert(1)> '\"\u202e|`"
    vary = {"text": [hostile, "a plain one"]}
    made = sweeps.sweep("constant", "scenes", vary, ["cider", "rouge_l"], limit=10, runs=tmp_path / "runs")
    target = tmp_path / "hostile.html"
    pages.write_sweep(made, target)
    page = show(target)
    assert page.all("main img") == []
    assert "onerror=alert(1)" in page.one("table.points").text
    assert json.loads(page.js("return document.getElementById('data').textContent"))["sweep"]["names"] == ["text"]
