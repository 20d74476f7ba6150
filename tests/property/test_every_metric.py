"""Every installed part keeps the promises of its kind, and a part that breaks one is refused for that."""

import base64
import hashlib
import io
import json
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from capbench import idf, plugins
from capbench.errors import CapbenchError, CheckFailed
from capbench.needs import AllCaptions, Captions
from capbench.ragged import ragged
from capbench.resolve import closure
from capbench.testing import check_backend, check_captioner, check_dataset, check_metric
from capbench.trial import small_world
from capbench.types import Column

SHORT_PROMISE = {
    "name is text",
    "it is a frozen dataclass with hashable fields",
    "the arguments of rows are the names of its needs",
    "the same input gives the same bits",
    "an item without a caption is unscored",
    "a failed caption moves no other row",
}


def own(group):
    return [
        name
        for name, entries in plugins.installed(group).items()
        if any(plugins.distribution(e) == plugins.OWN for e in entries)
    ]


def build(group, spec):
    return plugins.load(group, spec).value


POOLED = {"a failed caption is as if its item were not there"}


def promised(part):
    """What every metric promises, what a pooled one promises instead, and less of one that reads no caption."""
    promise = SHORT_PROMISE
    if hasattr(part, "pooled"):
        promise = promise - {"a failed caption moves no other row"} | POOLED
    if not any(isinstance(need, Captions) for need in closure(part.needs.values())):
        promise = promise - {"an item without a caption is unscored"}
    return promise


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.torch if n == "bertscore" else ()) for n in own("metrics")]
)
def test_metric(name, prepared):
    part = prepared(name)
    passed = set(check_metric(part))
    assert passed >= promised(part)
    if not name.endswith("retrieval"):  # its rows are of bags, whose members depend on each other
        assert {"permuting items permutes rows", "leaving an item out changes no other row"} <= passed or part.corpus


VARIANTS = [
    "bleu(tokenizer='whitespace')",
    "cider(lang='zh')",
    "rouge_l(lang='de')",
    "clipscore(prefix='', weight=1)",
    "clip_cosine(prefix='A photo depicts ')",
    "refpacscore(prefix='')",
    "refclipscore(prefix='')",
    "self_retrieval(ties='pessimistic')",
    "self_retrieval(ties='optimistic')",
    "retrieval(texts='captions')",
    "retrieval(ties='pessimistic', each=2)",
    "chair(labels='references', compat=True)",
    "diversity(tokenizer='whitespace')",
    "self_cider(variant='d')",
    "oracle_cider(variant='plain')",
    "style(tokenizer='whitespace')",
    "truncation(prefix='A photo depicts ')",
    "vocabulary(every=True)",
    "elements(parser='scenes_parser', soft='scenes', near=0.5)",
    "elements(parser='scenes_parser', synonyms='none', weights=(1, 1, 1), labels='changed')",
    "spice_like(parser='scenes_parser', synonyms='none')",
    "judge(rubric='fleur', model='scripted_judge')",
    "judge(rubric='vdcscore', model='scripted_judge')",
    "judge(rubric='figure', model='scripted_judge')",
    "reconstruction(seeds=3, seed=5)",
    "reconstruction(similarity='ssim')",
    "reconstruction(similarity='psnr(size=64)', seeds=2)",
]


@pytest.mark.parametrize("spec", VARIANTS)
def test_metric_with_other_parameters(spec):
    part = build("metrics", spec)
    assert set(check_metric(part)) >= promised(part)


@pytest.mark.parametrize("variant", ["d", "plain"])
def test_cider_with_the_frequencies_of_a_file(variant, tmp_path):
    words = [
        ["a red car"],
        ["a small dog on the left of a big cat"],
        ["two dogs", "a dog"],
        ["a blue boat on the right"],
    ]
    tokenizer = build("backends", "ptb")
    idf.write(idf.made(ragged(words), tokenizer, tokenizer.fingerprint()), tmp_path / "idf.parquet")
    passed = check_metric(build("metrics", f"cider(variant={variant!r}, idf='file:{tmp_path}/idf.parquet')"))
    assert {*SHORT_PROMISE, "permuting items permutes rows", "leaving an item out changes no other row"} <= set(passed)


@pytest.mark.slow
def test_cider_with_the_frequencies_of_coco():
    metric = build("metrics", "cider(idf='coco-val')")
    if idf.missing(metric.idf) is not None:
        pytest.skip(idf.missing(metric.idf).what)
    passed = check_metric(metric)
    assert {*SHORT_PROMISE, "permuting items permutes rows", "leaving an item out changes no other row"} <= set(passed)


