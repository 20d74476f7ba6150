"""capbench arena and metaeval of verdicts, as one types them, with good and bad words."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

ENTRIES = Path(__file__).resolve().parents[2] / "leaderboards" / "coco-karpathy-test" / "entries"
CALIBRATION = Path(__file__).resolve().parents[1] / "perf" / "calibrate_arena.py"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"item": str(k), "a": a, "b": b, "winner": "ab"[k % n == 0], "judge": judge, "first": "a"}
        for k in range(20)
        for a, b, n in (("x", "y", 3), ("y", "z", 4), ("x", "z", 5))
        for judge in ("ann", "bot")
    ]
    rows.append({"item": "1", "a": "p", "b": "q", "winner": "a", "judge": "ann"})
    (tmp_path / "v.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_file_gives_a_table_and_files(capbench, here):
    made = capbench("arena", "v.jsonl", "--csv", "out/a.csv", "--html", "out/a.html", "--save", "out/v.jsonl", "--elo")
    assert made.code == 0, made.err
    assert "| 1    | x      |" in made.out
    assert "| p      | unconnected |" in made.out
    assert "verdicts by judge: ann (61), bot (60)." in made.out
    assert made.err.splitlines() == ["wrote out/v.jsonl", "wrote out/a.csv", "wrote out/a.html"]
    lines = list(csv.DictReader((here / "out" / "a.csv").read_text().splitlines()))
    assert [line["system"] for line in lines] == ["x", "y", "z", "p", "q"]
    assert [line["standing"] for line in lines] == ["ranked"] * 3 + ["unconnected"] * 2
    assert "script" not in (here / "out" / "a.html").read_text()
    assert capbench("arena", "out/v.jsonl", "--elo").out == made.out


def test_one_judge_an_anchor_and_json(capbench):
    made = capbench("arena", "v.jsonl", "--judge", "bot", "--anchor", "y", "--json").data
    assert made["judges"] == {"bot": 60}
    assert {s["system"]: round(s["strength"]) for s in made["systems"] if s["system"] == "y"} == {"y": 1000}
    assert made["contests"] == 60
    assert np.array(made["won"]).sum() == 60


def test_runs_by_a_metric(capbench):
    made = capbench("arena", *sorted(ENTRIES.glob("*"))[:3], "--by", "cider", "--resamples", 200, "--json")
    assert made.code == 0, made.err
    assert made.data["contests"] == 3 * 5000
    lines = made.data["systems"]
    assert [line["rank"] for line in lines] == sorted(line["rank"] for line in lines)
    compared = capbench("compare", *sorted(ENTRIES.glob("*"))[:2], "-c", "cider", "--resamples", 100, "--json").data
    wins = compared["lines"][0]["items"]  # the same wins and ties as compare counts
    i, j = (made.data["order"].index(name) for name in (compared["lines"][0]["first"], compared["lines"][0]["second"]))
    assert (made.data["won"][i][j], made.data["tied"][i][j], made.data["won"][j][i]) == tuple(wins.values())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("v.jsonl", "--judge", "eve"), 2, "no verdict is by 'eve'"), (("v.jsonl", "--anchor", "eve"), 2, "no system is called 'eve'"),
        (("absent.jsonl",), 3, "cannot read absent.jsonl"), ((str(ENTRIES),), 3, "is a folder"),
        ((*sorted(map(str, ENTRIES.glob("*"))),), 2, "say what decides: --by COLUMN"), (("v.jsonl", "--by", "cider"), 2, "no run is called"),
        ((*sorted(map(str, ENTRIES.glob("*"))), "--by", "nothing"), 2, "no column is called 'nothing'"),
        (("v.jsonl", "--html", "."), 2, "is a folder"), ((), 2, "Missing argument"),
    ],
)  # fmt: skip
def test_what_is_refused(capbench, words, code, said):
    made = capbench("arena", *words)
    assert made.code == code, made
    assert said in made.err


def test_nothing_left_to_rank_by_is_said_with_the_reasons(capbench, here):
    rows = [{"item": "1", "a": "x", "b": "y", "winner": "a", "judge": "j", "first": first} for first in "ab"]
    (here / "c.jsonl").write_text("".join(json.dumps({**row, "winner": row["first"]}) + "\n" for row in rows))
    assert capbench("arena", "c.jsonl").code == 0
    refused = capbench("arena", "c.jsonl", "--contradictory", "drop")
    assert refused.code == 4
    assert "no contest is left to rank by:\n  contradictory after the swap, and dropped: 1 pairs" in refused.err


def test_a_judge_is_asked_about_runs(capbench, here):
    for captioner in ("speaker", "speaker(flaw='no_colour')"):
        assert capbench("run", captioner, "-b", "scenes", "-n", 12, "-m", "rouge_l").code == 0
    runs = sorted(map(str, (here / "runs" / "scenes").glob("*")))
    asked = ("arena", *runs, "-b", "scenes", "--judge", "judge", "--backend", "judge=scripted_judge")
    made = capbench(*asked, "--save", "asked.jsonl", "--json")
    assert made.code == 0, made.err
    assert made.data["judges"] == {"scripted_judge()@1.1": 24}
    assert made.data["contests"] == made.data["swaps"]["contests"] == 12
    assert capbench("arena", "asked.jsonl", "--json").out == made.out
    assert capbench(*asked, "-n", 5, "--json").data["items"] == 5
    for words, said in (
        (("--by", "rouge_l"), "with --by nobody is asked"), (("--rubric", "clair"), "clair is not of two captions"),
        (("--replay", "absent.jsonl"), "absent.jsonl"),
    ):  # fmt: skip
        refused = capbench(*asked, *words)
        assert refused.code in (2, 3)
        assert said in refused.err
    assert "name a judge" in capbench("arena", *runs, "-b", "scenes").err
    assert (
        "has other ids, references or pictures"
        in capbench("arena", *runs, "-b", "scenes-bags", "--judge", "scripted_judge").err
    )
    assert "is a run, and runs hold no verdicts" in capbench("arena", *runs, "--judge", "scripted_judge").err


def test_metaeval_tells_verdicts_from_judgements(capbench, here):
    made = capbench("metaeval", "v.jsonl", "--people", "ann", "--json")
    assert made.code == 0, made.err
    rates = {(r["judge"], r["statistic"]): r["value"] for r in made.data["rates"]}
    assert rates["bot", "people"] == 1.0
    assert 0.5 < rates["bot", "first"] < 1
    assert "| bot   | 1.000 [1.000, 1.000] (60)" in capbench("metaeval", "v.jsonl", "--people", "ann").out
    refused = capbench("metaeval", "v.jsonl", "-m", "cider")
    assert (refused.code, "verdicts are not scored" in refused.err) == (2, True)
    row = {"image": "1.jpg", "candidate": "a dog", "references": ["a dog"], "ratings": [1]}
    (here / "r.jsonl").write_text(json.dumps(row) + "\n")
    refused = capbench("metaeval", "r.jsonl", "--people", "ann")
    assert (refused.code, "--people is for files of verdicts" in refused.err) == (2, True)
    assert "What people said by ROUGE-L:" in capbench("metaeval", "r.jsonl", "-m", "rouge_l", "--calibration").out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "ties", "items"])
def test_planted_strengths_are_found_within_their_own_intervals(name):
    """The script of docs/arena.md with fewer simulations: 95% within four standard errors."""
    spec = importlib.util.spec_from_file_location("calibrate_arena", CALIBRATION)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    rates = script.simulate(script.SETTINGS[name], 40, 299)
    for held in rates.T[:2]:
        assert abs(held.mean() - 0.95) < 4 * 0.1 / np.sqrt(40)
    assert rates[:, 2].mean() < 0.2
