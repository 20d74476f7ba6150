"""Numbers that others found on published judgements, to the digits they are known in, by the command."""

import json
import subprocess
import sys

import pytest

from capbench.meteor import resources

# strict accuracy in percent: HC, HI, HM, MM and their mean (reference implementation on the same pairs)
PASCAL = {
    "bleu1": (62.6, 94.8, 92.3, 60.3, 77.5),
    "bleu4": (61.1, 93.6, 84.8, 58.7, 74.5),
    "rouge_l": (62.7, 95.9, 91.7, 60.4, 77.7),
    "cider": (65.4, 98.6, 90.1, 65.0, 79.8),
    "meteor": (63.3, 97.5, 93.2, 65.5, 79.9),
}
# Pearson with the total: machines only, and with people's captions
THUMB = {"bleu4": (0.19, 0.10), "rouge_l": (0.31, 0.19), "cider": (0.33, 0.23), "meteor": (0.31, 0.18)}
# mean per caption of one system
SYSTEMS = {
    "Up-Down": {"cider": 1.1072, "rouge_l": 0.5216, "bleu4": 0.1835, "meteor": 0.2625},
    "Unified-VLP": {"cider": 1.2845, "rouge_l": 0.5596, "bleu4": 0.2017, "meteor": 0.2777},
    "VinVL-base": {"cider": 1.3838, "rouge_l": 0.5638, "bleu4": 0.2183, "meteor": 0.2978},
    "VinVL-large": {"cider": 1.4181, "rouge_l": 0.5686, "bleu4": 0.2284, "meteor": 0.3014},
    "Human": {"cider": 1.1148, "rouge_l": 0.5088, "bleu4": 0.1616, "meteor": 0.3078},
}
# Yebin46/FLEUR results/fleur_pascal_{HC,MM}.txt end with true count 613 and 742, tie count 9 and 1. Taking the
# first caption where both score alike gives 61.6, 99.7, 97.6 and 74.3, the accuracies it is known by.
FLEUR = {"HC": (613, 9), "HI": (997, 0), "HM": (976, 0), "MM": (742, 1)}
OVERLAP = ("bleu", "rouge_l", "cider")
WITH_METEOR = pytest.param(
    ("meteor",),
    marks=[
        pytest.mark.slow,
        pytest.mark.skipif(resources.find_files() is None, reason="needs pycocoevalcap: pip install 'capbench[coco]'"),
    ],
)


def capbench(*words):
    done = subprocess.run(
        [sys.executable, "-m", "capbench", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def measure(path, *metrics):
    return json.loads(capbench("metaeval", path, *(word for metric in metrics for word in ("-m", metric)), "--json"))


def table(data, statistic):
    return {(r["column"], r["group"]): r["value"] for r in data["results"] if r["statistic"] == statistic}


@pytest.mark.parametrize("metrics", [OVERLAP, WITH_METEOR])
def test_pascal_50s(shared, tmp_path, metrics):
    capbench("judgements", shared / "human" / "pascal50s.jsonl.gz", "-o", tmp_path / "pascal.jsonl")
    data = measure(tmp_path / "pascal.jsonl", *metrics)
    found = table(data, "accuracy")
    columns = [column for column in PASCAL if (column, "all") in found]
    assert len(columns) == (1 if "meteor" in metrics else 4)
    for column in columns:
        *each, mean = PASCAL[column]
        for group, percent in zip(("HC", "HI", "HM", "MM"), each, strict=True):
            assert 100 * found[column, group] == pytest.approx(percent, abs=1e-9), (column, group)
        assert 100 * found[column, "all"] == pytest.approx(mean, abs=0.051)  # 74.55 is printed as 74.5
    assert {r["n"] for r in data["results"]} == {1000, 4000}
    assert (data["rows"], data["groups"]) == (4000, ["all", "HC", "HI", "HM", "MM"])


def test_scores_that_others_gave(shared, tmp_path):
    """FLEUR's stored scores, with the ties as its run drew them: its authors' own counts."""
    source = shared / "human" / "pascal50s.jsonl.gz"
    capbench("judgements", source, "--as", "pascal50s-fleur-run", "-o", tmp_path / "fleur.jsonl")
    data = measure(tmp_path / "fleur.jsonl", "rouge_l")
    strict, half = table(data, "accuracy"), table(data, "accuracy_ties_half")
    known_by = table(data, "accuracy_ties_first")
    printed = {group: round(100 * known_by["FLEUR", group], 1) for group in FLEUR}
    assert printed == {"HC": 61.6, "HI": 99.7, "HM": 97.6, "MM": 74.3}
    for group, (right, ties) in FLEUR.items():
        assert 1000 * strict["FLEUR", group] == pytest.approx(right)
        assert 1000 * half["FLEUR", group] == pytest.approx(right + ties / 2)
    signature = next(r["signature"] for r in data["results"] if r["column"] == "FLEUR")
    assert signature.startswith("given|score:FLEUR|values:")


@pytest.mark.parametrize("metrics", [OVERLAP, WITH_METEOR])
def test_thumb(shared, tmp_path, metrics):
    capbench("judgements", shared / "human" / "thumb_mscoco.jsonl.gz", "-o", tmp_path / "thumb.jsonl.gz")
    data = measure(tmp_path / "thumb.jsonl.gz", *metrics)
    found = table(data, "pearson")
    columns = [column for column in THUMB if (column, "all") in found]
    assert len(columns) == (1 if "meteor" in metrics else 3)
    for column in columns:
        machines, every = THUMB[column]
        assert round(found[column, "machine"], 2) == machines
        assert round(found[column, "all"], 2) == every
    means = {(m["corpus"], m["column"]): m for m in data["means"] if m["corpus"]}
    for system, wanted in SYSTEMS.items():
        got = {column: round(means[system, column]["value"], 4) for column in columns}
        assert got == {column: wanted[column] for column in columns}, system
    assert {m["n"] for m in means.values()} == {500}
