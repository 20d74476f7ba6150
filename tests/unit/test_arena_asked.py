"""An arena by asking a judge over a server: what it is asked, what becomes of each answer, and what is asked again."""

import gzip
import json
from pathlib import Path

import pytest

import capbench
from capbench import arena, benchmark
from capbench.arena.asked import by_judge, pairs_of
from capbench.cli.main import main
from capbench.errors import UsageError
from capbench.judges.recorded import recording_of
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


def test_an_arena_is_repeated_from_its_replies_alone(loopback, runs, bench, tmp_path, capsys):
    replies = tmp_path / "out" / "replies.jsonl.gz"

    def call(spec, *words, code=0):
        asked = ["arena", *(str(run.folder) for run in runs), "-b", str(bench), "--judge", spec]
        with pytest.raises(SystemExit) as stop:
            main([*asked, *map(str, words)])
        assert (stop.value.code or 0) == code
        return capsys.readouterr()

    with judge_server(loopback) as server:
        spec = f"judge_chat(model='tiny', url={server.url!r})"
        first = call("eyes", "--backend", f"eyes={spec}", "-n", 5, "--export-replies", replies)
        assert sum(server.seen.values()) == 10
    assert first.err.endswith(f"wrote {replies}\n")
    assert "| rank | system |" in first.out
    assert "Left out: the judge refuses (better)" in first.out  # a refusal is a reply too
    (tmp_path / "cache" / "values.sqlite").unlink()
    again = tmp_path / "again.jsonl.gz"
    for judge in ("eyes", spec):  # nobody answers there any more
        assert call(judge, "-n", 5, "--replay", replies, "--export-replies", again).out == first.out
        assert recording_of(str(again)).replies == recording_of(str(replies)).replies
    assert recording_of(str(again)).judges == {spec: next(iter(recording_of(str(replies)).replies))}
    kept = gzip.decompress(replies.read_bytes()).decode().splitlines(keepends=True)
    (tmp_path / "fewer.jsonl").write_text("".join(kept[:1]))
    missing = call("eyes", "-n", 2, "--replay", tmp_path / "fewer.jsonl", "--export-replies", tmp_path / "no", code=3)
    assert "fewer.jsonl has no reply for 4 of 4 questions: item 0 (pairwise, better), item 1 (pairwise" in missing.err
    assert not (tmp_path / "no").exists()
    rubric = tmp_path / "mine.rubric.toml"
    shipped = Path(capbench.__file__).parent / "rubrics" / "shipped" / "pairwise.toml"
    rubric.write_text(shipped.read_text().replace("Caption 1: ", "The first: "))
    assert "has no reply for 10 of 10" in call("eyes", "--rubric", rubric, "--replay", replies, code=3).err


def test_replies_are_of_a_judge_that_is_asked(runs, tmp_path, capsys):
    (tmp_path / "v.jsonl").write_text('{"item": "1", "a": "x", "b": "y", "winner": "a"}\n')
    for word, purpose in (("--replay", "replay"), ("--export-replies", "export")):
        for sources in ([str(tmp_path / "v.jsonl")], [str(run.folder) for run in runs] + ["--by", "rouge_l"]):
            with pytest.raises(SystemExit, match="2"):
                main(["arena", *sources, word, str(tmp_path / "x.gz")])
            assert f"no judge is asked, so there is nothing to {purpose}" in capsys.readouterr().err
    assert not (tmp_path / "x.gz").exists()
