"""Scores given several times: a published intraclass correlation, sums by hand, and what a file may hold."""

import json
import math
from dataclasses import replace

import pytest

from capbench import judgements, metaeval
from capbench.cli.main import main
from capbench.errors import BadData
from capbench.metaeval.repeats import repeats_given

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
    (found,) = repeats_given(judgements.read(write(SHROUT_FLEISS)))
    assert found.icc.value == pytest.approx(0.17, abs=0.005)  # as printed
    assert found.icc.value == pytest.approx((11.24 - 6.26) / (11.24 + 3 * 6.26), abs=1e-3)  # from its mean squares
    assert (found.captions, found.most) == (6, 4)
    assert found.icc.low is None  # six images


def test_equal_repeats_and_gaps_by_hand(write):
    (found,) = repeats_given(judgements.read(write([[1, 1, 3], [2, 2], [5], [4, None, 4]])))
    assert found.equal.value == pytest.approx(3 / 5)  # 1-1; 2-2; 4-4 of 3 + 1 + 1 pairs
    assert found.gap.value == pytest.approx(4 / 5)
    assert (found.captions, found.most) == (3, 3)


def test_repeats_of_different_numbers_by_analysis_of_variance(write):
    """Counts 3, 2 and 2; the sums of squares are written out."""
    groups = [[1, 2, 3], [4, 6], [9, 9]]
    (found,) = repeats_given(judgements.read(write(groups)))
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


@pytest.fixture
def judged(tmp_path, monkeypatch, loopback):
    """Twelve pairs of captions 0 to 23, and a judge that scores them 2k, then 2k + 20; the second time 5 is no number."""
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def script(key, attempt, body):
        number = int(body["messages"][-1]["content"][-1]["text"].split("caption number ")[1].split()[0])
        said = 2 * number + 20 * body["seed"] if (number, body["seed"]) != (5, 1) else "hard to say"
        return 200, loopback.completion(json.dumps({"score": said}))

    with loopback.Server(script) as server:
        model = f"judge_chat(model='tiny-eyes', url={server.url!r})"
        server.metric = f"judge(rubric='clair', model={model!r}, temperature=0.7, repeats=2)"
        yield server


def said_twice(number):
    """What the judge says of a caption, as a file gives it."""
    return [2 * number / 100, None if number == 5 else (2 * number + 20) / 100]


@pytest.mark.parametrize("form", ["ratings", "preferences"])
def test_a_judge_that_is_asked_twice_agrees_with_itself_as_its_numbers_do(judged, tmp_path, form):
    rows = []
    for k in range(12):
        a, b = f"caption number {2 * k} ", f"caption number {2 * k + 1} "
        row = {"image": f"{k}.jpg", "references": ["a dog"], "corpus": "xy"[k % 2]}
        given = (
            {"candidate": a, "ratings": [k % 3, k % 2, 1], "scores": {"J": said_twice(2 * k)}}
            if form == "ratings"
            else {
                "candidates": [a, b],
                "preferred": k % 2,
                "scores": {"J": [said_twice(2 * k), said_twice(2 * k + 1)]},
            }
        )
        rows.append(json.dumps({**row, **given}) + "\n")
    path = tmp_path / "judged.jsonl"
    path.write_text("".join(rows))
    found = metaeval.evaluate(path, [judged.metric])
    given, made = found.repeats
    assert (given.score, made.score) == ("J", "CLAIR")
    assert made.captions == (12 if form == "ratings" else 23)  # each once, and not the one that has one number
    assert made.gap.value == pytest.approx(0.2)
    assert made.equal.value == 0
    assert replace(made, score="J", short="") == given  # whose statistics have oracles above
    values = {(r.column, r.statistic): r.value for r in found.results if r.group == "all"}
    head = "tau_b" if form == "ratings" else "accuracy"
    assert values["clair", head] == values["J", head]  # the mean is the score
    assert {r.unscored for r in found.results} == {0 if form == "ratings" else 1}
    assert "| CLAIR [1] | 0.000 [0.000, 0.000] | 0.200 [0.200, 0.200] |" in metaeval.markdown(found)
    assert metaeval.as_object(found)["repeats"][1]["short"] == made.short != ""
    assert not metaeval.evaluate(path, ["rouge_l"]).repeats[1:]


def test_an_evaluation_is_repeated_from_its_replies_alone(judged, tmp_path, capsys):
    path, replies = tmp_path / "judged.jsonl", tmp_path / "out" / "replies.jsonl.gz"
    rows = [
        {"image": f"{k}.jpg", "candidate": f"caption number {k} ", "references": ["a dog"], "ratings": [k % 3]}
        for k in range(10, 14)
    ]

    def call(*words, code=0):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        with pytest.raises(SystemExit) as stop:
            main(["metaeval", str(path), "-m", judged.metric, *words])
        assert (stop.value.code or 0) == code
        return capsys.readouterr()

    first = call("--export-replies", str(replies), "--json")
    assert sum(judged.seen.values()) == 8
    (tmp_path / "cache" / "values.sqlite").unlink()
    judged.seen.clear()
    assert call("--replay", str(replies), "--json").out == first.out
    rows[2]["candidate"] = "caption number 20 "
    missing = call("--replay", str(replies), code=3)
    assert "has no reply for 2 of 8 questions: item 12.jpg@3.0 (clair, score)\n" in missing.err
    assert not judged.seen
    assert "there is no file" in call("--replay", str(tmp_path / "gone.gz"), code=3).err
    for word, purpose in (("--replay", "replay"), ("--export-replies", "export")):
        with pytest.raises(SystemExit, match="2"):
            main(["metaeval", str(path), "-m", "rouge_l", word, str(tmp_path / "x.gz")])
        assert f"no metric asks a judge, so there is nothing to {purpose}" in capsys.readouterr().err
    assert not (tmp_path / "x.gz").exists()
