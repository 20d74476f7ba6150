"""What the driver does with an executor, with no Ray: the plan, the options, and how values come back out of order."""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import pytest

import capbench
from capbench.captioning import from_session
from capbench.errors import MissingPart
from capbench.needs import Captions, Vectors
from capbench.protocols import Encoded, Problem
from capbench.ray_executor import Actor, Captioning, Encoding
from capbench.stage import CHUNK
from capbench.types import Generation, Request


class Backwards:
    """An executor that gives what it is asked for from the end, in pieces of seven."""

    name = "backwards"

    def __init__(self):
        self.closed, self.asked = 0, 0

    def check(self):
        return None

    def stated(self):
        return "backwards"

    def close(self):
        self.closed += 1

    def caption(self, captioner, requests, params, device, keep, *, proven=False):
        made = []
        for start in reversed(range(0, len(requests), 7)):
            made += from_session(captioner, requests[start : start + 7], params, device, keep, proven=proven)
        return made

    def compute(self, backend, need, items, device):
        with backend.open(device) as session:
            for start in reversed(range(0, len(items), 7)):
                which = range(start, min(start + 7, len(items)))
                self.asked += len(which)
                yield which, list(need.compute(session, [items[i] for i in which]))


def test_values_that_come_in_another_order_are_put_where_they_belong(tmp_path, monkeypatch):
    answers = []
    for kind in ("local", "elsewhere"):
        monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / kind))
        executor = Backwards() if kind == "elsewhere" else None
        run = capbench.run(
            "speaker(flaw='miscount')", f"scenes(n={CHUNK + 30})", ["clipscore", "bleu"], runs=tmp_path / kind,
            backends={"clip": "scenes"}, executor=executor,
        )  # fmt: skip
        answers.append(([(c.id, c.text) for c in run.captions], [(s.column, s.value, s.low) for s in run.summaries]))
    assert answers[0] == answers[1]
    assert executor.asked > CHUNK
    assert executor.closed == 1
    assert run.record.circumstance["executor"] == "backwards"


def test_what_is_in_the_cache_is_not_asked_for_again(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    asked = []
    for n in (30, 40):
        executor = Backwards()
        capbench.run(
            "human", f"scenes(n={n})", ["clipscore"], runs=None, backends={"clip": "scenes"}, executor=executor
        )
        asked.append(executor.asked)
    assert asked[0] >= 30
    assert asked[1] < 25  # ten pictures more, and captions that were not said before


def test_an_executor_that_lacks_something_is_refused_in_the_plan(monkeypatch):
    executor = Backwards()
    monkeypatch.setattr(executor, "check", lambda: Problem("it has no legs", "buy some"), raising=False)
    with pytest.raises(MissingPart, match=r"executor backwards: it has no legs(.|\n)*buy some"):
        capbench.run("human", "scenes(n=7)", ["bleu"], runs=None, executor=executor)


def test_without_ray_the_plan_says_what_to_type(monkeypatch):
    monkeypatch.setattr("capbench.ray_executor.find_spec", lambda _: None)
    with pytest.raises(MissingPart, match=r"executor ray: the package ray is not installed(.|\n)*capbench\[ray\]"):
        capbench.run("human", "scenes(n=7)", ["bleu"], runs=None, executor=capbench.Ray())


def test_options_of_ray_want_ray(capsys):
    from capbench.cli.main import main

    for words in (["--workers", "2"], ["--ray-address", "auto"]):
        with pytest.raises(SystemExit) as stop:
            main(["run", "human", "-b", "scenes(n=7)", *words])
        assert stop.value.code == 2
        assert "add --executor ray" in capsys.readouterr().err


class Tight:
    """A captioner and an encoder that has memory for three pictures or texts at a time."""

    name = "tight"
    batch = 16
    sizes: ClassVar[list[int]] = []

    @contextmanager
    def open(self, device):
        yield self

    def caption(self, requests, params):
        self.sizes.append(len(requests))
        if len(requests) > 3:
            raise MemoryError("no room")
        return [f"seen {request.id}" for request in requests]

    def texts(self, texts):
        self.sizes.append(len(texts))
        if len(texts) > 3:
            raise MemoryError("no room")
        return Encoded(np.array([[len(text), 0] for text in texts], np.float32))


def answered(actor, number, asked):
    """What an actor makes of one part."""
    answers, error = pickle.loads(actor({"part": pickle.dumps((number, asked))})["answers"])  # noqa: S301 -- the actor's own
    assert error is None
    return answers


def test_an_actor_remembers_from_part_to_part_how_much_its_memory_holds(tmp_path):
    actor = Actor(pickle.dumps(Captioning(Tight(), Generation())), "cpu", str(tmp_path / "gone"))
    Tight.sizes.clear()
    for number in range(3):
        asked = [Request(f"{number}-{k}", None, (), 0) for k in range(16)]
        assert [c.text for c in answered(actor, number, asked)] == [f"seen {request.id}" for request in asked]
    assert Tight.sizes == [16, 8, 4, *[2] * 24]  # the first part is halved, and all else comes in twos


def test_an_actor_remembers_it_of_encoding_too(tmp_path):
    need = Vectors(Captions())
    actor = Actor(pickle.dumps(Encoding(Tight(), need)), "cpu", str(tmp_path / "gone"))
    Tight.sizes.clear()
    for number in range(3):
        packed = answered(actor, number, ["a" * (k + 1) for k in range(8)])
        assert [i for i, _ in packed] == list(range(8))
        assert all(need.unpack(value).values.tolist() == [1, 0] for _, value in packed)
    assert Tight.sizes == [8, 4, *[2] * 12]
