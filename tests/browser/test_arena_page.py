"""The page of an arena in a browser: strengths, intervals and pairs, at two widths, in two themes, with hostile names."""

import json

import pytest

from capbench import arena
from capbench.arena.text import Shown
from capbench.pages.arena import write_arena

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
HOSTILE = [
    "<script>window.hit = 1</script>", "<img src=x onerror='window.hit = 2'>", "</td></table><style>*{display:none}</style>",
    '"><svg onload=window.hit=3>', "&lt;b&gt; &amp;", "right\u202eleft <b>", "lone \ud800 surrogate", "W" * 300, "word " * 200,
]  # fmt: skip


def shown(names, tmp_path):
    """Every pair on 20 items; the first wins most, one system wins all and one is never met."""
    rows = [
        arena.Verdict(str(k), a, b, "b" if (k + i + j) % (3 + j) == 0 else "a", "judge")
        for k in range(20)
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i < j
    ]
    rows += [
        arena.Verdict("1", "champion", names[0], "a", "judge"),
        arena.Verdict("1", "alone", "far away", "tie", "judge"),
    ]
    contests, swaps = arena.contests_of(rows)
    made = Shown(arena.rank(contests, resamples=200), {"judge": len(rows)}, swaps)
    write_arena(made, tmp_path / "arena.html")
    return made


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_strengths_what_is_not_ranked_and_every_pair(show, screenshot, tmp_path, size, dark):
    made = shown(["alpha", "beta", "gamma", "delta"], tmp_path)
    page = show(tmp_path / "arena.html", SIZES[size], dark=dark)
    assert page.texts("caption") == [
        "Strength",
        "A group apart (2)",
        "Not ranked",
        "Pairs: row against column, won/tied/lost",
    ]
    first = made.ranking.groups[0][0]
    assert page.texts("tbody tr:first-child td")[:2] == ["1", first.system]
    drawn = page.js(
        "return [...document.querySelectorAll('table')[0].querySelectorAll('circle')].map((c) => +c.getAttribute('cx'))"
    )
    assert drawn == sorted(drawn, reverse=True)
    assert len(drawn) == 4
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    assert page.cut_texts() == []
    screenshot(page, f"arena-{size}-{'dark' if dark else 'light'}")


def test_names_are_only_text(show, tmp_path):
    shown(HOSTILE, tmp_path)
    page = show(tmp_path / "arena.html")
    assert page.js("return window.hit ?? 0") == 0
    assert page.js("return document.querySelectorAll('script, img, main style, b').length") == 0
    text = page.js("return document.body.innerText")
    assert json.dumps(HOSTILE[0])[1:-1] in text
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
