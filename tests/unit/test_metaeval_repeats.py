"""Scores given several times: a published intraclass correlation, sums by hand, and what a file may hold."""

import json
import math

import pytest

from capbench import judgements, metaeval
from capbench.errors import BadData
from capbench.metaeval.repeats import repeats_of

# Shrout and Fleiss, Psychological Bulletin 86 (1979), table 2: six targets, four ratings each; ICC(1,1) is .17
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.fixture
def write(tmp_path):
    def call(scores, **more):
        rows = [
            {"image": f"{k}.jpg", "candidate": "a dog", "references": ["a dog"], "ratings": [k % 3], "scores": {"J": own}, **more}
            for k, own in enumerate(scores)
        ]  # fmt: skip
        path = tmp_path / "judged.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return call


def test_a_published_intraclass_correlation(write):
    (found,) = repeats_of(judgements.read(write(SHROUT_FLEISS)))
    assert found.icc.value == pytest.approx(0.17, abs=0.005)  # as printed
    assert found.icc.value == pytest.approx((11.24 - 6.26) / (11.24 + 3 * 6.26), abs=1e-3)  # from its mean squares
    assert (found.captions, found.most) == (6, 4)
    assert found.icc.low is None  # six images


def test_equal_repeats_and_gaps_by_hand(write):
    (found,) = repeats_of(judgements.read(write([[1, 1, 3], [2, 2], [5], [4, None, 4]])))
    assert found.equal.value == pytest.approx(3 / 5)  # 1-1; 2-2; 4-4 of 3 + 1 + 1 pairs
    assert found.gap.value == pytest.approx(4 / 5)
    assert (found.captions, found.most) == (3, 3)


def test_repeats_of_different_numbers_by_analysis_of_variance(write):
    """Counts 3, 2 and 2; the sums of squares are written out."""
    groups = [[1, 2, 3], [4, 6], [9, 9]]
    (found,) = repeats_of(judgements.read(write(groups)))
    grand = 34 / 7
    between = (3 * (2 - grand) ** 2 + 2 * (5 - grand) ** 2 + 2 * (9 - grand) ** 2) / 2
    within = (2 + 2 + 0) / 4
    size = (7 - 17 / 7) / 2
    assert found.icc.value == pytest.approx((between - within) / (between + (size - 1) * within))


def test_the_mean_is_measured_and_a_missing_repeat_leaves_it_unscored(write):
    rows = judgements.read(write([[1, 2], [3, None], 4, None]))
    assert [j.scores["J"][0] for j in rows[:1]] == [1.5]
    assert [math.isnan(j.scores["J"][0]) for j in rows] == [False, True, False, True]
    assert [bool(j.repeats) for j in rows] == [True, True, False, False]
    found = metaeval.evaluate(write([[k, k + 1] for k in range(12)]), ["rouge_l"])
    text = metaeval.markdown(found)
    assert "| J | 0.000 [0.000, 0.000] | 1.000 [1.000, 1.000] |" in text
    assert metaeval.as_object(found)["repeats"][0]["captions"] == 12


def test_repeats_of_a_pair(tmp_path):
    row = {"image": "1.jpg", "candidates": ["a dog", "a cat"], "references": ["a dog"], "preferred": 0}
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({**row, "scores": {"J": [[1, 3], 2]}}))
    (judged,) = judgements.read(path)
    assert judged.scores["J"] == (2.0, 2.0)
    assert judged.repeats["J"] == ((1.0, 3.0), (2.0,))


@pytest.mark.parametrize("bad", [[], ["x"], [[1]], [True]])
def test_what_is_no_repeated_score(write, bad):
    with pytest.raises(BadData, match="the score 'J' is not a number"):
        judgements.read(write([bad]))
