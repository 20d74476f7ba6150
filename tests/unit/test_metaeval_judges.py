"""Judges by their verdicts, and calibration: every number worked by hand."""

import json

import numpy as np
import pytest

from capbench import metaeval
from capbench.errors import UsageError
from capbench.metaeval.calibration import bin_places

LEFT, RIGHT = {"first": "a"}, {"first": "b"}


def rows(item, judge, *answers, **more):
    """Answers (winner, order) to x against y on an item."""
    return [{"item": item, "a": "x", "b": "y", "judge": judge, "winner": w, **order, **more} for w, order in answers]


@pytest.fixture
def write(tmp_path):
    def call(made, name="judged.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in made))
        return path

    return call


def verdicts():
    """Four items. The judge is asked in both orders: the same, a contradiction to the first, one to the second, a tie."""
    return [
        *rows("1", "human", ("a", {}), group="g"), *rows("1", "bot", ("a", LEFT), ("a", RIGHT), group="g"),
        *rows("2", "human", ("b", {}), group="g"), *rows("2", "bot", ("a", LEFT), ("b", RIGHT), group="g"),
        *rows("3", "human", ("tie", {}), group="h"), *rows("3", "bot", ("b", LEFT), ("a", RIGHT), group="h"),
        *rows("4", "human", ("b", {}), group="h"), *rows("4", "bot", ("tie", LEFT), ("b", RIGHT), ("tie", LEFT), group="h"),
    ]  # fmt: skip


def rates(found):
    return {(r.judge, r.statistic, r.group): (r.value, r.n) for r in found.rates}


def test_every_rate_by_hand(write):
    found = metaeval.evaluate_judges(write(verdicts()))
    got = rates(found)
    # contests of the bot: x, tie (contradiction), tie (contradiction), tie (one tie), and a lone tie on item 4
    assert got["bot", "people", "all"] == (pytest.approx(2 / 5), 5)  # items 1 and 3
    assert got["bot", "people", "g"] == (0.5, 2)
    assert got["bot", "people", "h"] == (pytest.approx(1 / 3), 3)
    assert got["bot", "people_decided", "all"] == (1.0, 1)
    # seven choices: x first won, x second won; x, y first won twice; both second won; y first won
    assert got["bot", "first", "all"] == (pytest.approx(4 / 7), 7)
    assert got["bot", "swap_changes", "all"] == (0.75, 4)
    assert got["bot", "swap_to_first", "all"] == (0.25, 4)
    assert got["bot", "swap_to_second", "all"] == (0.25, 4)
    assert got["bot", "repeats", "all"] == (1.0, 1)  # item 4 was asked twice with x first
    assert not [key for key in got if key[0] == "human"]
    assert all(r.low is None for r in found.rates)  # four items
    assert found.people == ("human",)


def test_people_agree_with_each_other_and_a_pattern_names_them(write):
    made = [*rows("1", "expert_1", ("a", {})), *rows("1", "expert_2", ("b", {})), *rows("1", "bot", ("a", {}))]
    got = rates(metaeval.evaluate_judges(write(made), "expert_*"))
    assert got["expert_1", "people", "all"] == (0.0, 1)
    assert got["bot", "people", "all"] == (0.5, 2)
    with pytest.raises(UsageError, match="no judge is called 'nobody'"):
        metaeval.evaluate_judges(write(made), "nobody")


def test_an_interval_draws_items_whole(write):
    """Two thirds agree, on 30 items; ten copies of each say no more than one."""
    one = [
        r
        for k in range(30)
        for who in ("human", "bot")
        for r in rows(str(k), who, ("b" if who == "bot" and k % 3 == 0 else "a", {}))
    ]
    at = {}
    for copies in (1, 10):
        made = [row for row in one for _ in range(copies if row["judge"] == "bot" else 1)]
        found = metaeval.evaluate_judges(write(made))
        at[copies] = next(r for r in found.rates if r.statistic == "people")
    assert (at[1].value, at[1].n, at[10].n) == (pytest.approx(2 / 3), 30, 300)
    assert (at[10].low, at[10].high) == pytest.approx((at[1].low, at[1].high))
    assert 0.4 < at[1].low < 0.6
    assert 0.7 < at[1].high < 0.9


def test_scores_that_say_what_people_say_are_seen_in_the_bins(write):
    """Ratings 0 to 4 beside given scores that are a tenth of them: five bins, on the line."""
    made = [
        {"image": f"{k}.jpg", "candidate": "a dog", "references": ["a dog"], "ratings": [k % 5], "scores": {"S": k % 5 / 10}}
        for k in range(60)
    ]  # fmt: skip
    found = metaeval.evaluate(write(made), ["rouge_l"])
    bins = [b for b in found.bins if b.column == "S"]
    assert [(b.least, b.most, b.people, b.n) for b in bins] == [
        (k / 10, pytest.approx(k / 10), pytest.approx(k), 12) for k in range(5)
    ]  # fmt: skip
    assert (bins[2].low, bins[2].high) == pytest.approx((2, 2))
    text = metaeval.calibration_text(found)
    assert "| 0.200 to 0.200 | 0.200 | 2.000 [2.000, 2.000] | 12 |" in text
    assert "What people said by S (given):" in text


def test_pairs_are_binned_by_distance_and_a_tie_is_half(write):
    made = []
    for k in range(20):
        scores = [0.5, 0.5] if k < 5 else [0.9, 0.1]
        made.append({
            "image": f"{k}.jpg", "candidates": ["a dog", "a cat"], "references": ["a dog"],
            "preferred": int(k == 19), "scores": {"S": scores},
        })  # fmt: skip
    bins = [b for b in metaeval.evaluate(write(made), ["rouge_l"]).bins if b.column == "S"]
    assert [(b.least, b.people, b.n) for b in bins] == [(0.0, 0.5, 5), (pytest.approx(0.8), pytest.approx(14 / 15), 15)]


def test_equal_scores_are_never_split_and_bins_are_about_equal():
    random = np.random.default_rng(0)
    scores = np.concatenate([np.zeros(35), random.random(65)])
    place = bin_places(scores)
    assert len(set(place[:35])) == 1
    order = np.argsort(scores, kind="stable")
    assert (np.diff(place[order]) >= 0).all()
    assert sorted(set(place)) == list(range(place.max() + 1))
    assert place.max() + 1 == 8  # 35 equal ones fill the room of the first bins
    assert max(np.bincount(place)[1:]) <= 12
