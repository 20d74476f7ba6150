"""On scenes, each flawed speaker loses in the metrics that should notice: docs/scenes.md says which, and why."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from capbench.backends.ptb import Ptb
from capbench.backends.scenes import ScenesEncoder
from capbench.bags import galleries, make_bags
from capbench.captioners.scenes import FLAWS, Speaker
from capbench.datasets.scenes import Scenes
from capbench.metrics.bleu import Bleu
from capbench.metrics.cider import Cider
from capbench.metrics.clipscore import ClipScore, RefClipScore
from capbench.metrics.retrieval import SelfRetrieval
from capbench.metrics.rouge import RougeL
from capbench.needs import Bags, Tokens, Vectors
from capbench.ragged import Ragged, ragged
from capbench.stats import paired_differences
from capbench.types import Generation, Request, Rows

pytestmark = pytest.mark.slow
N = 700  # 100 families, 70 blocks of 10
METRICS = {
    "bleu": Bleu(),
    "rouge_l": RougeL(),
    "cider": Cider(),
    "clipscore": ClipScore(encoder="scenes"),
    "refclipscore": RefClipScore(encoder="scenes"),
    "blocks-10": SelfRetrieval("blocks(size=10)", "scenes"),
    "scenes-3": SelfRetrieval("scenes-3", "scenes"),
    "scenes-5": SelfRetrieval("scenes-5", "scenes"),
    "scenes-7": SelfRetrieval("scenes-7", "scenes"),
}
COLUMN = {f"bleu{n}": ("bleu", f"bleu{n}") for n in (1, 2, 3, 4)}
COLUMN |= {name: (name, name) for name in ("rouge_l", "cider", "clipscore", "refclipscore")}
COLUMN |= {name: (name, "r1") for name in ("blocks-10", "scenes-3", "scenes-5", "scenes-7")}


def expected() -> dict[tuple[str, str], str]:
    page = (Path(__file__).parents[2] / "docs" / "scenes.md").read_text(encoding="utf-8")
    lines = page.split("<!-- expected flaws -->")[1].strip().split("\n\n")[0].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head, _, *rows = table
    return {(row[0], name): cell for row in rows for name, cell in zip(head[1:], row[1:], strict=True)}


EXPECTED = expected()


class World:
    """Scores speakers; what does not depend on the speaker is made once."""

    def __init__(self) -> None:
        dataset = Scenes(n=N)
        self.samples = dataset.load()
        self.bags = {bag_set.name: bag_set for bag_set in dataset.bag_sets()}
        self.references = ragged([s.references for s in self.samples])
        self.made: dict[object, object] = {}

    def captions(self, flaw: str) -> list[str]:
        with Speaker(flaw).open("cpu") as session:
            return session.caption([Request(s.id, s.image) for s in self.samples], Generation())

    def value(self, need, captions):
        if isinstance(need, Bags):
            ids = [s.id for s in self.samples]
            return galleries(self.bags.get(need.name) or make_bags(need.name, need.name, ids), ids)
        if need.of.kind != "captions" and need in self.made:
            return self.made[need]
        items = {"captions": captions, "references": self.references.values, "images": [s.image for s in self.samples]}
        backend = {Tokens: Ptb(), Vectors: ScenesEncoder()}[type(need)]
        with backend.open("cpu") as session:
            inputs = [part for item in items[need.of.kind] for part in need.inputs(item)]
            value = need.gather(need.compute(session, inputs))
        if need.of.kind == "references":
            value = Ragged(value, self.references.offsets)
        self.made[need] = value
        return value

    def rows(self, flaw: str) -> dict[str, Rows]:
        captions = self.captions(flaw)
        found = {}
        for name, metric in METRICS.items():
            rows = metric.rows(**{arg: self.value(need, captions) for arg, need in metric.needs.items()})
            found[name] = rows if isinstance(rows, Rows) else Rows(rows)
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield World()


@pytest.fixture(scope="module")
def perfect(world):
    return world.rows("none")


def verdict(cell: str, interval, exact: bool) -> bool:
    if cell == "same":
        return exact
    if cell == "loses":
        return interval.value < 0 and interval.high < 0
    margin = float(re.fullmatch(r"within ([0-9.]+)", cell)[1])
    return -margin < interval.low <= interval.high < margin


def test_the_table_has_a_cell_for_every_flaw_and_metric():
    assert set(EXPECTED) == {(flaw, column) for flaw in FLAWS if flaw != "none" for column in COLUMN}
    assert N >= 500


def test_the_perfect_speaker_is_perfect_where_that_is_defined(perfect):
    assert (perfect["clipscore"].columns["clipscore"] == 2.5).all()
    np.testing.assert_allclose(perfect["refclipscore"].columns["refclipscore"], 2 * 2.5 / 3.5, rtol=1e-15)
    for bags in ("blocks-10", "scenes-3", "scenes-5", "scenes-7"):
        assert (perfect[bags].columns["r1"] == 1).all()


@pytest.mark.parametrize("flaw", [flaw for flaw in FLAWS if flaw != "none"])
def test_a_flaw_is_noticed_by_the_metrics_that_should(flaw, world, perfect):
    rows = world.rows(flaw)
    wrong = []
    for column, (metric, name) in COLUMN.items():
        reduce = getattr(METRICS[metric], "reduce", None)
        interval = paired_differences(rows[metric], perfect[metric], reduce)[name]
        exact = bool(np.array_equal(rows[metric].columns[name], perfect[metric].columns[name]))
        print(f"{flaw:14} {column:13} {interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]")
        if not verdict(EXPECTED[flaw, column], interval, exact):
            wrong.append(f"{column}: expected {EXPECTED[flaw, column]}, found {interval}")
    assert not wrong
