"""Several captions an image: who says how many, what a model is asked, and which captions a metric looks at."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from capbench import engine, store
from capbench.benchmark import Benchmark
from capbench.captioners.baselines import Constant, Human, Nearest, Shuffled
from capbench.captioners.file import File
from capbench.engine import Job
from capbench.errors import CapbenchError, MissingPart, UsageError
from capbench.metrics.cider import Cider
from capbench.metrics.clipscore import ClipScore
from capbench.metrics.diversity import Diversity
from capbench.metrics.oracle import OracleCider
from capbench.metrics.self_cider import SelfCider
from capbench.metrics.style import Style, Truncation
from capbench.metrics.vocabulary import Vocabulary
from capbench.needs import Ids
from capbench.scoring import Part
from capbench.types import Failure, Generation, ImageRef, Sample

N = 4
REFERENCES = tuple(tuple(f"{word} {k} near a wall" for word in ("one", "two", "three")) for k in range(N))


@dataclass(frozen=True)
class Model:
    """Says seed and id; notes what it is asked. said: (id, seed) -> what it says instead."""

    said: tuple = ()
    stop_after: int = 99
    batch: int = 3
    name: ClassVar[str] = "model"
    asked: ClassVar[list] = []

    def fingerprint(self):
        return f"model/{self.said}"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield self

    def caption(self, requests, params):
        if len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(([r.id for r in requests], {r.sample for r in requests}, params.seed))
        return [dict(self.said).get((r.id, params.seed), f"{r.id} by seed {params.seed}") for r in requests]


TOKENIZER = """
from contextlib import contextmanager
from dataclasses import dataclass
from capbench.ragged import Words

LOG = []

@dataclass(frozen=True)
class Plain:
    name = "plain"
    kind = "tokenizer"
    def fingerprint(self):
        return "plain"
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        yield self
    def tokenize(self, texts):
        LOG.extend(texts)
        return [tuple(text.split()) for text in texts]

@dataclass(frozen=True)
class Quick(Plain):
    def words(self, texts):
        return Words.of(self.tokenize(texts))
"""
ENCODER = """
import numpy as np
from contextlib import contextmanager
from dataclasses import dataclass
from capbench.protocols import Encoded

LOG = []

@dataclass(frozen=True)
class Encoder:
    name = "short_sighted"
    kind = "encoder"
    def fingerprint(self):
        return "short_sighted"
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        yield self
    def images(self, refs):
        return Encoded(np.ones((len(refs), 2), np.float32))
    def texts(self, texts):
        LOG.extend(texts)
        return Encoded(np.ones((len(texts), 2), np.float32), np.array([len(text) > 12 for text in texts]))
