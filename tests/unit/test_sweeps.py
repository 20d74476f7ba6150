"""A sweep: each point a run, planned together, one failure alone, and the front by value and by test."""

import csv
import io
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

import capbench
from capbench import plugins, sweep_text, sweeps
from capbench.errors import MissingPart, UsageError
from capbench.sweeps import dominates
from capbench.types import Generation

METRICS = ["cider", "clipscore", "rouge_l"]
CLIP = {"clip": "scenes"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Where the runs are, and a sweep of three flaws and two temperatures."""
    root = tmp_path_factory.mktemp("sweep")
    vary = {"flaw": ["none", "short", "no_relation"], "temperature": [0.0, 0.7]}
    return root, sweeps.sweep("speaker", "scenes", vary, METRICS, backends=CLIP, limit=40, runs=root)


def test_each_point_is_the_run_that_one_would_make_by_hand(world):
    root, made = world
    assert [(d.point.settings) for d in made.points][:2] == [
        (("flaw", "none"), ("temperature", 0.0)),
        (("flaw", "none"), ("temperature", 0.7)),
    ]
    alone = capbench.run("speaker(flaw='short')", "scenes", METRICS, backends=CLIP, limit=40, runs=root)
    point = made.points[2]
    assert alone.folder == point.run.folder
    assert [s.value for s in alone.summaries] == [s.value for s in point.run.summaries]
    assert len(list(root.glob("*/*/run.json"))) == 6


def test_the_first_point_is_made_as_its_settings_say_too(tmp_path):
    options = {"limit": 12, "runs": tmp_path}
    made = sweeps.sweep(
        "speaker", "scenes", {"temperature": [0.9, 0.0], "generation.seed": [3]}, ["cider", "rouge_l"], **options
    )
    for point in made.points:
        asked = Generation(**dict(point.point.settings))
        alone = capbench.run("speaker", "scenes", ["cider"], generation=asked, **options)
        assert point.run.record.identity.generation == asdict(asked)
        assert alone.folder == point.run.folder
    texts = [[c.text for c in point.run.captions] for point in made.points]
    assert texts[0] != texts[1]  # a warm speaker slips


def test_again_it_computes_nothing_and_a_wider_one_only_what_is_new(world):
    root, made = world
    told = []
    planned = sweeps.plan("speaker", "scenes", ["flaw=none,short,repeat", "temperature=0.0"], METRICS, backends=CLIP,
                          limit=40, runs=root)  # fmt: skip
    again = sweeps.run(planned, tell=told.append)
    assert told[0] == "point 1 of 3, flaw=none, temperature=0.0: 0 captions and 0 metrics were computed"
    assert told[2] == "point 3 of 3, flaw=repeat, temperature=0.0: 40 captions and 3 metrics were computed"
    assert again.cells(0) == made.cells(0)


def test_the_front_by_hand(world):
    _, made = world
    values = [[s.value for s in made.cells(i)[:2]] for i in range(len(made.points))]
    for i, done in enumerate(made.points):
        better = [v for v in values if v[0] >= values[i][0] and v[1] >= values[i][1] and v != values[i]]
        assert (done.standing == "front") == (not better)
    assert {d.standing for d in made.points if d.point.settings[0][1] == "short"} == {"beaten"}
    assert {d.standing for d in made.points} <= {"front", "near", "beaten"}


def summary_like(made, label, values):
    """A point with these numbers an item in CIDEr's and CLIPScore's place."""
    done = made.points[0]
    run = done.run
    scored, summaries = [], []
    for s, own in zip(made.cells(0)[:2], values, strict=True):
        found = next(x for x in run.scored if x.key == f"{s.metric}#{s.short}")
        column = np.asarray(own, float)
        kept = {name: column if name == s.column else c for name, c in found.rows.columns.items()}
        scored.append(replace(found, rows=replace(found.rows, columns=kept)))
        summaries.append(replace(s, value=float(column.mean())))
    changed = replace(run, scored=tuple(scored), summaries=tuple(summaries), record=replace(run.record, label=label))
    return replace(done, run=changed)


@pytest.fixture
def judged(world):
    """judged(values of two columns for each point) -> standings."""
    _, made = world

    def call(*points):
        done = [summary_like(made, f"p{n}", values) for n, values in enumerate(points)]
        planned = replace(made.planned, plans=made.planned.plans[:1] * len(done))
        return [d.standing for d in sweeps.with_standings(planned, done)]

    return call


def test_off_the_front_by_chance_is_not_beaten(judged):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (2, 40))
    base = np.array([noise[0], noise[1]])
    hair = base + rng.normal(0, 0.5, (2, 40))
    hair += (base.mean(axis=1) - hair.mean(axis=1) - 1e-3)[:, None]  # a hair worse in both, by chance
    assert judged(base, hair) == ["front", "near"]
    assert judged(base, base - 1) == ["front", "beaten"]
    assert judged(base, [base[0] - 1, hair[1]]) == ["front", "beaten"]  # beyond chance in one is enough
    assert judged(base, [base[0] - 1, base[1] + 1]) == ["front", "front"]
    assert judged(base, base) == ["front", "front"]
    assert judged(base) == ["front"]


def test_dominance():
    assert dominates([1, 2], [1, 1])
    assert not dominates([1, 1], [1, 1])
    assert not dominates([2, 0], [1, 1])


def test_columns_are_found_by_name_or_label_and_by_default_differ_in_what_they_see():
    bench = "scenes(n=10)"

    def labels(metrics, **words):
        planned = sweeps.plan("speaker", bench, ["flaw=none"], metrics, backends=CLIP, runs=None, **words)
        return [head.label for head in planned.columns]

    assert labels(["cider", "rouge_l", "clipscore"]) == ["CIDEr", "CLIPScore", "ROUGE-L"]
    assert labels(["clipscore", "rouge_l", "cider"]) == ["CLIPScore", "ROUGE-L", "CIDEr"]
    assert labels(["cider", "rouge_l"]) == ["CIDEr", "ROUGE-L"]
    assert labels(["cider", "rouge_l", "clipscore"], x="rouge_l", y="cider") == ["ROUGE-L", "CIDEr", "CLIPScore"]
    assert labels(["cider", "bleu"], x="BLEU-4", y="bleu1") == ["BLEU-4", "BLEU-1", "CIDEr"]
    assert labels(["cider", "clipscore"], y="CIDER") == ["CLIPScore", "CIDEr"]
    for words, message in [
        ({"x": "nothing"}, "no column with a better side is called 'nothing'"),
        ({"x": "cider", "y": "CIDEr"}, "trades nothing"),
    ]:
        with pytest.raises(UsageError, match=message):
            labels(["cider", "rouge_l"], **words)
    with pytest.raises(UsageError, match="two columns, and there is one metric"):
        labels(["cider"])
    with pytest.raises(UsageError, match="several columns are called"):
        labels(["clipscore", "clipscore(weight=1.0)", "cider"], x="CLIPScore")


def test_all_that_is_missing_at_any_point_is_named_before_one_runs(tmp_path):
    with pytest.raises(MissingPart) as caught:
        sweeps.sweep("nearest", "scenes(n=10)", {"encoder": ["scenes", "gone", "away"]}, METRICS, backends=CLIP,
                     runs=tmp_path)  # fmt: skip
    assert "encoder=gone:" in str(caught.value)
    assert "no backend is called 'away'" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


BRITTLE = """
from contextlib import contextmanager
from dataclasses import dataclass

@dataclass(frozen=True)
class Brittle:
    mode: str = "fine"
    name = "brittle"
    def fingerprint(self):
        return self.mode
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        if self.mode == "breaks":
            raise RuntimeError("no device")
        yield self
    def caption(self, requests, params):
        if self.mode == "numbers":
            return [1.5] * len(requests)
        return [f"a thing {params.beams}"] * len(requests)
"""


@pytest.fixture
def brittle(tmp_path):
    path = tmp_path / "brittle.py"
    path.write_text(BRITTLE)
    vary = {"mode": ["fine", "breaks", "numbers"], "beams": [1, 2]}
    return sweeps.sweep(
        f"{path}:Brittle", "scenes(n=10)", vary, METRICS, backends=CLIP, max_missing=0.01, runs=tmp_path / "r"
    )


def test_a_point_that_fails_does_not_cost_the_others(brittle):
    assert [d.run is not None for d in brittle.points] == [True, True, False, False, True, True]
    assert [d.said for d in brittle.points][2:] == ["failed", "failed", "- (unscored)", "- (unscored)"]
    assert {d.standing for d in brittle.points[:2]} <= {"front", "near", "beaten"}
    failure = brittle.failure
    assert "4 of 6 points went wrong" in failure.message
    assert "mode=breaks, beams=1: RuntimeError: no device" in failure.message
    assert "the answer is not text" in failure.message
    assert failure.exit_code == 6  # they have different codes
    assert replace(brittle, points=brittle.points[4:]).failure.exit_code == 5
    assert replace(brittle, points=brittle.points[:2]).failure is None


COUNTED = """
from contextlib import contextmanager
from dataclasses import dataclass
from capbench.types import Failure

LOG = []

@dataclass(frozen=True)
class Counted:
    size: int = 1
    name = "counted"
    def fingerprint(self):
        return f"counted/{self.size}"
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        LOG.append(f"open {self.size}")
        yield self
        LOG.append("close")
    def caption(self, requests, params):
        LOG.append(params.beams)
        return [Failure("no") if params.beams == 2 else f"a thing {params.beams}" for r in requests]
"""


def test_a_model_is_loaded_once_for_all_points_that_differ_in_decoding(tmp_path):
    path = tmp_path / "counted.py"
    path.write_text(COUNTED)
    log = plugins.attribute(f"{path}:Counted")[0].caption.__globals__["LOG"]

    def call(beams, **words):
        vary = {"beams": beams, "size": [1, 2]}
        sweeps.sweep(f"{path}:Counted", "scenes(n=10)", vary, METRICS, backends=CLIP, runs=tmp_path / "r", **words)
        seen = [*log]
        log.clear()
        return seen

    assert call([1, 3]) == ["open 1", 1, 3, "close", "open 2", 1, 3, "close"]
    assert call([1, 3]) == []
    assert call([1, 3], fresh=True) == ["open 1", 1, 3, "close", "open 2", 1, 3, "close"]
    # a session in which something failed is not trusted with the next point
    assert call([1, 2, 4])[:5] == ["open 1", 2, "close", "open 1", 4]


def test_the_table_says_all_of_it(world, brittle):
    _, made = world
    text = sweep_text.markdown(made)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0].split("|")[1:4] == [" flaw        ", " temperature ", "                CIDEr "]
    assert len(rows) == 2 + 6
    assert all(s.signature in text for s in made.cells(0))
    assert sum("on the front" in row for row in rows) == sum(d.standing == "front" for d in made.points)
    assert "failed" in sweep_text.markdown(brittle)


def test_csv_and_json_hold_every_number(world, brittle, read_json):
    _, made = world
    rows = list(csv.DictReader(io.StringIO(sweep_text.csv_text(made))))
    found = read_json(sweep_text.json_text(made))
    assert (found["x"], found["y"]) == ("CIDEr", "CLIPScore")
    for i, (row, point) in enumerate(zip(rows, found["points"], strict=True)):
        for head, s in zip(made.every, made.numbers(i), strict=True):
            assert float(row[head.label]) == s.value == point["numbers"][head.label]["value"]
            assert float(row[f"{head.label} low"]) == s.low == point["numbers"][head.label]["low"]
        assert row["run"] == point["run"] == str(made.points[i].run.folder)
        assert (row["flaw"], float(row["temperature"])) == tuple(point["settings"].values())
    broken = list(csv.DictReader(io.StringIO(sweep_text.csv_text(brittle))))
    assert broken[2]["trade_off"] == "failed"
    assert broken[2]["CIDEr"] == ""
    assert "no device" in broken[2]["error"]
    assert json.loads(sweep_text.json_text(brittle))["points"][2]["numbers"]["CIDEr"] is None


def test_columns_of_one_label_are_told_apart_by_their_specs(tmp_path, read_json):
    metrics = ["clipscore", "clipscore(weight=1.0)", "rouge_l"]
    made = sweeps.sweep("speaker", "scenes(n=10)", {"flaw": ["short"]}, metrics, x="rouge_l", y="", backends=CLIP,
                        runs=tmp_path)  # fmt: skip
    (point,) = read_json(sweep_text.json_text(made))["points"]
    first, second = (point["numbers"][f"CLIPScore ({spec})"]["value"] for spec in metrics[:2])
    assert first == pytest.approx(2.5 * second)
    assert "CLIPScore (clipscore(weight=1.0)) low" in sweep_text.csv_text(made).splitlines()[0]


def test_points_with_the_same_captions_are_told(tmp_path):
    metrics = ["rouge_l", "clipscore"]
    made = sweeps.sweep("speaker", "scenes(n=10)", {"generation.seed": [1, 5]}, metrics, backends=CLIP, runs=tmp_path)
    assert made.notes == ("the same captions, to the letter: seed=1 | seed=5",)
    assert [d.standing for d in made.points] == ["front", "front"]


def test_what_no_point_can_use_is_refused():
    with pytest.raises(UsageError, match="nearest makes no use of beams"):
        sweeps.plan("nearest", "scenes(n=10)", ["beams=1,2"], METRICS, backends=CLIP, runs=None)
