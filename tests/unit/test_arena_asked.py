"""An arena by asking a judge over a server: what it is asked, what becomes of each answer, and what is asked again."""

import json

import pytest

import capbench
from capbench import arena, benchmark
from capbench.arena.asked import by_judge, pairs_of
from capbench.errors import UsageError
from capbench.judging import opened
from capbench.metaeval import evaluate_judges

# the captions of three systems for six items; the judge below goes by their first words
TEXTS = {
    "one": ["good a", "good b", "biased c", "tied d", "refused e", "good f"],
    "two": ["bad a", "bad b", "biased cc", "good d", "bad e", None],
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bench(tmp_path):
    """Six items with a reference each, and no pictures."""
    (tmp_path / "refs.json").write_text(json.dumps({str(k): [f"reference {k}"] for k in range(6)}))
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nversion = 1\n\n[dataset]\nuse = "coco(annotations=\'refs.json\')"\n')
    return path


@pytest.fixture
def runs(tmp_path, bench):
    made = []
    for name, texts in TEXTS.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"id": str(k), "caption": t}) + "\n" for k, t in enumerate(texts)))
        made.append(capbench.run(str(path), str(bench), ["rouge_l"], runs=tmp_path / "runs"))
    return made


def judge_server(loopback):
    """Good beats bad; a biased one likes the first place; tied ties; refused is refused where it stands second."""

    def answer(key, attempt, body):
        text = body["messages"][-1]["content"][-1]["text"]
        first, second = (text.split(f"Caption {k}: ")[1].split("\n")[0].split()[0] for k in (1, 2))
        if second == "refused":
            return 200, loopback.completion("I cannot compare these.")
        better = "tie" if "tied" in (first, second) else "1" if "biased" in first or second == "bad" else "2"
        return 200, loopback.completion(json.dumps({"reason": "it is", "better": better}))

    return loopback.Server(answer)


def test_every_pair_is_asked_in_both_orders(loopback, runs, bench, tmp_path):
    loaded = benchmark.load(str(bench))
    with judge_server(loopback) as server, opened(f"judge_chat(model='tiny', url={server.url!r})") as judge:
        found = by_judge(runs, loaded, judge)
        assert judge.shelf.made == 10  # five items with two captions, two orders
        again = by_judge(runs, loaded, judge, limit=2)
        assert judge.shelf.made == 10
    assert [(v.item, v.winner, v.first) for v in found.rows] == [
        ("0", "a", "a"), ("0", "a", "b"), ("1", "a", "a"), ("1", "a", "b"), ("2", "a", "a"), ("2", "b", "b"),
        ("3", "tie", "a"), ("3", "tie", "b"),
    ]  # fmt: skip
    assert again.rows == found.rows[:4]
    assert found.unread == {
        "one of the two has no caption": 1, "the judge refuses (better): I cannot compare these.": 1,
    }  # fmt: skip
    assert {(v.a, v.b) for v in found.rows} == {("one", "two")}
    assert all("tiny" in v.judge for v in found.rows)
    contests, swaps = arena.contests_of(found.rows)
    assert [c.choice for c in contests] == ["one", "one", "", ""]
    assert [s.outcome for s in swaps] == ["same", "same", "contradictory", "same"]
    arena.write(found.rows, tmp_path / "asked.jsonl")
    rates = {r.statistic: (r.value, r.n) for r in evaluate_judges(tmp_path / "asked.jsonl").rates}
    assert rates == {
        "first": (pytest.approx(4 / 6), 6), "swap_changes": (0.25, 4), "swap_to_first": (0.25, 4), "swap_to_second": (0.0, 4),
    }  # fmt: skip


def test_what_cannot_be_asked(runs, bench):
    loaded = benchmark.load(str(bench))
    with pytest.raises(UsageError, match="one run alone"):
        pairs_of(runs[:1], loaded)
    pairs, missing = pairs_of(runs, loaded, limit=3)
    assert ([p.contest.id for p in pairs], missing) == (["0", "1", "2"], 0)
    assert pairs[0].contest.references == ("reference 0",)


def test_a_leaderboards_entry_keeps_no_captions(runs, bench):
    import dataclasses

    with pytest.raises(UsageError, match="two keeps no captions"):
        pairs_of([runs[0], dataclasses.replace(runs[1], captions=())], benchmark.load(str(bench)))
