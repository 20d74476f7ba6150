"""Needs are shared, cached, and made by one backend at a time; a failure costs its own item."""

import textwrap
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from capbench import plugins
from capbench.cache import open_cache
from capbench.errors import CapbenchError, Midway, MissingPart
from capbench.facts import Facts
from capbench.needs import Captions, Ids, Images, Parsed, References, Tokens, Vector, Vectors
from capbench.protocols import Elements
from capbench.ragged import ragged
from capbench.resolve import Bound, Features, bind, closure, next_backend, resolve
from capbench.stage import one_each
from capbench.types import Failure, ImageRef

BACKENDS = textwrap.dedent("""
    from contextlib import contextmanager
    from dataclasses import dataclass
    import numpy as np
    from capbench.protocols import Elements, Encoded
    from capbench.types import Failure

    LOG = []

    @dataclass(frozen=True)
    class Encoder:
        "(length, 1) of a text, (1, digits of the digest) of a picture."
        tag: str = ""
        name = "fake"
        kind = "encoder"
        chunk = 8
        def fingerprint(self):
            return f"fake/{self.tag}"
        def check(self):
            return None
        @contextmanager
        def open(self, device):
            LOG.append(("open", self.tag))
            yield Session(self.tag)
            LOG.append(("close", self.tag))

    class Session:
        def __init__(self, tag):
            self.tag = tag
        def images(self, refs):
            LOG.append(("images", [r.path for r in refs]))
            return Encoded(np.array([[1, len(r.digest)] for r in refs], np.float32))
        def texts(self, texts):
            LOG.append(("texts", list(texts)))
            if self.tag == "down" or (self.tag == "touchy" and any("bad" in t for t in texts)):
                raise ValueError("cannot digest that")
            if self.tag == "tight" and (len(texts) > 3 or any("huge" in t for t in texts)):
                raise MemoryError("no room")
            rows = np.array([[len(t), 1] for t in texts], np.float32)
            if self.tag == "short":
                return Encoded(rows[1:])
            if self.tag == "long":
                return Encoded(np.concatenate([rows, rows]))
            failures = {i: "too odd" for i, t in enumerate(texts) if "odd" in t}
            rows[[i for i, t in enumerate(texts) if "odd" in t]] = np.nan
            return Encoded(rows, np.array([len(t) > 20 for t in texts]), failures)

    @dataclass(frozen=True)
    class Parser:
        name = "fake_parser"
        kind = "parser"
        def fingerprint(self):
            return "parser/1"
        def check(self):
            return None
        @contextmanager
        def open(self, device):
            LOG.append(("open", "parser"))
            yield self
            LOG.append(("close", "parser"))
        def parse(self, texts):
            LOG.append(("parse", list(texts)))
            return [Failure("no shape") if "odd" in t else Elements((t,)) for t in texts]
""")


@pytest.fixture
def fake(tmp_path):
    path = tmp_path / "fake.py"
    path.write_text(BACKENDS)
    module = plugins.file_module(path)[0]
    module.LOG.clear()
    return path, module.LOG


@pytest.fixture
def cache(tmp_path):
    with open_cache(tmp_path / "values.sqlite") as opened:
        yield opened


def facts(captions=("aa", "bbb", "aa"), references=(("r", "shared"), ("shared",), ("q", "r"))):
    ids = tuple(f"i{k}" for k in range(len(captions)))
    images = tuple(ImageRef(f"{i}.png", "d" * (k + 1)) for k, i in enumerate(ids))
    return Facts(ids, images, ragged(references), tuple({} for _ in ids), {}, tuple(captions))


def make(fake, cache, given, *needs, tag="", found=None):
    path, _ = fake
    bound, problems = bind(closure(needs), {"clip": f"{path}:Encoder(tag={tag!r})", "parser": f"{path}:Parser"})
    assert not problems
    return resolve(Features(given) if found is None else found, needs, bound, cache)


def asked(log, what):
    return [item for kind, items in log if kind == what for item in items]


def unit(length):
    return pytest.approx(np.array([length, 1]) / np.hypot(length, 1), abs=1e-6)


def test_a_need_stated_twice_is_computed_once(fake, cache):
    features = make(fake, cache, facts(), Vectors(Captions()), Vectors(Captions()), Vectors(Images()))
    assert asked(fake[1], "texts") == ["aa", "bbb"]  # equal texts too
    assert len(asked(fake[1], "images")) == 3
    assert [(w.made, w.found) for w in features.work] == [(2, 0), (3, 0)]
    matrix = features.argument(Vectors(Captions()))
    assert [matrix[0], matrix[1], matrix[2]] == [unit(2), unit(3), unit(2)]
    assert matrix.dtype == np.float32


