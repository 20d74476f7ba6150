"""What metrics say of items beside their numbers: kept with the run, and never in the way of a number."""

import gzip
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from capbench import api, engine
from capbench.benchmark import Benchmark
from capbench.details import details_of, file_of
from capbench.engine import Job
from capbench.errors import BadData
from capbench.needs import Captions
from capbench.scoring import Part
from capbench.types import Column, Failure, Sample

HOSTILE = '</script><b>"\ud800\n\u2028'


@dataclass(frozen=True)
class Lengths:
    """How long a caption is, and the words of those that have any."""

    fault: str = ""
    name: ClassVar[str] = "lengths"
    version: ClassVar[int] = 1
    columns: ClassVar[dict] = {"length": Column("length", better="none")}

    @property
    def needs(self):
        return {"captions": Captions()}

    def rows(self, captions):
        return {"length": np.array([float(len(text)) for text in captions])}

    def details(self, captions):
        if self.fault == "raises":
            raise ZeroDivisionError("oh")
        said = [{"words": text.split(" ")} if text else None for text in captions]
        if self.fault == "infinite":
            said[0] = {"x": float("inf")}
        return said[1:] if self.fault == "short" else said


@dataclass(frozen=True)
class Fixed:
    texts: tuple
    name: ClassVar[str] = "fixed"

    def fingerprint(self):
        return repr(self.texts)

    def check(self):
        return None

    @property
    def needs(self):
        return {}

    def captions(self):
        return [Failure("no") if text is None else text for text in self.texts]


def job(root, metric=Lengths(), texts=("a b", "", None, HOSTILE)):
    bench = Benchmark("four", 1, tuple(Sample(id_) for id_ in "wxyz"), "")
    return Job(Fixed(texts), "", "fixed", bench, (Part(metric, "", metric.name),), root=root)


WANTED = {"w": {"words": ["a", "b"]}, "z": {"words": [HOSTILE]}}


@pytest.mark.parametrize("kept", [True, False])
def test_details_are_kept_by_id_and_none_of_a_failed_or_silent_item(tmp_path, kept):
    run = engine.run(engine.plan(job(tmp_path if kept else None))).run
    assert details_of(run, "lengths") == WANTED
    assert details_of(run, run.scored[0].key) == WANTED
    assert details_of(run, "other") == {}
    if kept:
        assert details_of(api.load_run(run.folder), "lengths") == WANTED


def test_the_second_run_leaves_them_and_a_fresh_one_writes_the_same_bytes(tmp_path):
    first = engine.run(engine.plan(job(tmp_path))).run
    path = file_of(first.folder, first.scored[0].key)
    before = path.read_bytes()
    path.write_bytes(b"kept")
    engine.run(engine.plan(job(tmp_path)))
    assert path.read_bytes() == b"kept"
    engine.run(engine.plan(replace(job(tmp_path), fresh=True)))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("fault", "words"),
    [("raises", "ZeroDivisionError: oh"), ("short", "3 for 4 items"), ("infinite", "ValueError: Out of range float")],
)
def test_details_that_go_wrong_cost_no_number_and_are_told(tmp_path, fault, words):
    run = engine.run(engine.plan(job(tmp_path, Lengths(fault)))).run
    assert run.summaries[0].n == 3
    assert run.summaries[0].mark == ""
    assert any(f"lengths: its details failed: {words}" in note or words in note for note in run.record.notes)
    assert details_of(run, "lengths") == {}


@pytest.mark.parametrize("damage", [b"no gzip", gzip.compress(b"[1]\n"), gzip.compress(b"{\n")])
def test_a_damaged_file_is_named_with_the_cure(tmp_path, damage):
    run = engine.run(engine.plan(job(tmp_path))).run
    file_of(run.folder, run.scored[0].key).write_bytes(damage)
    with pytest.raises(BadData, match="is damaged") as caught:
        details_of(api.load_run(run.folder), "lengths")
    assert "--fresh" in caught.value.cure
