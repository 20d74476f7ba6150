"""Every page at desktop and phone width: nothing wider than the screen, no text cut. The pictures are for people."""

import pytest

from capbench import leaderboard, pages

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def coco_page(root, tmp_path_factory):
    """The committed table."""
    target = tmp_path_factory.mktemp("coco") / "coco.html"
    pages.write_boards(leaderboard.gather([root / "leaderboards" / "coco-karpathy-test" / "entries"]), target)
    return target


def fits(page):
    assert page.js("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.cut_texts() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_coco_table(show, coco_page, screenshot, size, dark):
    page = show(coco_page, SIZES[size], dark=dark)
    fits(page)
    assert screenshot(page, f"coco-{size}-{'dark' if dark else 'light'}").stat().st_size > 20_000
    disagree = page.one(".disagree").text
    assert "Liu-et-al-2017 is better than Mun-et-al-2017" in disagree
    assert "BLEU-4 0.311 against 0.300" in disagree
    assert "CIDEr 0.950 against 0.960 cannot tell them apart" in disagree


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_view(show, view_page, screenshot, size, dark):
    page = show(view_page, SIZES[size], dark=dark)
    fits(page)
    name = f"view-{size}-{'dark' if dark else 'light'}"
    assert screenshot(page, name).stat().st_size > 20_000
    page.one(".list .row").click()
    page.until(lambda: page.js("return document.querySelector('dialog img').complete"))
    assert page.cut_texts() == []
    assert screenshot(page, f"{name}-image", whole=False).stat().st_size > 10_000
