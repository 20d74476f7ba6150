import json

import pytest

import capbench
from capbench.errors import MissingPart, UsageError
from capbench.judging import Contest, ask_both_orders, opened
from capbench.types import ImageRef

PAIRS = [
    Contest("agreed", "a brown dog runs", "two cats", ("a brown dog runs",)),
    Contest("second", "a bus", "a red bus at a stop", ("a red bus at a stop",)),
    Contest("first place", "x", "y", ("z",)),
    Contest("even", "the same", "the same", ("z",)),
    Contest("one tie", "u", "v", ("z",)),
    Contest("mute", "m", "n", ("z",)),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))


def script(loopback):
    """Scripted verdicts: right ones, one that likes the first place, ties, and one that refuses after the swap."""

    def answer(key, attempt, body):
        text = body["messages"][-1]["content"][-1]["text"]
        first = text.split("Caption 1: ")[1].split("\n")[0]
        better = {
            "a brown dog runs": "1", "two cats": "2", "a bus": "2", "a red bus at a stop": "1", "x": "1", "y": "1",
            "the same": "tie", "u": "1", "v": "tie", "m": "2",
        }  # fmt: skip
        if first == "n":
            return 200, loopback.completion("I cannot compare these.")
        return 200, loopback.completion(json.dumps({"reason": "it is", "better": better[first]}))

    return loopback.Server(answer)


def test_both_orders_are_asked_and_a_contradiction_is_told_apart(loopback):
    with script(loopback) as server:
        spec = f"judge_chat(model='tiny-eyes', url={server.url!r})"
        with opened(spec) as judge:
            found = ask_both_orders(judge, PAIRS)
            assert judge.shelf.made == 11  # the even pair is one prompt in both orders
            swapped = ask_both_orders(judge, [Contest("s", "y", "x", ("z",))])
            assert judge.shelf.made == 11
    said = [(v.id, v.outcome, v.shown, v.swapped) for v in found]
    assert said == [
        ("agreed", "first", "first", "first"),
        ("second", "second", "second", "second"),
        ("first place", "contradictory", "first", "second"),
        ("even", "tie", "tie", "tie"),
        ("one tie", "tie", "first", "tie"),
        ("mute", "unscored", "second", None),
    ]
    assert found[-1].reason == "the judge refuses (better): I cannot compare these."
    assert found[-1].replies[1] == "I cannot compare these."
    assert swapped[0].outcome == "contradictory"


def test_a_judge_that_is_no_model_prefers_the_caption_with_the_references_words():
    with opened("scripted_judge") as judge:
        one, two, *_ = ask_both_orders(judge, PAIRS)
    assert (one.outcome, two.outcome) == ("first", "second")


def test_what_cannot_be_asked_is_refused(tmp_path):
    with opened("scripted_judge") as judge:
        with pytest.raises(UsageError, match="clair is not of two captions"):
            ask_both_orders(judge, PAIRS, "clair")
        with pytest.raises(UsageError, match="lone: the judge would see two captions and nothing of the image"):
            ask_both_orders(judge, [Contest("lone", "a", "b")])
        (seen,) = ask_both_orders(judge, [Contest("gone", "a", "b", image=ImageRef("none.png", "0"))])
        assert seen.outcome == "unscored"
        assert seen.reason == "the judge did not answer (better): the picture is missing"
    with pytest.raises(MissingPart, match="no_such"), opened("no_such"):
        pass


def test_the_scripted_judge_knows_what_a_drawn_scene_shows(tmp_path):
    metrics = ["judge(rubric='fleur', model='scripted_judge')"]
    scores = [
        capbench.run(f"speaker(flaw={flaw!r})", "scenes", metrics, limit=8, runs=None).scored[0].rows.columns["fleur"]
        for flaw in ("none", "wrong_colour")
    ]
    assert (scores[0] == 1).all()
    assert ((scores[1] > 0) & (scores[1] < 1)).all()