"""


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "own-cache"))
    Model.asked.clear()


@pytest.fixture
def plugin(tmp_path):
    """plugin(source, name) -> (spec, its log)."""
    from capbench import plugins

    def write(source, name):
        path = tmp_path / f"{name.lower()}_plugin.py"
        path.write_text(source)
        log = plugins.file_module(path)[0].LOG
        log.clear()
        return f"{path}:{name}", log

    return write


def benchmark(**changes):
    samples = tuple(Sample(f"i{k}", ImageRef(f"{k}.png", str(k)), REFERENCES[k]) for k in range(N))
    return replace(Benchmark("bench", 1, samples, "d"), **changes)


def plan(*metrics, captioner=None, **changes):
    parts = tuple(Part(metric, "", metric.name) for metric in metrics)
    given = {"captioner": captioner or Model(), "origin": "", "label": "sys", "benchmark": benchmark(), "samples": 3}
    return engine.plan(Job(**{**given, "parts": parts, **changes}))


def run(*metrics, **changes):
    return engine.run(plan(*metrics, **changes)).run


def texts(run_):
    return [[c.text for c in run_.captions if c.id == id_] for id_ in run_.ids]


def test_a_model_is_asked_for_each_sample_by_itself_with_a_seed_of_its_own():
    found = run(Diversity("whitespace"), generation=Generation(seed=7))
    assert Model.asked == [(ids, {sample}, 7 + sample) for sample in range(3) for ids in (["i0", "i1", "i2"], ["i3"])]
    assert texts(found) == [[f"i{k} by seed {seed}" for seed in (7, 8, 9)] for k in range(N)]


def test_an_interrupted_run_goes_on_within_a_sample(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(Diversity("whitespace"), captioner=Model(stop_after=3), root=tmp_path)
    Model.asked.clear()
    found = run(Diversity("whitespace"), root=tmp_path)
    assert [asked[0] for asked in Model.asked] == [["i3"], ["i0", "i1", "i2"], ["i3"]]
    assert texts(found) == [[f"i{k} by seed {seed}" for seed in range(3)] for k in range(N)]
    assert store.read_record(found.folder).identity.samples == 3


def test_the_first_of_several_is_what_a_run_of_one_gives():
    several, one = run(Cider(tokenizer="whitespace")), run(Cider(tokenizer="whitespace"), samples=0)
    assert several.scored[0].rows.columns["cider"].tolist() == one.scored[0].rows.columns["cider"].tolist()
    assert several.summaries[0].signature != one.summaries[0].signature


def test_marks_and_signatures_say_which_captions_were_looked_at():
    found = run(Cider(tokenizer="whitespace"), Diversity("whitespace"), Vocabulary(tokenizer="whitespace"))
    said = {s.column: (s.mark, [part for part in s.signature.split("|") if "samples" in part]) for s in found.summaries}
    assert said["cider"] == ("first of 3 captions, idf of 4 images", ["samples:first of 3"])
    assert said["vocabulary"] == ("first of 3 captions", ["samples:first of 3"])
    assert said["div1"] == said["mbleu4"] == ("", ["samples:3"])
    alone = run(Cider(tokenizer="whitespace"), samples=1).summaries[0]
    assert (alone.mark, "samples" in alone.signature) == ("", False)


def test_empty_captions_are_counted_where_they_are_looked_at():
    said = (("i0", 0), ""), (("i1", 1), "..."), (("i2", 2), "")
    found = run(Style("whitespace"), Diversity("whitespace"), captioner=Model(said))
    assert {s.metric: s.empty for s in found.summaries} == {"style": 1, "diversity": 3}


def test_one_caption_is_no_set_and_that_is_said_before_anything_runs():
    with pytest.raises(MissingPart) as caught:
        plan(Diversity(), SelfCider(), Cider(), OracleCider(), samples=0)
    for name in ("diversity", "self_cider", "oracle_cider"):
        assert f"metric {name}: it compares several captions of an image, and there is one" in str(caught.value)
    assert "metric cider" not in str(caught.value)
    assert "--samples K" in str(caught.value)
    assert Model.asked == []


def test_a_failed_caption_costs_its_image_the_set_and_a_metric_of_one_only_the_first():
    said = (("i1", 2), Failure("out of memory")), (("i2", 0), Failure("no idea"))
    metrics = Diversity("whitespace"), Vocabulary(every=True, tokenizer="whitespace"), Style("whitespace")
    found = run(*metrics, captioner=Model(said))
    assert [dict(s.reasons) for s in found.scored] == [{1: "out of memory", 2: "no idea"}] * 2 + [{2: "no idea"}]
    # i0 and i3: i0, i3, by, seed, 0, 1, 2; what was said of i1 and i2 does not count
    assert found.value("vocabulary") == pytest.approx(7)
    assert found.record.notes == ["2 of 12 captions failed"]


def test_captions_that_are_all_the_same_are_noted():
    (note,) = run(Diversity("whitespace"), captioner=Constant()).record.notes
    assert note.startswith("the 3 captions of each image are one text")
    assert run(Diversity("whitespace")).record.notes == []
    assert run(Style("whitespace"), captioner=Constant(), samples=1).record.notes == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"samples": 0}, 1),
        ({"samples": 5}, 5),
        ({"samples": 0, "benchmark": benchmark(captions_each=2)}, 2),
        ({"samples": 2, "benchmark": benchmark(captions_each=2)}, 2),
    ],
)
def test_who_says_how_many(changes, wanted):
    made = plan(Style("whitespace"), **changes)
    assert made.samples == wanted
    each = f", {wanted} captions each" if wanted > 1 else ""
    assert f"items      4{each}" in engine.plan_lines(made)


def test_two_who_say_otherwise_are_named():
    with pytest.raises(UsageError, match="how many captions an image\\? --samples states 3, bench states 2"):
        plan(Style("whitespace"), benchmark=benchmark(captions_each=2))
    with pytest.raises(UsageError, match="--samples states 3, sys states 2"):
        plan(Style("whitespace"), captioner=File("x.json", samples=2))


def test_a_captioner_of_one_caption_is_refused_before_anything_runs():
    class Single:
        name = "single"
        needs: ClassVar[dict] = {"ids": Ids()}

    with pytest.raises(UsageError, match="sys gives one caption an image, and 3 are wanted"):
        plan(Style("whitespace"), captioner=Single())


def test_a_captioner_that_gives_too_few_is_found_out():
    class Few(Constant):
        def sampled(self, samples, ids):
            return [["x"] * (samples - 1)] * len(ids)

    with pytest.raises(CapbenchError, match="constant gave other than 3 captions for some image"):
        run(Style("whitespace"), captioner=Few())


def test_a_file_has_as_many_as_the_run_wants(tmp_path):
    path = tmp_path / "said.json"
    path.write_text('{"i0": ["a", "b", "c"], "i1": ["d", "e", "f"], "i2": ["g", "h", "i"], "i3": ["j", "k", "l"]}')
    for file in (File(str(path)), File(str(path), samples=3)):
        assert texts(run(Diversity("whitespace"), captioner=file))[1] == ["d", "e", "f"]
    path.write_text('{"i0": ["a", "b", "c"], "i1": ["d", "e"], "i2": ["g", "h", "i"], "i3": "j"}')
    with pytest.raises(CapbenchError) as caught:
        run(Diversity("whitespace"), captioner=File(str(path)))
    assert "image 'i1' has 2 caption(s), not 3 (as many for each image)" in str(caught.value)
    assert "image 'i3' has 1 caption(s), not 3" in str(caught.value)


def test_baselines_give_several_where_that_means_something():
    assert texts(run(Style("whitespace"), captioner=Constant("x"))) == [["x"] * 3] * N
    taken = texts(run(Style("whitespace"), captioner=Shuffled(), samples=3))
    assert [sorted(own) for own in taken] == [[REFERENCES[j][0] for j in range(N) if j != k] for k in range(N)]
    with pytest.raises(CapbenchError, match=r"(?s)none beside the 3 left out.*fewer --samples"):
        plan(Cider(tokenizer="whitespace"), captioner=Human())


def test_people_are_scored_against_the_references_they_did_not_say():
    made = plan(Cider(tokenizer="whitespace"), Style("whitespace"), captioner=Human(), samples=2)
    assert made.judged.references.values == [own[2] for own in REFERENCES]
    found = engine.run(made).run
    assert texts(found) == [list(own[:2]) for own in REFERENCES]
    marks = {s.metric: s.mark for s in found.summaries}
    assert marks == {"cider": "leave-2-out, first of 2 captions", "style": "first of 2 captions"}


def test_nearest_gives_the_next_nearest():
    import numpy as np

    from capbench.ragged import ragged

    image = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    lists = Nearest().sampled(3, image, ragged([["0"], ["1"], ["2"]]))
    missing = Failure("no other picture to take from")
    assert lists == [["1", "2", missing], ["0", "2", missing], ["1", "0", missing]]


@pytest.mark.parametrize("kind", ["Plain", "Quick"])
def test_a_text_is_tokenized_once_however_many_metrics_see_it(plugin, kind):
    spec, log = plugin(TOKENIZER, kind)
    metrics = SelfCider(tokenizer="t"), Style("t"), Cider(tokenizer="t"), Diversity("t"), OracleCider(tokenizer="t")
    run(*metrics, aliases={"t": spec})
    assert len(log) == len(set(log))
    assert set(log) == {f"i{k} by seed {seed}" for k in range(N) for seed in range(3)} | {
        r for o in REFERENCES for r in o
    }


def test_what_an_encoder_cuts_off_is_asked_once_with_the_vectors(plugin):
    spec, log = plugin(ENCODER, "Encoder")
    said = (("i0", 0), "a long caption here"), (("i1", 0), "short")
    metrics = ClipScore(prefix=""), Truncation()
    found = run(*metrics, captioner=Model(said), samples=1, aliases={"clip": spec})
    assert found.scored[1].rows.columns["truncated"].tolist() == [1, 0, 0, 0]
    assert found.value("truncated") == 0.25
    assert {s.cut for s in found.summaries} == {1}
    assert len(log) == N


def test_words_of_the_first_captions_are_among_those_of_all(plugin):
    spec, _ = plugin(TOKENIZER, "Quick")
    found = run(Style("t"), Diversity("t"), aliases={"t": spec})
    assert found.scored[0].rows.columns["words"].tolist() == [4] * N
