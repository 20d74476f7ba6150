"""Whole runs on benchmarks of six items, with metrics whose numbers can be told beforehand."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from capbench import engine, run_folders, store
from capbench.bags import make_bags
from capbench.benchmark import Benchmark
from capbench.captioners.baselines import Human
from capbench.engine import Job
from capbench.errors import CapbenchError, MissingPart, TooManyUnscored, UsageError
from capbench.metrics.bleu import Bleu
from capbench.metrics.clipscore import ClipScore, RefClipScore
from capbench.metrics.retrieval import SelfRetrieval
from capbench.metrics.rouge import RougeL
from capbench.needs import Captions, Ids, Images, References
from capbench.scoring import Part
from capbench.types import Column, Failure, Generation, ImageRef, Sample

ENCODER = """
from contextlib import contextmanager
from dataclasses import dataclass
import numpy as np
from capbench.protocols import Encoded

@dataclass(frozen=True)
class Encoder:
    name = "fake"
    kind = "encoder"
    def fingerprint(self):
        return "fake"
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        yield self
    def images(self, refs):
        return Encoded(np.array([[1, int(r.digest)] for r in refs], np.float32))
    def texts(self, texts):
        rows = [[1, sum(ch.isdigit() and int(ch) for ch in text)] for text in texts]
        return Encoded(np.array(rows, np.float32), np.array(["long" in t for t in texts]))
