"""The page of runs: every image, its captions and scores, by mouse and by keyboard."""

import json

import numpy as np
import pytest
from selenium.webdriver.common.keys import Keys

import capbench
from capbench import benchmark, pages


@pytest.fixture(scope="module")
def by_label(runs):
    """The runs themselves, to compare with what the page shows."""
    folders = [path.parent for path in runs.glob("**/run.json")]
    return {run.record.label: run for run in map(capbench.load_run, folders)}


def column(run, name):
    scored = next(s for s in run.scored if name in s.rows.columns)
    return dict(zip(np.array(run.ids)[scored.rows.items], scored.rows.columns[name], strict=True))


def ids(page):
    return page.texts(".list .row .id bdi")


def counted(page):
    return page.one("#images [role=status]").text


def test_rows_show_pictures_captions_and_scores(show, view_page, by_label):
    page = show(view_page)
    assert counted(page) == "100 of 100 images"
    first = ids(page)[0]
    row = page.one(".list .row")
    texts = [line.text.split("\n") for line in row.find_elements("css selector", ".line")]
    shown = page.texts("table.scores tbody th")
    for label, (name, text, score) in zip(shown, texts, strict=True):
        assert name == label
        run = by_label[label]
        assert next(c.text for c in run.captions if c.id == first).startswith(text)
        assert float(score) == pytest.approx(column(run, "cider")[first], abs=6e-4)
    page.until(lambda: page.js("return document.querySelector('.row img').naturalWidth") > 0)


def test_only_what_is_seen_exists(show, view_page):
    page = show(view_page)
    assert len(page.all(".list .row")) < 20
    assert page.one(".list .row").get_attribute("aria-setsize") == "100"
    page.js("const list = document.querySelector('.list'); list.scrollTop = list.scrollHeight")
    page.until(lambda: page.all(".list .row")[-1].get_attribute("aria-posinset") == "100")
    assert len(page.all(".list .row")) < 20


def test_the_largest_differences_come_first(show, view_page, by_label):
    page = show(view_page)
    a, b = page.texts("table.scores tbody th")[:2]
    page.choose("Score", "ROUGE-L [2]")
    page.choose("Order", "A above B, most first")
    mine, theirs = column(by_label[a], "rouge_l"), column(by_label[b], "rouge_l")
    leads = {name: mine[name] - theirs[name] for name in mine if mine[name] > theirs[name]}
    wanted = sorted(leads, key=lambda name: -round(leads[name], 4))
    page.until(lambda: counted(page) == f"{len(wanted)} of 100 images")
    assert leads[ids(page)[0]] == pytest.approx(leads[wanted[0]], abs=1e-4)
    shown = [float(text.removeprefix("A−B +")) for text in page.texts(".list .lead-by")]
    assert shown == sorted(shown, reverse=True)


def test_a_search_looks_into_captions_references_and_ids(show, view_page, by_label):
    page = show(view_page)
    box = page.one("#images input[type=search]")
    box.send_keys("scene-00042")
    page.until(lambda: ids(page) == ["scene-00042"])
    box.clear()
    box.send_keys("Purple")
    references = {s.id: s.references for s in benchmark.load("scenes").samples[:100]}
    said = {c.id for run in by_label.values() for c in run.captions if "purple" in c.text.lower()}
    said |= {name for name, texts in references.items() if any("purple" in t.lower() for t in texts)}
    page.until(lambda: counted(page) == f"{len(said)} of 100 images")
    box.send_keys(" elephants")
    page.until(lambda: counted(page) == "0 of 100 images")
    assert page.one("#images .empty").is_displayed()


def test_an_image_opens_steps_and_closes_by_keyboard(show, view_page, by_label):
    page = show(view_page)
    order = ids(page)
    box = page.one(".list")
    page.js("arguments[0].focus()", box)
    box.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert page.one(".list .row[aria-selected=true] .id").text.startswith(order[2])
    box.send_keys(Keys.ENTER)
    dialog = page.one("dialog[open]")
    assert dialog.find_element("css selector", "h2").text == order[2]
    assert page.texts("dialog .references li bdi") == list(
        next(s for s in benchmark.load("scenes").samples if s.id == order[2]).references
    )
    captions = page.texts("dialog .caption")
    assert sorted(captions) == sorted(next(c.text for c in r.captions if c.id == order[2]) for r in by_label.values())
    page.browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.one("dialog h2").text == order[3]
    page.browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.one("dialog h2").text == order[1]
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.until(lambda: not page.all("dialog[open]"))
    assert page.js("return document.activeElement.className") == "list"
    box.send_keys(Keys.END)
    page.until(lambda: page.one(".list .row[aria-selected=true]").get_attribute("aria-posinset") == "100")


