"""The best of several candidates: which one, by what, what of it is kept, and what is refused."""

import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import capbench
from capbench import combining, engine, plugins, store
from capbench.benchmark import Benchmark
from capbench.captioners.rerank import Rerank
from capbench.engine import Job
from capbench.errors import BadData, CapbenchError, MissingPart, UsageError
from capbench.metrics.clipscore import ClipCosine
from capbench.metrics.rouge import RougeL
from capbench.scoring import Part
from capbench.types import Generation, ImageRef, Sample

SPEAKERS = """
from contextlib import contextmanager
from dataclasses import dataclass
from capbench.types import Failure

ASKED = []
STOP = []
MUTE = set()

@dataclass(frozen=True)
class Says:
    texts: tuple = ()
    batch: int = 2
    name = "says"
    def fingerprint(self):
        return f"says/{self.texts}"
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        yield self
    def caption(self, requests, params):
        if len(ASKED) >= (STOP or [99])[0]:
            raise KeyboardInterrupt
        ASKED.extend((r.id, r.sample, params.seed) for r in requests)
        own = [self.texts[("abcd".index(r.id) + params.seed) % len(self.texts)] for r in requests]
        return [Failure("mute") if text is None or r.id in MUTE else text for r, text in zip(requests, own)]
"""


@pytest.fixture
def world(tmp_path, digits):
    """Four pictures 1 to 4, an encoder and a captioner that says what it is told."""
    (tmp_path / "speakers.py").write_text(SPEAKERS + f"# {tmp_path}")  # a module of its own for each test
    return plugins.attribute("speakers.py:Says")[0].caption.__globals__


SAMPLES = tuple(Sample(id_, ImageRef(id_, str(n)), (f"ref {n}",)) for n, id_ in enumerate("abcd", start=1))
COSINE = ClipCosine()
BENCH = Benchmark("four", 1, SAMPLES, "")


def says(*texts, **more):
    inner = ", ".join(f"{k}={v!r}" for k, v in {"texts": texts, **more}.items())
    return f"speakers.py:Says({inner})"


def run(captioner, root=None, metrics=(COSINE,), **words):
    parts = tuple(Part(metric, "", metric.name) for metric in metrics)
    aliases = {"clip": "encoder.py:Encoder"}
    label = words.pop("label", "best")
    origin = words.pop("origin", "")
    return engine.run(engine.plan(Job(captioner, origin, label, BENCH, parts, aliases, root=root, **words)))


def texts(result):
    return [caption.text for caption in result.run.captions]


def test_the_best_by_a_sum_worked_by_hand_and_ties_go_to_the_first(world, tmp_path):
    first, second = says("1", "1", "x 1 2", "say 4"), says("9", "2", "3", "4 too")
    made = run(Rerank([first, second]), tmp_path / "runs")
    # pictures 1 2 3 4: cos((1,1),(1,1)) = 1 > (1,9); (1,2) wins 2; 1+2 = 3 ties with 3; 4 ties with 4
    assert texts(made) == ["1", "2", "x 1 2", "say 4"]
    assert made.run.value("clip_cosine") == pytest.approx(1.0)
    choices = combining.read_choices(made.run.folder)
    a, b = (candidate.score for candidate in choices[1].candidates)
    assert (a, b) == pytest.approx((3 / np.sqrt(10), 1.0), abs=1e-6)  # (1,2).(1,1) = 3, lengths sqrt 5 and sqrt 2
    assert [choice.best[0] for choice in choices] == [0, 1, 0, 0]
    note = next(note for note in made.run.record.notes if note.startswith("best by clip_cosine"))
    assert note.startswith("best by clip_cosine, of 4 captions: says-")
    assert note.endswith(" 1")


def test_a_failed_candidate_is_passed_over_and_all_failed_is_a_failure_with_every_reason(world, tmp_path):
    first, second = says(None, "2", "odd 3", None), says("5", None, "1", "odd")
    made = run(Rerank([first, second]), tmp_path / "runs")
    assert texts(made) == ["5", "2", "1", None]
    reasons = [caption.reason for caption in made.run.captions]
    assert "mute" in reasons[0]
    assert "mute" in reasons[1]
    assert "cannot be encoded" in reasons[2]
    assert reasons[3].startswith("no candidate: ")
    assert "mute" in reasons[3]
    assert "cannot be encoded" in reasons[3]
    assert [caption.status for caption in made.run.captions] == ["ok", "ok", "ok", "failed"]
    assert sum("candidates were passed over" in note for note in made.run.record.notes) == 2
    assert store.read_record(made.run.folder).notes == made.run.record.notes