def test_the_second_time_nothing_is_computed_and_nothing_is_opened(fake, cache):
    first = make(fake, cache, facts(), Vectors(Captions()), Vectors(References()))
    fake[1].clear()
    second = make(fake, cache, facts(), Vectors(Captions()), Vectors(References()))
    assert fake[1] == []
    assert [(w.made, w.found) for w in second.work] == [(0, 2), (0, 3)]
    need = Vectors(Captions())
    assert first.argument(need).tobytes() == second.argument(need).tobytes()


@pytest.mark.parametrize("change", ["prefix", "fingerprint", "text", "kind"])
def test_whatever_can_change_a_value_is_in_its_address(fake, cache, change):
    make(fake, cache, facts(), Vectors(Captions()))
    fake[1].clear()
    given = facts(("cc", "bbb", "aa")) if change == "text" else facts()
    need = {"prefix": Vectors(Captions(), prefix="P"), "kind": Parsed(Captions())}.get(change, Vectors(Captions()))
    make(fake, cache, given, need, tag="other" if change == "fingerprint" else "")
    expected = {"prefix": ["Paa", "Pbbb"], "text": ["cc"], "fingerprint": ["aa", "bbb"], "kind": []}[change]
    assert asked(fake[1], "texts") == expected
    assert asked(fake[1], "parse") == (["aa", "bbb"] if change == "kind" else [])


def test_two_aliases_of_one_backend_share_its_values(fake, cache):
    path = fake[0]
    needs = [Vectors(Captions(), "one"), Vectors(Captions(), "two")]
    bound, _ = bind(needs, {"one": f"{path}:Encoder()", "two": f"{path}:Encoder(tag='')"})
    resolve(Features(facts()), needs, bound, cache)
    assert asked(fake[1], "texts") == ["aa", "bbb"]
    assert [kind for kind, _ in fake[1]].count("open") == 1


def test_ragged_references_are_encoded_once_each_and_folded_back(fake, cache):
    features = make(fake, cache, facts(), Vectors(References()))
    assert asked(fake[1], "texts") == ["r", "shared", "q"]
    found = features.argument(Vectors(References()))
    assert found.offsets.tolist() == [0, 2, 3, 5]
    assert [row.tolist() for row in found.values] == [unit(n) for n in (1, 6, 6, 1, 1)]


def test_a_chunk_that_raises_is_halved_until_the_item_is_found(fake, cache):
    given = facts(("aa", "bad one", "cccc"))
    features = make(fake, cache, given, Vectors(Captions()), tag="touchy")
    assert features.failures(Vectors(Captions())) == {1: "ValueError: cannot digest that"}
    matrix = features.argument(Vectors(Captions()))
    assert [matrix[0], matrix[2]] == [unit(2), unit(4)]
    assert np.isnan(matrix[1]).all()
    calls = [items for kind, items in fake[1] if kind == "texts"]
    assert calls == [["aa", "bad one", "cccc"], ["aa", "bad one"], ["aa"], ["bad one"], ["cccc"]]


def test_later_chunks_are_as_small_as_the_memory_made_the_first(fake, cache):
    given = facts(tuple("a" * (k + 1) for k in range(20)))
    matrix = make(fake, cache, given, Vectors(Captions()), tag="tight").argument(Vectors(Captions()))
    assert [len(items) for kind, items in fake[1] if kind == "texts"] == [8, 4, *[2] * 10]
    assert list(matrix) == [unit(k + 1) for k in range(20)]


def test_a_text_too_large_alone_makes_no_later_chunk_smaller(fake, cache):
    given = facts(("a", "huge", *("b" * (k + 2) for k in range(9))))
    features = make(fake, cache, given, Vectors(Captions()), tag="tight")
    assert features.failures(Vectors(Captions())) == {1: "MemoryError: no room"}
    assert [len(items) for kind, items in fake[1] if kind == "texts"] == [8, 4, 2, 1, 1, 2, 4, 2, 2, 2, 1]


def test_what_is_made_before_the_end_of_a_batch_that_was_halved_keeps_its_place():
    def call(part):
        if len(part) > 2:
            raise ValueError("no")
        if "g" in part:
            raise Midway(MissingPart("the key was withdrawn", "set it"), {1: "H"})
        return [text.upper() for text in part]

    with pytest.raises(Midway, match="withdrawn") as caught:
        one_each(call, list("abcdefgh"), "it", proven=True)
    assert caught.value.done == {0: "A", 1: "B", 2: "C", 3: "D", 4: "E", 5: "F", 7: "H"}