"""


@pytest.fixture
def clip(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "own-cache"))
    path = tmp_path / "encoder.py"
    path.write_text(ENCODER)
    return {"clip": f"{path}:Encoder"}


@dataclass(frozen=True)
class Says:
    """Says what it is told; None is a failure. Counts what it is asked."""

    texts: tuple
    batch: int = 2
    stop_after: int = 99
    name: ClassVar[str] = "says"
    asked: ClassVar[list] = []

    def fingerprint(self):
        return f"says/{self.texts}"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield self

    def caption(self, requests, params):
        if len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        self.asked.extend((r.id, r.sample) for r in requests)
        said = dict(self.texts)
        answers = [said[r.id] for r in requests]
        texts = [a[r.sample] if isinstance(a, tuple) else a for a, r in zip(answers, requests, strict=True)]
        return [Failure("out of words") if text is None else text for text in texts]


@pytest.fixture(autouse=True)
def nobody_was_asked():
    Says.asked.clear()


@dataclass(frozen=True)
class Lengths:
    """Length of a caption, and how many references there are."""

    scale: float = 1.0
    name: ClassVar[str] = "lengths"
    version: ClassVar[int] = 1
    columns: ClassVar[dict] = {"length": Column("length"), "refs": Column("refs")}
    calls: ClassVar[list] = []

    @property
    def needs(self):
        return {"texts": Captions(), "references": References()}

    def rows(self, texts, references):
        self.calls.append(list(texts))
        return {
            "length": self.scale * np.array([float(len(text)) for text in texts]),
            "refs": references.counts.astype(float),
        }


def benchmark(n=6, **changes):
    samples = tuple(Sample(f"i{k}", ImageRef(f"{k}.png", str(k)), (f"ref {k} a", f"ref {k} b")) for k in range(n))
    ids = [s.id for s in samples]
    plain = Benchmark("bench", 1, samples, "d", bag_sets={"threes": make_bags("threes", "blocks(size=3)", ids)})
    return replace(plain, **changes)


def texts(**changes):
    return tuple((f"i{k}", changes.get(f"i{k}", f"text {k}")) for k in range(6))


def job(clip, *metrics, captioner=None, root=None, **changes):
    parts = tuple(Part(metric, "", f"{metric.name}()") for metric in metrics)
    given = {"captioner": captioner or Says(texts()), "origin": "", "label": "says", "benchmark": benchmark()}
    return Job(**{**given, "parts": parts, "aliases": clip, "root": root, **changes})


def run(*args, **kwargs):
    return engine.run(engine.plan(job(*args, **kwargs)))


def columns(result):
    return {(s.key.partition("#")[0], name): c for s in result.run.scored for name, c in s.rows.columns.items()}


def by_column(result):
    return {s.column: s for s in result.run.summaries}


METRICS = (
    Bleu("whitespace"),
    RougeL("whitespace"),
    ClipScore(prefix=""),
    RefClipScore(prefix=""),
    SelfRetrieval("threes"),
    Lengths(),
)


def test_numbers_known_beforehand(clip):
    found = columns(run(clip, *METRICS))
    # picture k is (1, k), caption "text k" is (1, k): cosine 1, its own picture above the others of its three
    assert found["clipscore", "clipscore"] == pytest.approx([2.5] * 6, abs=1e-6)
    assert found["self_retrieval", "r1"].tolist() == [1] * 6
    assert found["refclipscore", "refclipscore"] == pytest.approx([5 / 3.5] * 6, abs=1e-6)
    # "text k" against "ref k a": one of two words, brevity exp(1 - 3/2)
    assert found["bleu", "bleu1"] == pytest.approx([0.5 * np.exp(-0.5)] * 6, abs=1e-6)
    assert found["lengths", "length"].tolist() == [6] * 6


def test_a_failed_caption_is_unscored_everywhere_and_the_others_are_unmoved(clip):
    whole = columns(run(clip, *METRICS))
    result = run(clip, *METRICS, captioner=Says(texts(i2=None)))
    others = np.arange(6) != 2
    for name, column in columns(result).items():
        assert np.isnan(column[2]), name
        assert column[others].tolist() == whole[name][others].tolist(), name
    assert all((s.n, s.unscored) == (5, 1) for s in result.run.summaries)
    assert all(dict(s.reasons) == {2: "out of words"} for s in result.run.scored)
    assert result.run.captions[2].status == "failed"
    assert result.run.record.notes == ["1 of 6 captions failed"]


def test_a_picture_that_cannot_be_read_is_not_shown_to_the_captioner(clip):
    bench = benchmark()
    blind = replace(bench.samples[1], image=ImageRef("gone.png", ""))
    bench = replace(bench, samples=(bench.samples[0], blind, *bench.samples[2:]))
    result = run(clip, Lengths(), captioner=Says(texts()), benchmark=bench)
    assert ("i1", 0) not in Says.asked
    assert result.run.captions[1].reason == "cannot read the picture gone.png"
    assert by_column(result)["length"].unscored == 1


def test_leave_one_out_takes_a_reference_from_everybody(clip):
    plain = run(clip, Lengths())
    one_less = run(clip, Lengths(), benchmark=benchmark(refs="leave-one-out"))
    assert (by_column(plain)["refs"].value, by_column(one_less)["refs"].value) == (2, 1)
    assert "|refs:2|" in by_column(plain)["refs"].signature
    assert "|refs:1|" in by_column(one_less)["refs"].signature
    assert by_column(one_less)["refs"].mark == ""


def test_a_human_is_marked_where_others_keep_all_references(clip):
    human = run(clip, Lengths(), ClipScore(prefix=""), captioner=Human())
    assert [c.text for c in human.run.captions] == [f"ref {k} a" for k in range(6)]
    assert by_column(human)["refs"].value == 1
    assert by_column(human)["refs"].mark == "leave-one-out"
    assert by_column(human)["clipscore"].mark == ""
    fair = run(clip, Lengths(), captioner=Human(), benchmark=benchmark(refs="leave-one-out"))
    assert (by_column(fair)["refs"].value, by_column(fair)["refs"].mark) == (1, "")
    everybody = run(clip, Lengths(), benchmark=benchmark(refs="leave-one-out"))
    assert by_column(fair)["refs"].signature == by_column(everybody)["refs"].signature


def test_a_limit_takes_the_first_items_and_the_bags_that_are_whole(clip):
    result = run(clip, SelfRetrieval("threes"), Lengths(), limit=4)
    assert [c.id for c in result.run.captions] == ["i0", "i1", "i2", "i3"]
    found = by_column(result)
    assert (found["r1"].n, found["r1"].outside) == (3, 1)
    assert (found["length"].n, found["length"].outside) == (4, 0)
    whole = by_column(run(clip, SelfRetrieval("threes"), Lengths()))
    assert whole["r1"].signature != found["r1"].signature
    assert whole["length"].signature != found["length"].signature
    with pytest.raises(MissingPart, match="no bag of 'threes' is whole among the 2 images"):
        run(clip, SelfRetrieval("threes"), limit=2)


def test_of_several_captions_a_metric_of_one_scores_the_first_and_says_so(clip):
    said = tuple((f"i{k}", ("x" * k, "" if k == 3 else "y" * (k + 2))) for k in range(6))
    result = run(clip, Lengths(), captioner=Says(said), benchmark=benchmark(captions_each=2))
    (scored,) = result.run.scored
    assert scored.rows.columns["length"].tolist() == [0, 1, 2, 3, 4, 5]
    assert (scored.samples.tolist(), scored.rows.bags) == ([0] * 6, None)
    found = by_column(result)["length"]
    assert (found.value, found.n, found.empty, found.mark) == (2.5, 6, 1, "first of 2 captions")
    assert "|samples:first of 2|" in found.signature
    assert [(c.id, c.sample) for c in result.run.captions[:3]] == [("i0", 0), ("i0", 1), ("i1", 0)]


def test_one_caption_an_image_is_not_enough_for_two(clip):
    class Single:
        name = "single"
        needs: ClassVar[dict] = {"ids": Ids()}

    with pytest.raises(UsageError, match="gives one caption an image, and 2 are wanted"):
        run(clip, Lengths(), captioner=Single(), benchmark=benchmark(captions_each=2))


@dataclass(frozen=True)
class Wrong(Lengths):
    """Goes wrong in a way of choice."""

    how: str = "raises"
    name: ClassVar[str] = "wrong"

    def rows(self, texts, references):
        n = len(texts)
        if self.how == "raises":
            raise ZeroDivisionError("oh")
        answers = {
            "infinite": {"length": np.full(n, np.inf)},
            "shape": {"length": np.zeros(n + 1)},
            "names": {"lenght": np.zeros(n)},
            "text": "nothing",
        }
        return answers[self.how]


@dataclass(frozen=True)
class BadFold(Lengths):
    """Its fold of sums goes wrong."""

    how: str = "raises"
    name: ClassVar[str] = "wrong"

    def reduce(self, sums):
        if self.how == "raises":
            raise ZeroDivisionError("oh")
        return {"nowhere": sums["length"]} if self.how == "names" else {"length": sums["length"] * np.inf}


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Wrong(how="raises"), "ZeroDivisionError: oh"),
        (Wrong(how="infinite"), "gave an infinite number"),
        (Wrong(how="shape"), r"gave columns of shapes {'length': (7,)} for 6 rows"),
        (Wrong(how="names"), "gave lenght and declares length, refs"),
        (Wrong(how="text"), "ValueError"),
        (BadFold(how="raises"), "ZeroDivisionError: oh"),
        (BadFold(how="names"), "folds into nowhere"),
    ],
)
def test_a_metric_that_goes_wrong_costs_only_itself(clip, tmp_path, metric, words):
    result = run(clip, metric, Lengths(), root=tmp_path)
    assert [(s.value, s.n, s.unscored) for s in result.run.summaries if s.metric == "wrong"] == [(None, 0, 6)] * 2
    assert [s.value for s in result.run.summaries if s.metric == "lengths"] == [6, 2]
    reasons = set(result.run.scored[0].reasons.values())
    assert len(reasons) == 1
    assert words in reasons.pop()
    assert store.read_record(result.run.folder).status == "finished"


def test_a_fold_into_infinity_is_no_value(clip, tmp_path):
    result = run(clip, BadFold(how="inf"), root=tmp_path)
    assert by_column(result)["length"].value is None
    assert store.read_summary(result.run.folder) == result.run.summaries


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_second_run_computes_nothing_and_writes_nothing(clip, tmp_path):
    first = run(clip, *METRICS, root=tmp_path / "runs")
    assert (first.captioned, first.scored) == (6, 6)
    before = contents(first.run.folder)
    Says.asked.clear()
    Lengths.calls.clear()
    second = run(clip, *METRICS, root=tmp_path / "runs")
    assert (second.captioned, second.scored, second.work) == (0, 0, ())
    assert (Says.asked, Lengths.calls) == ([], [])
    assert second.run.summaries == first.run.summaries
    assert contents(first.run.folder) == before


def test_a_metric_added_later_keeps_the_old_rows(clip, tmp_path):
    first = run(clip, Bleu("whitespace"), Lengths(), root=tmp_path)
    Says.asked.clear()
    Lengths.calls.clear()
    second = run(clip, Lengths(), Lengths(scale=3.0), root=tmp_path)
    assert (second.captioned, second.scored, Says.asked) == (0, 1, [])
    assert len(Lengths.calls) == 1
    assert [s.column for s in second.asked] == ["length", "refs"] * 2
    assert second.run.summaries[: len(first.run.summaries)] == first.run.summaries
    for old, new in zip(first.run.scored, store.read_scores(second.run.folder, second.run.ids), strict=False):
        assert old.key == new.key
        assert all(new.rows.columns[n].tobytes() == c.tobytes() for n, c in old.rows.columns.items())
    assert [m.spec for m in store.read_record(second.run.folder).metrics] == ["bleu()", "lengths()", "lengths()"]
    assert second.run.scored[-1].rows.columns["length"].tolist() == [18] * 6


def test_fresh_starts_over(clip, tmp_path):
    run(clip, Lengths(), root=tmp_path)
    Says.asked.clear()
    again = run(clip, Lengths(), root=tmp_path, fresh=True)
    assert (again.captioned, again.scored, len(Says.asked)) == (6, 1, 6)
    assert len(store.recover_captions(again.run.folder)) == 6


def test_an_interrupted_run_goes_on_where_it_stopped(clip, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(clip, Lengths(), captioner=Says(texts(), stop_after=4), root=tmp_path)
    (folder,) = run_folders.find_runs(tmp_path)
    assert store.read_record(folder).status == "started"
    assert len(store.recover_captions(folder)) == 4
    Says.asked.clear()
    result = run(clip, Lengths(), root=tmp_path)
    assert Says.asked == [("i4", 0), ("i5", 0)]
    assert [c.text for c in result.run.captions] == [f"text {k}" for k in range(6)]
    assert store.read_record(folder).status == "finished"


def test_other_parameters_are_another_run(clip, tmp_path):
    plain = engine.plan(job(clip, Lengths(), root=tmp_path)).folder
    changed = [
        job(clip, Lengths(), root=tmp_path, limit=5),
        job(clip, Lengths(), root=tmp_path, generation=Generation(seed=1)),
        job(clip, Lengths(), root=tmp_path, captioner=Says(texts(i0="other"))),
        job(clip, Lengths(), root=tmp_path, origin="src:1"),
        job(clip, Lengths(), root=tmp_path, benchmark=benchmark(version=2)),
        job(clip, Lengths(), root=tmp_path, benchmark=benchmark(digest="e")),
        job(clip, Lengths(), root=tmp_path, benchmark=benchmark(captions_each=2)),
    ]
    assert len({plain, *(engine.plan(j).folder for j in changed)}) == 8
    assert engine.plan(job(clip, Bleu("whitespace"), root=tmp_path)).folder == plain


def test_cut_and_empty_captions_are_counted(clip):
    said = texts(i0="a long one", i1="...", i2="", i3="long and longer")
    found = by_column(run(clip, ClipScore(), Lengths(), captioner=Says(said)))
    assert (found["clipscore"].cut, found["clipscore"].empty) == (2, 2)
    assert (found["length"].cut, found["length"].empty) == (0, 2)


def test_all_that_is_missing_is_said_before_anything_is_asked(clip):
    bare = tuple(Sample(f"i{k}") for k in range(3))
    with pytest.raises(MissingPart) as caught:
        run({}, ClipScore("klip"), Lengths(), benchmark=Benchmark("bare", 1, bare, "d"))
    for words in ("encoder 'klip'", "the benchmark has none", "there are none"):
        assert words in str(caught.value)
    assert Says.asked == []


def test_an_answer_too_few_stops_the_run(clip):
    class Short(Says):
        def caption(self, requests, params):
            return super().caption(requests, params)[1:]

    with pytest.raises(CapbenchError, match="says gave 1 values for 2 items"):
        run(clip, Lengths(), captioner=Short(texts()))


def test_an_answer_that_is_no_text_is_a_failure_that_shows_it(clip):
    result = run(clip, Lengths(), captioner=Says(texts(i3=17)))
    assert result.run.captions[3].reason == "the answer is not text: '17'"
    assert by_column(result)["length"].n == 5


def test_too_many_unscored_names_reasons_and_ids(clip):
    result = run(clip, Lengths(), captioner=Says(texts(i2=None, i5=None)))
    engine.refuse_unscored(result.run, result.asked, allowed=0.34)
    with pytest.raises(TooManyUnscored) as caught:
        engine.refuse_unscored(result.run, result.asked)
    words = str(caught.value)
    assert "more than 1% unscored in length, refs" in words
    assert "2 of 6 ids: out of words: i2, i5" in words
    assert caught.value.exit_code == 5


def test_nothing_unscored_is_never_too_many(clip):
    result = run(clip, Lengths())
    engine.refuse_unscored(result.run, result.asked, allowed=0.0)


def test_a_long_list_of_unscored_ids_is_cut_and_counted(clip):
    many = tuple(Sample(f"n{k:03d}", ImageRef("x", "1"), ("r",)) for k in range(100))
    said = Says(tuple((s.id, None if k < 70 else "x") for k, s in enumerate(many)))
    result = run(clip, Lengths(), captioner=said, benchmark=Benchmark("many", 1, many, "d"))
    with pytest.raises(TooManyUnscored, match=r"70 of 100 ids: out of words: n000, .* n059 \.\.\. and 10 more"):
        engine.refuse_unscored(result.run, result.asked)


def test_pictures_that_a_metric_needs_count_too(clip):
    @dataclass(frozen=True)
    class Digests(Lengths):
        name: ClassVar[str] = "digests"

        @property
        def needs(self):
            return {"pictures": Images()}

        def rows(self, pictures):
            return {"length": np.array([float(p.digest or -1) for p in pictures])}

    bench = benchmark()
    blind = replace(bench.samples[0], image=None)
    result = run(clip, Digests(), benchmark=replace(bench, samples=(blind, *bench.samples[1:])))
    found = by_column(result)["length"]
    assert (found.value, found.n, found.unscored) == (3, 5, 1)  # (1 + 2 + 3 + 4 + 5) / 5
    assert dict(result.run.scored[0].reasons) == {0: "the benchmark has no picture for it"}