def test_best_of_n_of_one_captioner_draws_by_seeds_and_samples_have_their_own(world):
    one = says("9", "1", "2", "3")  # item i with seed s says (i + s) mod 4: the second candidate is right
    made = run(Rerank([one], n=2), generation=Generation(seed=0))
    assert texts(made) == ["1", "2", "3", "3"]
    assert {seed for _, _, seed in world["ASKED"]} == {0, 1}
    world["ASKED"].clear()
    several = run(Rerank([one], n=2), samples=2)
    assert {(sample, seed) for _, sample, seed in world["ASKED"]} == {(n, n) for n in range(4)}
    assert [c.sample for c in several.run.captions] == [0, 1] * 4
    assert texts(several)[::2] == ["1", "2", "3", "3"]
    assert texts(several)[1] == "2"  # of seeds 2 and 3: 2 and 3, nearer to 1


def test_one_text_for_all_candidates_is_told(world):
    made = run(Rerank([says("4")], n=3))
    assert any("the 3 candidates of each image are one text" in note for note in made.run.record.notes)


def test_what_chose_is_named_and_that_there_was_nothing_to_choose(world):
    made = run(Rerank([says("1", "2"), says("3")], by="bleu", oracle=True))
    assert made.run.record.notes[0].startswith("best by bleu (BLEU-1), of 4 captions: ")
    assert not any("nothing to choose" in note for note in made.run.record.notes)
    alone = run(Rerank([says("1", "2")]))
    assert [note.partition(": ")[2] for note in alone.run.record.notes if "nothing to choose" in note] == [
        "there is one candidate an image, and nothing to choose; n=5 takes five"
    ]


def test_files_of_two_systems_are_reranked_without_any_model(world, tmp_path):
    (tmp_path / "one.json").write_text('{"a": "1", "b": "7", "c": "3", "d": "1"}')
    (tmp_path / "two.json").write_text('{"a": "2", "b": "2", "c": "9"}')
    made = run(Rerank(["one.json", "two.json"]), tmp_path / "runs")
    assert texts(made) == ["1", "2", "3", "1"]
    assert made.run.captions[3].reason == "two: no caption in two.json"
    assert "best by clip_cosine, of 4 captions: one 3, two 1" in made.run.record.notes


def test_a_killed_run_goes_on_from_its_candidates(world, tmp_path):
    spec = [says("1", "2"), says("3", "4")]
    world["STOP"].append(6)
    with pytest.raises(KeyboardInterrupt):
        run(Rerank(spec), tmp_path / "runs")
    assert len(world["ASKED"]) == 6
    world["STOP"].clear()
    made = run(Rerank(spec), tmp_path / "runs")
    assert len(world["ASKED"]) == 8
    again = run(Rerank(spec), tmp_path / "runs")
    assert len(world["ASKED"]) == 8
    assert again.captioned == 0
    assert texts(again) == texts(made)
    assert again.run.record.notes == made.run.record.notes
    run(Rerank(spec), tmp_path / "runs", fresh=True)
    assert len(world["ASKED"]) == 16


def test_a_run_of_the_captioner_itself_lends_its_captions(world, tmp_path):
    alone, origin = plugins.load("captioners", says("1", "2"))
    run(alone, tmp_path / "runs", label="alone", origin=origin)
    assert len(world["ASKED"]) == 4
    run(Rerank([says("1", "2")]), tmp_path / "runs")
    assert len(world["ASKED"]) == 4
    shutil.rmtree(next((tmp_path / "runs" / "four").glob("alone-*")))  # what was lent is kept
    run(Rerank([says("1", "2")]), tmp_path / "runs")
    assert len(world["ASKED"]) == 4
    run(Rerank([says("1", "2")]), tmp_path / "runs", label="other", generation=Generation(temperature=1.0))
    assert len(world["ASKED"]) == 8  # other decoding, other captions


def asked(world):
    """What the captioners were asked since the last call: (id, sample)."""
    found = sorted((id_, sample) for id_, sample, _ in world["ASKED"])
    world["ASKED"].clear()
    return found