def test_a_failure_is_not_kept_and_is_tried_again(fake, cache):
    given = facts(("aa", "odd one", "cccc"))
    features = make(fake, cache, given, Vectors(Captions()))
    assert features.failures(Vectors(Captions())) == {1: "too odd"}
    fake[1].clear()
    make(fake, cache, given, Vectors(Captions()))
    assert asked(fake[1], "texts") == ["odd one"]


def test_a_backend_that_never_works_raises(fake, cache):
    with pytest.raises(CapbenchError, match="backend 'clip' failed on every item: ValueError: cannot digest that"):
        make(fake, cache, facts(), Vectors(Captions()), tag="down")


@pytest.mark.parametrize(("tag", "shape"), [("short", r"\(1, 2\) for 2 items"), ("long", r"\(4, 2\) for 2 items")])
def test_another_number_of_vectors_is_an_error_not_a_shift(fake, cache, tag, shape):
    with pytest.raises(CapbenchError, match=shape):
        make(fake, cache, facts(), Vectors(Captions()), tag=tag)


@pytest.mark.parametrize("answer", [lambda p: p[1:], lambda p: [*p, "x"], lambda p: "ab"[: len(p)], lambda p: None])
def test_another_number_of_answers_is_an_error(answer):
    with pytest.raises(CapbenchError, match=r"gave \d values for 2 items|failed on every item"):
        one_each(answer, ["a", "b"], "it", proven=False)


def test_what_worked_before_may_fail_on_all_of_a_batch():
    def call(part):
        raise ValueError("no")

    assert one_each(call, ["a", "b"], "it", proven=True) == [Failure("ValueError: no")] * 2
    with pytest.raises(CapbenchError, match="failed on every item"):
        one_each(call, ["a", "b"], "it", proven=False)


def test_a_failed_caption_reaches_no_backend_and_stays_failed(fake, cache):
    given = replace(facts(), captions=("aa", Failure("no answer"), "cc"))
    features = make(fake, cache, given, Vectors(Captions()), Parsed(Captions()))
    assert asked(fake[1], "texts") == ["aa", "cc"]
    for need in (Captions(), Vectors(Captions()), Parsed(Captions())):
        assert features.failures(need) == {1: "no answer"}
    assert features.argument(Captions()) == ["aa", "", "cc"]
    assert features.argument(Parsed(Captions())) == [Elements(("aa",)), Elements(), Elements(("cc",))]


def test_a_picture_that_cannot_be_read_reaches_no_backend(fake, cache):
    given = replace(facts(), images=(ImageRef("a.png", "d"), ImageRef("b.png", ""), None))
    features = make(fake, cache, given, Vectors(Images()))
    assert asked(fake[1], "images") == ["a.png"]
    assert features.failures(Vectors(Images())) == {
        1: "cannot read the picture b.png",
        2: "the benchmark has no picture for it",
    }


def test_a_failed_reference_fails_its_item_with_the_first_reason(fake, cache):
    given = facts(references=(("fine", "odd"), ("fine",), ()))
    features = make(fake, cache, given, Parsed(References()))
    assert features.failures(Parsed(References())) == {0: "no shape", 2: "the image has no reference"}


def test_captions_that_were_cut_are_counted(fake, cache):
    given = facts(("short", "x" * 21, "y" * 30), references=(("z" * 40,), ("r",), ("r",)))
    needs = Vectors(Captions()), Vectors(References()), Vectors(Images())
    for _ in range(2):  # the second time from the cache
        features = make(fake, cache, given, *needs)
        assert [features.cut(need) for need in needs] == [2, 0, 0]
    assert features.cut(Captions()) == 0


@dataclass(frozen=True)
class Painted:
    """Stands for a painter: several pictures of each text."""

    of: Any
    generator: str = "parser"
    copies: int = 1
    kind: ClassVar[str] = "painted"
    backend_kind: ClassVar[str] = "parser"
    cached: ClassVar[bool] = True

    @property
    def backend(self):
        return self.generator

    def inputs(self, item):
        return [f"{item}#{k}" for k in range(self.copies)]

    def compute(self, session, items):
        return [ImageRef(e.objects[0], "paint") if isinstance(e, Elements) else e for e in session.parse(items)]

    def pack(self, value):
        return value.path.encode()

    def unpack(self, data):
        return ImageRef(data.decode(), "paint")

    def gather(self, values):
        return list(values)


def test_the_painter_goes_before_the_encoder_of_its_paintings_and_each_opens_once(fake, cache):
    nested = Vectors(Painted(Captions()))
    features = make(fake, cache, facts(), Vectors(Images()), nested, Vectors(Captions()))
    kinds = [kind if kind != "open" else f"open {name}" for kind, name in fake[1]]
    assert kinds == ["open parser", "parse", "close", "open ", "images", "images", "texts", "close"]
    assert features.argument(nested).shape == (3, 2)