MODELS = {
    "open_clip": "open_clip_folder", "hf": "clip_folder", "onnx": "export_folder", "diffusers": "painter_folder",
}  # fmt: skip  # small seeded ones
SLOW_MARKS = {"ptb_java": pytest.mark.java} | dict.fromkeys(
    [*MODELS, "lpips", "judge_hf", "sentences"], pytest.mark.torch
)
ELSEWHERE = {
    "recorded_judge",
    "factual",
}  # replies that were recorded; a model trained in tests/unit/test_factual_parser.py


def pixel():
    sink = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(sink, "PNG")
    return sink.getvalue()


PIXEL = pixel()


def painting(key, _attempt, _body):
    """An answer of an images endpoint: a picture that only this text has."""
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), tuple(hashlib.sha256(key.encode()).digest()[:3])).save(sink, "PNG")
    return 200, {"data": [{"b64_json": base64.b64encode(sink.getvalue()).decode()}]}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=SLOW_MARKS.get(n, ())) for n in own("backends") if n not in ELSEWHERE]
)
def test_backend(name, request):
    spec = name
    if name == "gallery":
        spec = f"gallery(folder={small_world()[0].image.path.rpartition('/')[0]!r}, encoder='scenes')"
    if name == "judge_chat":
        chat = request.getfixturevalue("loopback").Server()
        request.addfinalizer(lambda: chat.__exit__(None, None, None))
        spec = f"judge_chat(model='tiny-eyes', url={chat.__enter__().url!r})"
    if name == "judge_hf":
        spec = f"judge_hf(model={str(request.getfixturevalue('tiny_captioner')('qwen2_vl'))!r})"
    if name == "openai_images":
        brush = request.getfixturevalue("loopback").Server(painting)
        request.addfinalizer(lambda: brush.__exit__(None, None, None))
        spec = f"openai_images(model='m', url={brush.__enter__().url!r})"
    if name == "lpips":
        request.getfixturevalue("random_alexnet")
    if name in MODELS:
        folder = str(request.getfixturevalue("tiny")(MODELS[name]))
        spec = f"{name}({'folder' if name == 'onnx' else 'model'}={folder!r}{', steps=1' * (name == 'diffusers')})"
    backend = build("backends", spec)
    if "java" in name and backend.check() is not None:
        pytest.skip(backend.check().what)
    passed = check_backend(backend)
    assert any(line.endswith("does not depend on the batch") for line in passed)


