"""Numbers that others found on published judgements, to the digits they are known in, by the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats as scipy_stats

from capbench import metaeval

ROOT = Path(__file__).resolve().parents[2]
# strict accuracy in percent: HC, HI, HM, MM and their mean (reference implementation on the same pairs)
PASCAL = {
    "bleu1": (62.6, 94.8, 92.3, 60.3, 77.5),
    "bleu4": (61.1, 93.6, 84.8, 58.7, 74.5),
    "rouge_l": (62.7, 95.9, 91.7, 60.4, 77.7),
    "cider": (65.4, 98.6, 90.1, 65.0, 79.8),
}
# Pearson with the total: machines only, and with people's captions
THUMB = {"bleu4": (0.19, 0.10), "rouge_l": (0.31, 0.19), "cider": (0.33, 0.23)}
# mean per caption of one system: CIDEr-D, ROUGE-L, BLEU-4
SYSTEMS = {
    "Up-Down": (1.1072, 0.5216, 0.1835),
    "Unified-VLP": (1.2845, 0.5596, 0.2017),
    "VinVL-base": (1.3838, 0.5638, 0.2183),
    "VinVL-large": (1.4181, 0.5686, 0.2284),
    "Human": (1.1148, 0.5088, 0.1616),
}


def convert(*words):
    subprocess.run([sys.executable, ROOT / "tools" / "judgements.py", *map(str, words)], check=True)


def measure(path, *metrics):
    more = [word for metric in metrics for word in ("-m", metric)]
    done = subprocess.run(
        [sys.executable, "-m", "capbench", "metaeval", str(path), *more, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def table(data, statistic):
    return {(r["column"], r["group"]): r["value"] for r in data["results"] if r["statistic"] == statistic}


def test_pascal_50s(shared, tmp_path):
    convert(shared / "human" / "pascal50s.jsonl.gz", tmp_path / "pascal.jsonl")
    data = measure(tmp_path / "pascal.jsonl", "bleu", "rouge_l", "cider")
    found = table(data, "accuracy")
    for column, wanted in PASCAL.items():
        for group, percent in zip(("HC", "HI", "HM", "MM"), wanted, strict=False):
            assert 100 * found[column, group] == pytest.approx(percent, abs=1e-9), (column, group)
        assert 100 * found[column, "all"] == pytest.approx(wanted[-1], abs=0.051)  # 74.55 is printed as 74.5
    assert {r["n"] for r in data["results"]} == {1000, 4000}
    assert (data["rows"], data["groups"]) == (4000, ["all", "HC", "HI", "HM", "MM"])


def test_thumb(shared, tmp_path):
    convert(shared / "human" / "thumb_mscoco.jsonl.gz", tmp_path / "thumb.jsonl.gz")
    found = table(measure(tmp_path / "thumb.jsonl.gz", "bleu", "rouge_l", "cider"), "pearson")
    for column, (machines, every) in THUMB.items():
        assert round(found[column, "machine"], 2) == machines
        assert round(found[column, "all"], 2) == every


@pytest.mark.parametrize("system", SYSTEMS)
def test_thumb_means_of_a_system(shared, tmp_path, system):
    convert(shared / "human" / "thumb_mscoco.jsonl.gz", tmp_path / "one.jsonl", "--system", system)
    data = measure(tmp_path / "one.jsonl", "cider", "rouge_l", "bleu")
    means = {m["column"]: m["value"] for m in data["means"] if m["group"] == "all"}
    got = tuple(round(means[name], 4) for name in ("cider", "rouge_l", "bleu4"))
    assert got == SYSTEMS[system]


def test_cxc_leaves_out_a_photos_own_captions(shared, tmp_path):
    refs = shared / "coco" / "karpathy_val_refs.jsonl.gz"
    convert(shared / "human" / "cxc_sits_val.jsonl.gz", tmp_path / "cxc.jsonl", "--captions", refs)
    rows = metaeval.read(tmp_path / "cxc.jsonl")
    assert len(rows) == 19713
    assert not any(row.candidates[0] in row.references for row in rows)
    assert all(0 <= row.people[0] <= 5 for row in rows)


TOKENS = """\
1.jpg#0\tA dog runs on grass .
1.jpg#1\tA brown dog .
2.jpg#0\tTwo cats sleep .
2.jpg#1\tCats on a bed .
3.jpg#0\tA red car .
3.jpg#1\tA dog beside a red car .
"""
EXPERT = """\
1.jpg\t2.jpg#0\t1\t1\t2
1.jpg\t1.jpg#1\t4\t4\t4
1.jpg\t3.jpg#1\t2\t3\t2
2.jpg\t2.jpg#1\t4\t4\t3
2.jpg\t1.jpg#0\t1\t1\t1
3.jpg\t1.jpg#1\t2\t1\t2
"""
CROWD = """\
1.jpg\t2.jpg#0\t0.0\t0\t3
1.jpg\t1.jpg#1\t1.0\t3\t0
3.jpg\t1.jpg#1\t0.3333333333333333\t1\t2
"""


def test_flickr8k_expert_as_published(tmp_path):
    (tmp_path / "tokens.txt").write_text(TOKENS)
    (tmp_path / "expert.txt").write_text(EXPERT)
    convert(tmp_path / "expert.txt", tmp_path / "expert.jsonl", "--captions", tmp_path / "tokens.txt")
    rows = [json.loads(line) for line in (tmp_path / "expert.jsonl").read_text().splitlines()]
    assert [(r["image"], r["candidate"], r["ratings"]) for r in rows] == [
        ("1.jpg", "Two cats sleep .", [1, 1, 2]),
        ("1.jpg", "A dog beside a red car .", [2, 3, 2]),
        ("2.jpg", "A dog runs on grass .", [1, 1, 1]),
        ("3.jpg", "A brown dog .", [2, 1, 2]),
    ]
    assert rows[0]["references"] == ["A dog runs on grass .", "A brown dog ."]
    data = measure(tmp_path / "expert.jsonl", "rouge_l")
    assert data["rows"] == 12
    scores = metaeval.evaluate(tmp_path / "expert.jsonl", ["rouge_l"]).run.scored[0].rows.columns["rouge_l"]
    people = [rating for row in rows for rating in row["ratings"]]
    for variant in "bc":
        wanted = scipy_stats.kendalltau(scores, people, variant=variant)[0]
        assert table(data, f"tau_{variant}")["rouge_l", "all"] == pytest.approx(wanted, abs=1e-12)


def test_the_form_of_clipscore_gives_the_same_numbers(tmp_path):
    (tmp_path / "tokens.txt").write_text(TOKENS)
    (tmp_path / "expert.txt").write_text(EXPERT)
    convert(tmp_path / "expert.txt", tmp_path / "expert.jsonl", "--captions", tmp_path / "tokens.txt")
    index = {}
    for row in map(json.loads, (tmp_path / "expert.jsonl").read_text().splitlines()):
        path = f"Flicker8k_Dataset/{row['image']}"
        entry = index.setdefault(
            row["image"], {"image_path": path, "ground_truth": row["references"], "human_judgement": []}
        )
        judged = [{"image_path": path, "caption": row["candidate"], "rating": r} for r in row["ratings"]]
        entry["human_judgement"] += [*judged, {**judged[0], "rating": float("nan")}]
    (tmp_path / "flickr8k.json").write_text(json.dumps(index))
    convert(tmp_path / "flickr8k.json", tmp_path / "theirs.jsonl")
    first, second = (measure(tmp_path / name, "cider", "rouge_l") for name in ("expert.jsonl", "theirs.jsonl"))
    assert second["rows"] == 12
    for statistic in ("tau_b", "tau_c", "pearson", "spearman"):
        assert table(first, statistic) == pytest.approx(table(second, statistic), abs=1e-12)


def test_flickr8k_crowd_takes_candidates_out_of_the_references(tmp_path):
    (tmp_path / "tokens.txt").write_text(TOKENS)
    (tmp_path / "crowd.txt").write_text(CROWD)
    convert(tmp_path / "crowd.txt", tmp_path / "crowd.jsonl", "--captions", tmp_path / "tokens.txt")
    rows = [json.loads(line) for line in (tmp_path / "crowd.jsonl").read_text().splitlines()]
    assert [(r["image"], r["ratings"], len(r["references"])) for r in rows] == [
        ("1.jpg", [0.0], 1),
        ("1.jpg", [1.0], 1),
        ("3.jpg", [1 / 3], 2),
    ]