def test_next_backend_is_the_one_that_fewest_wait_for():
    painted = Painted(Captions(), "painter")
    pending = [Vectors(Images()), painted, Vectors(painted)]
    bound = {"clip": Bound(None, "c"), "painter": Bound(None, "p")}
    assert next_backend(pending, Features(facts()), bound) == "painter"
    assert next_backend([Vectors(Images())], Features(facts()), bound) == "clip"


def test_several_values_an_item_are_folded_onto_it(fake, cache):
    need = Painted(Captions(), copies=2)
    features = make(fake, cache, facts(("aa", "odd", "cc")), need, Vectors(need))
    assert asked(fake[1], "parse") == ["aa#0", "aa#1", "odd#0", "odd#1", "cc#0", "cc#1"]
    assert features.failures(need) == {1: "no shape"}
    assert features.failures(Vectors(need)) == {1: "no shape"}
    found = features.argument(Vectors(need))
    assert found.offsets.tolist() == [0, 2, 4, 6]
    assert np.isnan(found.values).any(axis=1).tolist() == [False, False, True, True, False, False]


def test_several_values_of_ragged_references(fake, cache):
    need = Painted(References(), copies=2)
    features = make(fake, cache, facts(references=(("a", "odd"), (), ("b",))), need)
    assert features.argument(need).offsets.tolist() == [0, 4, 4, 6]
    assert features.failures(need) == {0: "no shape", 1: "the image has no reference"}


@dataclass(frozen=True)
class Length(Parsed):
    """Kept on disk, and made from words, which are not."""

    kind: ClassVar[str] = "length"

    def inputs(self, item):
        return [" ".join(item)]


def test_a_value_made_from_words_knows_its_tokenizer(fake, cache):
    given = facts(("A b.", "c", "d"))
    make(fake, cache, given, Length(Tokens(Captions(), "whitespace")))
    make(fake, cache, given, Length(Tokens(Captions(), "ptb")))
    assert asked(fake[1], "parse") == ["A b.", "c", "d", "a b", "c", "d"]


def test_everything_that_is_missing_is_said_together(fake):
    path = fake[0]
    needs = [Vectors(Captions()), Parsed(Captions()), Tokens(Captions(), "ptbb"), Vectors(Images(), "scenes")]
    bound, problems = bind(needs, {"parser": f"{path}:Encoder"})
    assert set(bound) == {"scenes"}
    text = [f"{p.what} -> {p.cure}" for p in problems]
    assert len(text) == 3
    assert "encoder 'clip': no backend is called 'clip'" in text[0]
    assert "--backend clip=SPEC" in text[0]
    assert "'parser' is an encoder, and a parser is needed" in text[1]
    assert "did you mean ptb" in text[2]


@pytest.mark.parametrize("taken", ["scenes_parser", "scenes_parser()", "capbench/scenes_parser"])
def test_no_alias_hides_a_backend_whose_name_a_metric_relies_on(fake, taken):
    needs = [Parsed(Captions(), taken)]
    bound, (problem,) = bind(needs, {taken: f"{fake[0]}:Parser"})
    assert not bound
    assert problem.what == f"parser {taken!r}: a backend has this name, and may not stand for another"
    assert "--backend mine=SPEC" in problem.cure
    assert bind([Parsed(Captions(), "scenes_parser")], {"scenes_parser": "scenes_parser"})[1] == []


def test_a_file_backend_has_its_digest_in_its_fingerprint(fake):
    bound, _ = bind([Vectors(Captions())], {"clip": f"{fake[0]}:Encoder"})
    assert bound["clip"].fingerprint.startswith("fake/+src:")


def test_sources_come_first_and_each_once():
    nested = Vectors(Painted(Captions()))
    assert closure([nested, Vectors(Captions()), nested]) == [
        Captions(),
        Painted(Captions()),
        nested,
        Vectors(Captions()),
    ]
    assert closure([Ids()]) == [Ids()]


def test_vectors_are_brought_to_unit_length_and_packed_exactly():
    class Session:
        def texts(self, items):
            from capbench.protocols import Encoded

            return Encoded(np.array([[3, 4], [0, 0], [np.inf, 1]], np.float32), np.array([True, False, False]))

    with np.errstate(invalid="ignore"):
        first, zero, bad = Vectors(Captions()).compute(Session(), ["a", "b", "c"])
    assert first.values.tolist() == pytest.approx([0.6, 0.8])
    assert zero.values.tolist() == [0, 0]
    assert bad == Failure("the encoder gave a vector that is not finite")
    again = Vectors(Captions()).unpack(Vectors(Captions()).pack(first))
    assert isinstance(again, Vector)
    assert (again.cut, again.values.tobytes()) == (True, first.values.tobytes())