PROGRAM = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], "caption": "of " + request["id"]}), flush=True)
"""


def captioner_spec(name, tmp_path, url_spec):
    if name == "file":
        path = tmp_path / "captions.jsonl"
        path.write_text('{"id": "a", "caption": "x"}\n')
        return f"file(path={str(path)!r})"
    if name == "command":
        path = tmp_path / "program.py"
        path.write_text(PROGRAM)
        return f"command(program={f'{sys.executable} {path}'!r}, batch=3)"
    if name in ("rerank", "fuse"):
        llm = f", llm={url_spec!r}" if name == "fuse" else ""
        return f"{name}(captioners=['speaker', 'human']{llm})"
    return url_spec if name == "chat" else name


CAPTIONERS = {"hf": "blip", "open_clip": "coca"}  # small seeded models; vllm has a stand-in in tests/unit


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.torch if n in CAPTIONERS else ()) for n in own("captioners") if n != "vllm"],
)
def test_captioner(name, tmp_path, loopback, request):
    with loopback.Server() as server:
        spec = captioner_spec(name, tmp_path, f"chat(model='tiny-eyes', url={server.url!r})")
        if name in CAPTIONERS:
            spec = f"{name}(model={str(request.getfixturevalue('tiny_captioner')(CAPTIONERS[name]))!r})"
        passed = check_captioner(build("captioners", spec))
    assert {"name is text", "fingerprint is text and stays the same", "nothing is missing"} <= set(passed)
    kinds = {
        "one answer a request",
        "the arguments of captions are the names of its needs",
        "the captioners inside keep their promises",
    }
    assert kinds & set(passed)


def spec_of_files(name, folder):
    """A data set whose pictures lie inside files."""
    if name == "webdataset":
        with tarfile.open(folder / "x.tar", "w") as shard:
            for key, data in (("a.png", PIXEL), ("a.txt", b"x"), ("b.png", PIXEL), ("b.txt", b"y")):
                entry = tarfile.TarInfo(key)
                entry.size = len(data)
                shard.addfile(entry, io.BytesIO(data))
        return f"webdataset(path={str(folder)!r})"
    rows = {"image": [{"bytes": PIXEL, "path": f"{k}.png"} for k in "ab"], "text": ["x", "y"]}
    if name == "img2dataset":
        rows = {"jpg": [PIXEL] * 2, "caption": ["x", "y"], "key": ["a", "b"], "status": ["success"] * 2}
    pq.write_table(pa.table(rows), folder / "00000.parquet")
    return f"{name}({'source' if name == 'hf' else 'path'}={str(folder)!r})"


def dataset_spec(name, tmp_path):
    if name == "coco":
        path = tmp_path / "coco.json"
        images = [{"id": 1, "file_name": "1.jpg"}, {"id": 2, "file_name": "2.jpg"}]
        captions = [{"id": k, "image_id": 1 + k % 2, "caption": f"c{k}"} for k in range(4)]
        path.write_text(json.dumps({"images": images, "annotations": captions}))
        return f"coco(annotations={str(path)!r})"
    if name == "folder":
        path = tmp_path / "captions.jsonl"
        path.write_text('{"id": "a", "caption": "x"}\n{"id": "b", "caption": "y"}\n')
        return f"folder(captions={str(path)!r})"
    if name == "xm3600":
        path = tmp_path / "captions.jsonl"
        lines = [{"image/key": key, "image/locale": "th", "en": {"caption": [key, "x"]}} for key in "ab"]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return f"xm3600(annotations={str(path)!r})"
    if name == "detailcaps":
        path = tmp_path / "rows.jsonl"
        texts = [f"GT_Caption_{who}" for who in ("GPT4O", "GPT4V", "Gemini15Pro")]
        rows = [{"image": key, "source": "COCO", **dict.fromkeys(texts, f"long {key}")} for key in "ab"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return f"detailcaps(annotations={str(path)!r})"
    if name == "genecis":
        shown = plugins.load("datasets", "scenes(n=4)").value.load()
        for k, sample in enumerate(shown):
            (tmp_path / f"{k:012d}.png").write_bytes(Path(sample.image.path).read_bytes())
        one, two, three, four = ({"val_image_id": k} for k in range(4))
        template = {"condition": "with a dog", "reference": one, "target": two, "gallery": [three, four]}
        (tmp_path / "change_object.json").write_text(json.dumps([template]))
        return f"genecis(annotations='{tmp_path / 'change_object.json'}', images={str(tmp_path)!r})"
    return "scenes(n=14)" if name == "scenes" else spec_of_files(name, tmp_path)


@pytest.mark.parametrize("name", own("datasets"))
def test_dataset(name, tmp_path):
    passed = check_dataset(build("datasets", dataset_spec(name, tmp_path)))
    assert {"there is a sample", "ids differ", "it loads the same again"} <= set(passed)
    if name in ("scenes", "genecis"):
        assert "the members of its bags are its ids" in passed


def lengths(texts):
    return np.array([len(text) / 1000 for text in texts])


@dataclass(frozen=True)
class Good:
    """Keeps every promise."""

    name: ClassVar[str] = "good"
    version: ClassVar[int] = 1
    columns: ClassVar[dict] = {"m": Column("M", low=0.0, high=1.0)}

    scale: float = 1.0

    @property
    def needs(self):
        return {"texts": Captions()}

    def rows(self, texts):
        return {"m": np.clip(self.scale * lengths(texts), 0, 1)}


def test_a_metric_that_keeps_every_promise_passes():
    assert set(check_metric(Good())) == {
        *SHORT_PROMISE,
        "version is an integer",
        "columns maps names to Columns",
        "m is at least 0.0",
        "m is at most 1.0",
        "permuting items permutes rows",
        "leaving an item out changes no other row",
        "the field scale is in the signature",
    }


@dataclass(frozen=True)
class OfTheLast(Good):
    """Looks at the last of three captions."""

    @property
    def needs(self):
        return {"texts": AllCaptions()}

    def rows(self, texts):
        return {"m": lengths(texts.values[2::3])}


def test_a_metric_of_all_captions_is_tried_on_three_an_item():
    assert {"an item without a caption is unscored", "permuting items permutes rows"} <= set(check_metric(OfTheLast()))


class ByPosition(Good):
    def rows(self, texts):
        return {"m": np.arange(len(texts)) / 1000}


class TooHigh(Good):
    def rows(self, texts):
        return {"m": 2 + lengths(texts)}


class TooLow(Good):
    def rows(self, texts):
        return {"m": -lengths(texts)}


class Random(Good):
    def rows(self, texts):
        return {"m": np.random.default_rng().random(len(texts))}


class OfTheOthers(Good):
    def rows(self, texts):
        return {"m": lengths(texts) / sum(map(len, texts))}


class DeclaredCorpus(OfTheOthers):
    corpus: ClassVar[bool] = True


class DeclaredPooled(OfTheOthers):
    corpus: ClassVar[bool] = True
    pooled: ClassVar[bool] = True

    def rows(self, texts):
        return {"m": np.full(len(texts), 1 / len(texts))}


class Raises(Good):
    def rows(self, texts):
        raise ZeroDivisionError("oh")


class Short(Good):
    def rows(self, texts):
        return {"m": lengths(texts)[1:]}


class OtherArguments(Good):
    def rows(self, captions):
        return {"m": lengths(captions)}


class OtherColumn(Good):
    def rows(self, texts):
        return {"n": lengths(texts)}


@dataclass(frozen=True)
class Forgets(Good):
    prefix: str = ""

    def __post_init__(self):
        object.__setattr__(self, "prefix", "")


@dataclass
class Mutable:
    name: ClassVar[str] = "mutable"
    version: ClassVar[int] = 1
    columns: ClassVar[dict] = Good.columns
    needs: ClassVar[dict] = {"texts": Captions()}

    def rows(self, texts):
        return {"m": lengths(texts)}


@dataclass(frozen=True)
class Unhashable(Good):
    words: list = field(default_factory=list)


class NoVersion(Good):
    version: ClassVar[str] = "1.0"


class NoColumns(Good):
    columns: ClassVar[tuple] = ("m",)


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (ByPosition(), "not so: permuting items permutes rows"),
        (TooHigh(), "not so: m is at most 1.0. highest: 2."),
        (TooLow(), "not so: m is at least 0.0. lowest: -0."),
        (Random(), "not so: the same input gives the same bits"),
        (OfTheOthers(), "not so: leaving an item out changes no other row. if it must, declare corpus"),
        (DeclaredCorpus(), "not so: a failed caption moves no other row"),
        (DeclaredPooled(), "not so: a failed caption is as if its item were not there"),
        (Forgets(), "not so: the field prefix is in the signature"),
        (Mutable(), "not so: it is a frozen dataclass with hashable fields. use @dataclass(frozen=True)"),
        (Unhashable(), "not so: it is a frozen dataclass with hashable fields"),
        (OtherArguments(), "rows takes ['captions'], needs has ['texts']"),
        (Raises(), "good failed: ZeroDivisionError: oh"),
        (Short(), "good failed: good gave columns of shapes {'m': (27,)} for 28 rows"),
        (OtherColumn(), "good gave n and declares m"),
        (NoVersion(), "not so: version is an integer"),
        (NoColumns(), "not so: columns maps names to Columns"),
        (object(), "not so: name is text"),
    ],
)
def test_a_broken_promise_is_named(metric, words):
    with pytest.raises(CheckFailed) as caught:
        check_metric(metric)
    assert words in str(caught.value)


def test_only_the_broken_promise_is_named():
    with pytest.raises(CheckFailed) as caught:
        check_metric(Forgets())
    assert str(caught.value).count("not so:") == 1


@dataclass(frozen=True)
class Derived(Good):
    half: float = field(init=False, default=0.5)


def test_a_field_that_nobody_can_give_is_no_reason_to_fall_over():
    assert "the field scale is in the signature" in check_metric(Derived())


@dataclass(frozen=True)
class Tokenizer:
    """Splits at blanks, or is wrong in a way of choice."""

    how: str = ""
    name: ClassVar[str] = "tok"
    kind: ClassVar[str] = "tokenizer"

    def fingerprint(self):
        return "" if self.how == "nameless" else "tok/1"

    def check(self):
        return None

    def open(self, device):
        import contextlib

        return contextlib.nullcontext(self)

    def tokenize(self, texts):
        if self.how == "batch":
            return [(str(len(texts)), *text.split()) for text in texts]
        found = [tuple(text.split()) for text in texts]
        return found[:-1] if self.how == "short" else found


def test_backends_that_break_a_promise_are_refused():
    assert "tokenize does not depend on the batch" in check_backend(Tokenizer())
    for how, words in (
        ("batch", "not so: tokenize does not depend on the batch"),
        ("short", "not so: tokenize gives one answer an item"),
        ("nameless", "not so: fingerprint is text and stays the same"),
    ):
        with pytest.raises(CheckFailed) as caught:
            check_backend(Tokenizer(how))
        assert words in str(caught.value)


def test_a_program_that_answers_otherwise_each_time_is_refused(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace('"of " + request["id"]', "str(__import__('time').monotonic_ns())"))
    captioner = build("captioners", f"command(program={f'{sys.executable} {path}'!r})")
    with pytest.raises(CheckFailed, match="not so: the same requests get the same answers"):
        check_captioner(captioner)


def test_a_captioner_whose_program_is_missing_is_refused():
    with pytest.raises(CapbenchError, match="not so: nothing is missing"):
        check_captioner(build("captioners", "command(program='no-such-program-anywhere')"))