def kept(folder):
    """The files of a run that a retry may change."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_retry_asks_for_the_candidates_of_failed_captions_and_for_no_others(world, tmp_path):
    captioner = Rerank([says("1", None, "3", "1"), says("2", "2", "9", "4")])
    world["MUTE"] |= {"a", "c"}
    first = run(captioner, tmp_path / "runs")
    assert texts(first) == [None, "2", None, "4"]
    asked(world)
    before = kept(first.run.folder)
    assert run(captioner, tmp_path / "runs", retry_failed=True).captioned == 0
    assert asked(world) == [("a", 0), ("a", 0), ("c", 0), ("c", 0)]  # b has a candidate, and a caption
    assert kept(first.run.folder) == before  # what fails as it did changes nothing

    world["MUTE"].remove("a")
    mended = run(captioner, tmp_path / "runs", retry_failed=True)
    assert (mended.captioned, texts(mended)) == (1, ["1", "2", None, "4"])
    assert asked(world) == [("a", 0), ("a", 0), ("c", 0), ("c", 0)]
    world["MUTE"].clear()
    whole = run(captioner, tmp_path / "runs", retry_failed=True)
    assert asked(world) == [("c", 0), ("c", 0)]
    assert run(captioner, tmp_path / "runs", retry_failed=True).captioned == 0
    assert asked(world) == []
    fresh = run(captioner, tmp_path / "other")
    assert texts(whole) == texts(fresh) == ["1", "2", "3", "4"]
    assert whole.run.summaries == fresh.run.summaries
    assert whole.run.record.notes == fresh.run.record.notes
    of_both = [combining.read_choices(made.run.folder) for made in (whole, fresh)]
    assert [[c.text for c in x.candidates] for x in of_both[0]] == [[c.text for c in x.candidates] for x in of_both[1]]


def test_a_retry_of_several_samples_one_inside_another(world, tmp_path):
    inner = f"rerank(captioners=[{says('1', '2', '3', '4')!r}], n=2)"
    captioner = Rerank([inner, says("9")])
    world["MUTE"] |= {"b"}
    assert texts(run(captioner, tmp_path / "runs", samples=2))[2:4] == [None, None]
    asked(world)
    world["MUTE"].clear()
    mended = run(captioner, tmp_path / "runs", samples=2, retry_failed=True)
    assert asked(world) == [("b", 0), ("b", 0), ("b", 1), ("b", 1), ("b", 2), ("b", 3)]
    assert texts(mended) == texts(run(captioner, samples=2))


def test_a_retry_that_is_killed_keeps_what_it_was_given(world, tmp_path):
    captioner = Rerank([says("1", "2")])
    world["MUTE"] |= {"a", "b", "c"}
    first = run(captioner, tmp_path / "runs")
    world["MUTE"].clear()
    asked(world)
    world["STOP"].append(2)
    with pytest.raises(KeyboardInterrupt):
        run(captioner, tmp_path / "runs", retry_failed=True)
    world["STOP"].clear()
    assert asked(world) == [("a", 0), ("b", 0)]
    assert texts(run(captioner, tmp_path / "runs")) == texts(first)  # without the option it goes on as it is
    assert asked(world) == []
    assert texts(run(captioner, tmp_path / "runs", retry_failed=True)) == ["1", "2", "1", "2"]
    assert asked(world) == [("c", 0)]


def test_a_retry_takes_what_a_run_of_the_captioner_itself_has_by_now(world, tmp_path):
    spec = says("1", "2")
    alone, origin = plugins.load("captioners", spec)
    world["MUTE"] |= {"a"}
    run(Rerank([spec]), tmp_path / "runs")
    world["MUTE"].clear()
    run(alone, tmp_path / "runs", label="alone", origin=origin)
    asked(world)
    mended = run(Rerank([spec]), tmp_path / "runs", retry_failed=True)
    assert (asked(world), texts(mended)[0]) == ([], "1")


def test_one_inside_another_is_the_best_of_all(world, tmp_path):
    inner = f"rerank(captioners=[{says('1', '9')!r}, {says('2', '2')!r}])"
    made = run(Rerank([inner, says("5", "5", "3", "4")]), tmp_path / "runs")
    assert texts(made) == ["1", "2", "3", "4"]
    assert len(list(made.run.folder.glob("candidates/*/candidates/*/captions.jsonl"))) == 2


def test_what_changes_a_caption_changes_the_identity(world, tmp_path):
    def short(captioner, encoder="encoder.py:Encoder"):
        job = Job(captioner, "", "x", BENCH, (), {"clip": encoder})
        return engine.plan(job).identity.short

    known = {
        short(Rerank([says("1"), says("2")])),
        short(Rerank([says("2"), says("1")])),  # the order decides ties
        short(Rerank([says("1"), says("2")], n=2)),
        short(Rerank([says("1"), says("2")], by="clipscore")),
        short(Rerank([says("1"), says("2")], by="clip_cosine(prefix='A photo')")),
        short(Rerank([says("1"), says("2")]), "encoder.py:Encoder(mark='other')"),
        short(Rerank([says("1"), says("2")], by="rouge_l", oracle=True)),
    }
    assert len(known) == 7
    assert short(Rerank([says("1"), says("2")], label="by another name")) in known
    assert "encoder.py" not in Rerank([says("1")]).fingerprint()


def test_references_choose_only_where_that_is_said(world):
    with pytest.raises(UsageError, match="needs references, which choosing by it would give away") as caught:
        Rerank([says("1")], by="rouge_l")
    assert "oracle=True" in caught.value.cure
    made = run(Rerank([says("ref 9", "ref 9"), says("ref 1", "ref 2", "ref 3", "ref 4")], by="rouge_l", oracle=True),
               metrics=(RougeL(),))  # fmt: skip
    assert texts(made) == ["ref 1", "ref 2", "ref 3", "ref 4"]
    assert made.run.value("rouge_l") == pytest.approx(1.0)
    assert any("an upper bound" in note for note in made.run.record.notes)
    assert Rerank(["nearest", "human"], by="cider", oracle=True).label == "rerank nearest+human by cider (oracle)"


def test_a_human_inside_takes_its_references_away(world):
    two = tuple(Sample(s.id, s.image, (*s.references, "other")) for s in SAMPLES)
    bench = Benchmark("two", 1, two, "")
    job = Job(
        Rerank(["human", says("9")]), "", "x", bench, (Part(RougeL(), "", "rouge_l"),), {"clip": "encoder.py:Encoder"}
    )
    made = engine.run(engine.plan(job))
    assert texts(made) == ["ref 1", "ref 2", "ref 3", "ref 4"]
    assert made.run.value("rouge_l") == 0.0  # against "other" alone
    assert {s.mark for s in made.run.summaries} == {"leave-one-out"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"captioners": []}, "captioners="),
        ({"captioners": [3]}, "captioners="),
        ({"captioners": ["nobody"]}, "no captioner is called 'nobody'"),
        ({"captioners": ["there/is/no/file.json"]}, "there is no file"),
        ({"captioners": ["nearest"], "n": 0}, "n=0"),
        ({"captioners": ["nearest"], "by": "self_retrieval"}, "compares captions with each other"),
        ({"captioners": ["nearest"], "by": "diversity"}, "compares captions with each other"),
        ({"captioners": ["nearest"], "by": "nothing"}, "no metric is called"),
        ({"captioners": ["nearest"], "by": "vocabulary"}, "compares captions with each other"),
    ],
)
def test_what_means_nothing_is_refused(words, message):
    with pytest.raises(UsageError, match=message):
        Rerank(**words)


def test_all_that_is_missing_is_named_before_anything_is_captioned(world):
    with pytest.raises(MissingPart) as caught:
        engine.plan(Job(Rerank(["file(path='gone.json')", "command(program='no-such-program')"]), "", "x", BENCH, ()))
    assert "there is no file gone.json" in str(caught.value)
    assert "no-such-program" in str(caught.value)
    with pytest.raises(MissingPart, match="encoder 'nowhere'"):
        engine.plan(Job(Rerank([says("1")], by="clip_cosine(encoder='nowhere')"), "", "x", BENCH, ()))


@dataclass(frozen=True)
class Single:
    """A baseline of one caption an image."""

    name: ClassVar[str] = "single"
    needs: ClassVar[dict] = {}

    def fingerprint(self):
        return "single"

    def check(self):
        return None

    def captions(self):
        return ["1"] * 4


def test_a_baseline_of_one_caption_is_not_asked_for_n(world):
    made = Rerank([says("1")], n=2)
    object.__setattr__(made, "inner", (*made.inner, made.inner[0].__class__(Single(), "", "single")))
    with pytest.raises(UsageError, match="single gives one caption an image, and 2 are wanted"):
        run(made)


def test_a_scorer_that_breaks_ends_the_run_and_keeps_the_candidates(world, tmp_path, monkeypatch):
    def broken(self, **features):
        raise ZeroDivisionError("oh")

    with monkeypatch.context() as patch:
        patch.setattr(ClipCosine, "rows", broken)
        with pytest.raises(CapbenchError, match="clip_cosine, which chooses, failed: ZeroDivisionError: oh"):
            run(Rerank([says("1")]), tmp_path / "runs", metrics=())
    run(Rerank([says("1")]), tmp_path / "runs", metrics=())
    assert len(world["ASKED"]) == 4


def test_damaged_choices_are_named(world, tmp_path):
    made = run(Rerank([says("1")]), tmp_path / "runs")
    (made.run.folder / "details" / "choices.jsonl.gz").write_bytes(b"damaged")
    with pytest.raises(BadData, match="is damaged"):
        combining.read_choices(made.run.folder)


def test_it_is_a_spec_like_any_other(tmp_path):
    spec = "rerank(captioners=[\"speaker(flaw='short')\", 'speaker'], n=1)"
    made = capbench.run(spec, "scenes", ["cider"], backends={"clip": "scenes"}, limit=20, runs=tmp_path)
    perfect = capbench.run("speaker", "scenes", ["cider"], limit=20, runs=None)
    assert made.record.label == "rerank speaker-short+speaker by clip_cosine"
    assert made.value("cider") == perfect.value("cider")
