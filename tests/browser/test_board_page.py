"""The leaderboard's page: sorted, filtered, by mouse and by keyboard, light and dark, on paper."""

import base64
import csv
import io
import re
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from capbench import leaderboard, pages

POPE = Path(__file__).resolve().parents[2] / "leaderboards" / "pope-elements" / "entries"


def names(page):
    return page.texts("table.scores tbody th")


def values(page, k):
    return [float(text) for text in page.texts(f"table.scores tbody td:nth-of-type({k + 2}) .value b")]


def press(page, label):
    next(button for button in page.all("table.scores thead button") if button.text.startswith(label)).click()


def test_it_shows_every_number_of_the_table(show, board_page, runs):
    page = show(board_page)
    rows = list(csv.DictReader(io.StringIO(leaderboard.csv_text(leaderboard.gather([runs])))))
    shown = page.texts("table.scores tbody td.number")
    better = [row for row in rows if row["column"] != "tied"]
    for row in better:
        value = float(row["value"])
        text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
        bounds = [f"{float(row[side]):.3f}" for side in ("low", "high")] if row["low"] else []
        assert any(text in cell and all(bound in cell for bound in bounds) for cell in shown), row
    assert len(page.all("table.scores .whisker")) == len(rows)
    assert page.texts("table.scores tbody td.rank")[0] == "1"
    assert not page.all(".order")  # these ranks rise
    assert all(row["signature"] in page.one(".signatures").text for row in rows)


def test_a_click_sorts_a_second_one_turns_round(show, board_page):
    page = show(board_page)
    first = names(page)
    assert page.one("thead th[aria-sort=ascending]").text.startswith("Rank")
    press(page, "BLEU-4")
    k = [button.text.split(" ")[0] for button in page.all("table.scores thead button")].index("BLEU-4") - 2
    assert values(page, k) == sorted(values(page, k), reverse=True)
    assert page.one("thead th[aria-sort=ascending]").text.startswith("BLEU-4")
    press(page, "BLEU-4")
    assert values(page, k) == sorted(values(page, k))
    assert page.one("thead th[aria-sort=descending]").text.startswith("BLEU-4")
    press(page, "mean rank")  # lower is better: the best still comes first
    k = [button.text.partition(" ↓")[0] for button in page.all("table.scores thead button")].index("mean rank") - 2
    assert values(page, k) == sorted(values(page, k))
    press(page, "Captioner")
    assert names(page) == sorted(first)
    press(page, "Rank")
    assert names(page) == first


def test_the_keyboard_sorts_and_keeps_the_focus(show, board_page):
    page = show(board_page)
    button = page.all("table.scores thead button")[1]
    button.send_keys(Keys.ENTER)
    assert names(page) == sorted(names(page))
    focused = page.browser.switch_to.active_element
    assert focused.text.startswith("Captioner")
    focused.send_keys(Keys.ENTER)
    assert names(page) == sorted(names(page), reverse=True)


def test_the_first_tab_leads_past_the_head_and_the_focus_is_seen(show, board_page):
    page = show(board_page)
    page.one("body").send_keys(Keys.TAB)
    skip = page.browser.switch_to.active_element
    assert skip.text == "Skip to the content"
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.js("return document.activeElement.getBoundingClientRect().left") >= 0


def test_a_search_filters_and_says_how_many(show, board_page):
    page = show(board_page)
    page.one("#t1-by-rank")
    box = page.one("section input[type=search]")
    box.send_keys("MISCOUNT")
    page.until(lambda: names(page) == ["speaker-miscount"])
    assert page.one("[role=status]").text == "1 of 3 systems"
    box.send_keys("x")
    page.until(lambda: names(page) == [])
    assert page.one("[role=status]").text == "0 of 3 systems"


def test_columns_can_be_hidden(show, board_page):
    page = show(board_page)
    before = len(page.all("table.scores thead th"))
    page.one("details.chooser summary").click()
    page.all("details.chooser input")[0].click()
    assert len(page.all("table.scores thead th")) == before - 1
    assert not any(text.startswith("CIDEr") for text in page.texts("table.scores thead th"))


def test_the_plot_follows_the_choice_and_names_the_front(show, board_page):
    page = show(board_page)
    page.choose("Up", "mean rank [4]")
    points = page.all("#tradeoffs .point")
    assert len(points) == 3
    labels = [point.get_attribute("aria-label") for point in points]
    assert all(re.search(r": CIDEr [\d.]+, mean rank [\d.]+", label) for label in labels)
    front = [label.partition(":")[0] for label in labels if label.endswith("on the Pareto front")]
    told = page.one("#tradeoffs [role=status]").text
    assert front
    assert all(name in told for name in front)
    best = min(points, key=lambda p: float(re.search(r"mean rank ([\d.]+)", p.get_attribute("aria-label"))[1]))
    assert best.rect["y"] == min(point.rect["y"] for point in points)  # low is better, and better is up


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark_have_contrast(show, board_page, dark):
    page = show(board_page, dark=dark)
    paper = page.js("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (sum(paper) < 200) == dark
    for selector in ("body", "small", ".lead", "nav a", ".count", "td.number small", ".place", ".signatures code"):
        assert contrast(page, selector) >= 4.5, selector
    for i in range(6):
        mark = page.js(f"return getComputedStyle(document.documentElement).getPropertyValue('--s{i}')").strip()
        rgb = [int(mark[k : k + 2], 16) for k in (1, 3, 5)]
        assert ratio(rgb, paper) >= 3  # graphics


def contrast(page, selector):
    """The contrast of a text with what it stands on (WCAG 2.2, 1.4.3)."""
    ink, paper = page.js(
        """
        let node = document.querySelector(arguments[0]);
        const ink = getComputedStyle(node).color;
        const see = (n) => getComputedStyle(n).backgroundColor;
        while (see(node) === 'rgba(0, 0, 0, 0)') node = node.parentElement;
        return [ink, see(node)].map((text) => text.match(/[0-9]+/g).map(Number).slice(0, 3));
        """,
        selector,
    )
    return ratio(ink, paper)


def ratio(first, second):
    def luminance(rgb):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted([luminance(first), luminance(second)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_theme_button_overrides_the_system(show, board_page):
    page = show(board_page)
    button = page.one("button.theme")
    assert button.text == "Theme: Auto"
    button.click()
    button.click()
    assert button.text == "Theme: Dark"
    assert sum(page.js("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")) < 200
    button.click()
    assert button.text == "Theme: Auto"


def test_it_prints_without_its_controls(show, board_page):
    page = show(board_page, dark=True)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not page.one("input[type=search]").is_displayed()
    assert page.one("table.scores").is_displayed()
    assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    paper = page.browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert base64.b64decode(paper).startswith(b"%PDF-")


def test_a_rank_that_is_better_than_one_above_it_is_explained(show, tmp_path):
    pages.write_boards(leaderboard.gather([POPE]), tmp_path / "pope.html")
    page = show(tmp_path / "pope.html")
    (note,) = page.texts(".order li")
    assert note == (
        "instructblip-short (3) stands below minigpt-4-short (4): llava-long is better than minigpt-4-short beyond "
        "chance, and not better than instructblip-short."
    )