def test_an_image_has_an_address(show, view_page):
    page = show(view_page, fragment="#image-7")
    assert page.one("dialog[open] h2").text == "scene-00007"
    assert page.js("return document.querySelector('dialog img').complete")
    for number in (9, 11):  # as the address bar does it, with an image open or not
        page.js(f"location.hash = '#image-{number}'")
        page.until(lambda name=f"scene-{number:05d}": page.one("dialog[open] h2").text == name)
        if number == 9:
            page.one("dialog .close").click()


def test_a_click_opens_an_image(show, view_page):
    page = show(view_page)
    page.all(".list .row")[1].click()
    assert page.one("dialog[open] h2").text == ids(page)[1]
    page.one("dialog .close").click()
    page.until(lambda: not page.all("dialog[open]"))


def test_galleries_show_every_rank(show, view_page, by_label):
    page = show(view_page)
    assert page.one("#galleries [role=status]").text == "gallery 1 of 5, 20 pictures"
    labels = page.texts("table.scores tbody th")
    found = [[n.get_attribute("textContent") for n in f.find_elements("css selector", ".found")]
             for f in page.all("#galleries figure")]  # fmt: skip
    names = page.texts("#galleries figcaption .id")
    assert names == list(by_label["speaker"].ids[:20])
    for name, texts in zip(names, found, strict=True):
        ranks = {label: float(text.rpartition("rank ")[2]) for label, text in zip(labels, texts, strict=True)}
        assert ranks == pytest.approx({label: column(by_label[label], "rank")[name] for label in labels}, abs=0.06)
    page.one("#galleries button[aria-label='Next gallery']").click()
    assert page.texts("#galleries figcaption .id")[0] == by_label["speaker"].ids[20]
    page.choose("Order", "hardest first")
    all_ranks = [column(run, "rank") for run in by_label.values()]
    means = [
        np.mean([ranks[i] for ranks in all_ranks for i in by_label["speaker"].ids[k : k + 20]])
        for k in range(0, 100, 20)
    ]
    first = page.texts("#galleries figcaption .id")[0]
    assert first == by_label["speaker"].ids[20 * int(np.argmax(means))]
    page.one("#galleries .member").click()
    assert page.one("dialog[open] h2").text == first


def test_without_a_benchmark_there_are_captions_and_scores(show, runs, tmp_path):
    target = tmp_path / "plain.html"
    assert pages.write_view([runs], target) == 0
    assert not (tmp_path / "plain_files").exists()
    page = show(target)
    assert not page.all("img")
    assert "capbench view RUN -b BENCHMARK" in page.one("#images .lead").text
    assert page.one(".list .row .text").text
    page.all(".list .row")[0].click()
    assert not page.all("dialog .references")


def test_the_list_prints_its_first_rows(show, view_page):
    page = show(view_page)
    page.js("window.dispatchEvent(new Event('beforeprint'))")
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert len(page.all(".paper .row")) == 50
    assert page.all(".paper .row")[49].is_displayed()
    assert "first 50 of 100" in page.one(".paper").text
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    page.js("window.dispatchEvent(new Event('afterprint'))")
    assert not page.all(".paper")


def test_reduced_motion_is_respected(show, view_page, chromium):
    page = show(view_page)
    behaviour = "return getComputedStyle(document.documentElement).scrollBehavior"
    assert page.js(behaviour) == "auto"
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert page.js(behaviour) == "smooth"


def test_screen_readers_find_their_way(show, view_page):
    page = show(view_page)
    tree = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {}
    for node in tree:
        if not node.get("ignored"):
            roles.setdefault(node["role"]["value"], []).append(node.get("name", {}).get("value", ""))
    assert {"banner", "main", "navigation", "contentinfo"} <= set(roles), json.dumps(sorted(roles))
    assert roles["listbox"] == ["Images; Enter opens one"]
    for role in ("button", "combobox", "searchbox", "image", "region", "table"):
        assert all(roles[role]), role


def test_paintings_stand_beside_the_picture(show, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    backends = {"clip": "scenes", "painter": "scenes_painter"}
    capbench.run("speaker", "scenes", ["reconstruction(seeds=3)"], backends=backends, limit=3, runs=tmp_path / "runs")
    pages.write_view([tmp_path / "runs"], tmp_path / "view.html", benchmark.load("scenes"))
    page = show(tmp_path / "view.html", fragment="#image-1")
    assert page.texts(".paintings figcaption") == ["seed 0: 1.000", "seed 1: 1.000", "seed 2: 1.000"]
    page.until(
        lambda: page.js("return [...document.querySelectorAll('.paintings img')].every((i) => i.naturalWidth > 0)")
    )
    alts = [image.get_attribute("alt") for image in page.all(".paintings img")]
    assert alts == [f"Painted from the caption of speaker, seed {n}" for n in range(3)]
