"""A picture or a text is encoded once for an encoder, whatever asks for it; a second time nothing is encoded."""

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import pytest

from capbench import api, benchmark, cache, plugins
from capbench.backends.scenes import EncoderSession
from capbench.mining import Recipe, build

SEEN: Counter = Counter()
OPENED: list[str] = []


@dataclass(frozen=True)
class Counting:
    """The drawn world's encoder, and what it was asked."""

    tag: str = "a"
    name: ClassVar[str] = "counting"
    kind: ClassVar[str] = "encoder"

    def fingerprint(self):
        return f"counting/{self.tag}"

    def check(self):
        return None

    @contextlib.contextmanager
    def open(self, device):
        OPENED.append(self.tag)
        yield Session()


class Session(EncoderSession):
    def images(self, refs):
        SEEN.update(f"i:{ref.digest}" for ref in refs)
        return super().images(refs)

    def texts(self, texts):
        SEEN.update(f"t:{text}" for text in texts)
        return super().texts(texts)


@pytest.fixture
def counted(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    plain = plugins.load

    def load(group, text, *more):
        spec = plugins.parse(text)
        if spec.target != "counting":
            return plain(group, text, *more)
        return plugins.Loaded(Counting(**spec.params), "")

    monkeypatch.setattr(plugins, "load", load)
    SEEN.clear()
    OPENED.clear()
    return tmp_path


METRICS = [
    "clipscore(encoder='counting', prefix='')",
    "refclipscore(encoder='counting', prefix='')",
    "self_retrieval(bags='full', encoder='counting')",
    "self_retrieval(bags='blocks(size=7)', encoder='counting')",
    "self_retrieval(bags='draws(size=5)', encoder='counting', ties='pessimistic')",
    "retrieval(encoder='counting')",
    "retrieval(texts='captions', encoder='counting')",
]


def test_all_metrics_bags_and_runs_share_what_is_encoded(counted):
    world = "scenes(n=21)"
    api.run("human", world, METRICS, runs=counted / "runs")
    samples = benchmark.load(world).samples
    wanted = {f"i:{s.image.digest}" for s in samples} | {f"t:{t}" for s in samples for t in s.references}
    assert set(SEEN) == wanted
    assert set(SEEN.values()) == {1}
    assert OPENED == ["a"]

    api.run("human", world, METRICS, runs=counted / "other runs")
    build(benchmark.load(world), Recipe(encoder="counting", sizes=(3,), hard=4), counted / "bags")
    path = counted / "bags" / "3.json"
    mined = api.run(
        "human", world, [f"self_retrieval(bags={f'file(path={str(path)!r})'!r}, encoder='counting')"], runs=None
    )
    assert mined.value("r1") == 1
    assert set(SEEN.values()) == {1}
    assert OPENED == ["a"]  # the encoder is not even loaded again


def test_the_work_of_a_second_run_is_none(counted):
    from capbench import engine

    def work(metrics):
        job = api.job_of("nearest(encoder='counting')", "scenes(n=14)", metrics, runs=None)
        return {(w.need.kind, repr(w.need.of)): (w.made, w.found) for w in engine.run(engine.plan(job)).work}

    first = work(METRICS)
    assert sum(made for made, _ in first.values()) > 0
    again = work(METRICS)
    assert {made for made, _ in again.values()} == {0}
    assert all(found > 0 for _, found in again.values())


def test_another_encoder_and_another_prefix_are_encoded_for_themselves(counted):
    api.run("constant", "scenes(n=7)", ["clipscore(encoder='counting', prefix='')"], runs=None)
    assert len(SEEN) == 7 + 1
    api.run("constant", "scenes(n=7)", ["clipscore(encoder='counting', prefix='So: ')"], runs=None)
    assert len(SEEN) == 7 + 2  # the pictures are not encoded again
    api.run("constant", "scenes(n=7)", ["clipscore(encoder=\"counting(tag='b')\", prefix='')"], runs=None)
    assert sorted(SEEN.values()) == [1] + [2] * 8


def test_a_damaged_value_is_found_dropped_and_made_again_alone(counted):
    import sqlite3

    run = api.run("human", "scenes(n=14)", METRICS[:1], runs=None)
    with contextlib.closing(sqlite3.connect(cache.cache_file())) as db:
        (key,) = db.execute("select key from entries order by key limit 1").fetchone()
        db.execute("update entries set data = x'00' where key = ?", (key,))
        db.commit()
    with cache.open_cache() as kept:
        assert list(kept.damaged()) == [key]
    SEEN.clear()
    again = api.run("human", "scenes(n=14)", METRICS[:1], runs=None)
    assert list(SEEN.values()) == [1]
    assert again.value("clipscore") == run.value("clipscore")
    with cache.open_cache() as kept:
        assert list(kept.damaged()) == []
        (line,) = kept.stats()
        assert (line.kind, line.backend, line.entries) == ("vectors", "counting/a", 28)
        assert kept.prune(1) == 0
        assert kept.prune(0) == 28
        assert kept.stats() == []
