"""Prompts, regions, history, lengths and the other pictures of a bag: from files to what a captioner is asked."""

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from PIL import Image

import capbench
from capbench import api, engine, prompts
from capbench.benchmark import data_digests, load
from capbench.captioners.pictures import Ahead, around, shown
from capbench.errors import BadData, MissingPart, UsageError
from capbench.images import ImageFault, reference
from capbench.testing import check_captioner
from capbench.types import Failure, Generation, ImageRef, Request

ECHO = """
import json
from contextlib import contextmanager
from pathlib import Path


class Session:
    def caption(self, requests, params):
        return [json.dumps({
            "prompt": r.prompt, "params": params.prompt, "regions": r.regions, "history": r.history,
            "length": r.length, "others": [Path(c.path).stem for c in r.context], "sample": r.sample,
        }) for r in requests]


class Echo:
    name = "echo"
    uses = frozenset(USES)

    def fingerprint(self):
        return "echo/1"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield Session()
"""
BENCH = """
name = "regions"
version = 1
{top}
[dataset]
use = "folder(captions='r.jsonl', images='photos', regions='box', history='talk', length='words')"
[bags.pairs]
use = "blocks(size=2)"
[bags.chain]
use = "file(path='chain.json')"
[[metrics]]
use = "bleu()"
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    rows = []
    for i in range(4):
        Image.new("RGB", (20, 10), (60 * i, 0, 0)).save(tmp_path / "photos" / f"p{i}.png")
        row = {
            "id": f"r{i}",
            "image": f"p{i}.png",
            "caption": f"a red thing number {i}",
            "box": [i, 1, 5, 4.5],
            "words": 5 + i,
        }
        rows.append(row | ({"talk": ["what is it ?", f"a thing {i}"]} if i else {}))
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "chain.json").write_text('[["r0", "r1"], ["r1", "r2"]]')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def echo(place, uses=()):
    (place / "echo.py").write_text(ECHO.replace("USES", repr(list(uses))))
    return "./echo.py:Echo"


def bench(place, top="", change=lambda text: text):
    (place / "b.toml").write_text(change(BENCH.format(top=top)))
    return "b.toml"


def told(run):
    return [json.loads(caption.text) for caption in run.captions]


def test_what_the_benchmark_says_reaches_the_captioner(place):
    top = "prompt = 'In {length} words, {{as JSON}}: what is at {region} (of {others} more)?\\n{history}'\ncontext = 'pairs'"
    top = top.replace("prompt = '", 'prompt = """').replace("{history}'", '{history}"""')
    found = told(capbench.run(echo(place), bench(place, top), runs=place / "runs", samples=2))
    assert found[2] == {
        "prompt": "In 6 words, {as JSON}: what is at 1, 1, 5, 4.5 (of 1 more)?\nwhat is it ?\na thing 1",
        "params": "In {length} words, {{as JSON}}: what is at {region} (of {others} more)?\n{history}",
        "regions": [[1.0, 1.0, 5.0, 4.5]], "history": ["what is it ?", "a thing 1"], "length": 6, "others": ["p0"], "sample": 0,
    }  # fmt: skip
    assert [one["others"] for one in found[::2]] == [["p1"], ["p0"], ["p3"], ["p2"]]
    assert [one["sample"] for one in found] == [0, 1] * 4


def test_the_commands_prompt_holds_over_the_benchmarks(place):
    made = bench(place, "prompt = 'theirs'")
    spec = echo(place)
    assert {one["prompt"] for one in told(capbench.run(spec, made, runs=place / "a"))} == {"theirs"}
    ours = capbench.run(spec, made, runs=place / "a", generation=Generation("ours {length}"))
    assert [one["prompt"] for one in told(ours)] == ["ours 5", "ours 6", "ours 7", "ours 8"]
    assert ours.record.identity.generation["prompt"] == "ours {length}"
    assert len(list((place / "a" / "regions").iterdir())) == 2, "another prompt is another run"


def test_what_a_captioner_cannot_use_stands_in_the_plan_and_in_the_run(place):
    made = bench(place, "prompt = 'in {length} words'\ncontext = 'pairs'")

    def plan(uses, **options):
        return engine.plan(api.job_of(echo(place, uses), made, runs=place / "runs", **options))

    some = plan(["prompt", "max_tokens"], generation=Generation(max_tokens=9, beams=3, temperature=0.5, seed=4))
    line = "captioner echo cannot use: temperature, beams, seed, context, regions, history"
    assert f"unused     {line}" in engine.plan_lines(some)
    assert line in engine.run(some).run.record.notes
    assert plan(["context"]).unused == ("captioner echo cannot use: prompt, regions, history, length",)
    everything = plan(["prompt", "context", "regions", "history"])
    assert everything.unused == ()
    assert not any(text.startswith("unused") for text in engine.plan_lines(everything))
    assert engine.plan(api.job_of("constant", made, runs=None)).unused == (), "a baseline is asked nothing"
    check_captioner(everything.job.captioner)


def test_what_is_asked_is_part_of_what_a_run_is(place):
    first = data_digests(load(bench(place)))
    assert first == data_digests(load(bench(place, "prompt = 'x'"))), "the prompt stands among the parameters"
    assert first != data_digests(load(bench(place, "context = 'pairs'")))
    text = (place / "r.jsonl").read_text()
    for old, new in (("4.5]", "4.25]"), ("what is", "what was"), ('"words": 5', '"words": 50')):
        (place / "r.jsonl").write_text(text.replace(old, new))
        assert data_digests(load(bench(place))) != first
    plain = load("scenes(n=14)")
    assert data_digests(plain) == data_digests(replace(plain, prompt="x", metrics=()))


def test_prompts_that_cannot_be_filled_are_refused_before_any_work(place):
    spec = echo(place)
    with pytest.raises(BadData, match=r"(?s)b.toml: the prompt has a field \{size\}.*doubled"):
        load(bench(place, "prompt = '{size}'"))
    with pytest.raises(UsageError, match="doubled"):
        capbench.run(spec, bench(place), runs=None, generation=Generation('{"a": {b}}'))
    without = bench(place, "prompt = '{length}'", lambda text: text.replace(", length='words'", ""))
    with pytest.raises(MissingPart, match=r"speaks of length, and 4 of 4 items have none, as 'r0'"):
        capbench.run(spec, without, runs=None)
    with pytest.raises(MissingPart, match="speaks of context"):
        capbench.run(spec, bench(place, "prompt = '{others}'"), runs=None)
    with pytest.raises(BadData, match=r"(?s)context = 'tens' is no bag set.*pairs"):
        load(bench(place, "context = 'tens'"))
    with pytest.raises(MissingPart, match="'r1' is in several bags of 'chain'"):
        capbench.run(spec, bench(place, "context = 'chain'"), runs=None)


def test_a_benchmark_without_pictures_is_refused_by_who_must_see_them(place):
    with pytest.raises(MissingPart, match=r"no picture to describe(.|\n)*--images DIR"):
        capbench.run(echo(place), "folder(captions='r.jsonl')", ["bleu"], runs=None)
    (place / "made.jsonl").write_text("".join(f'{{"id": "r{i}", "caption": "x"}}\n' for i in range(4)))
    assert capbench.run("made.jsonl", "folder(captions='r.jsonl')", ["bleu"], runs=None).value("bleu1") is not None


def test_braces():
    request = Request("a", None, regions=((1, 2, 3, 4), (5, 6, 7, 8.5)), length=7)
    for template, text in {
        "{region}": "1, 2, 3, 4; 5, 6, 7, 8.5", "{{length}} {length}": "{length} 7", '{"caption": {{}}}': '{"caption": {}}',
        "{ length }": "{ length }", "{}": "{}", "no field": "no field", "{history}|": "|", "\ud800{length}": "\ud8007",
    }.items():  # fmt: skip
        assert prompts.rendered(template, request) == text
    assert prompts.context_in("{length} {others} {{region}}") == {"length", "context"}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"box": [1, 2, 3]}, "image r0: box is no box of left, top, width, height: [1, 2, 3]"),
        ({"box": [1, 2, 0, 3]}, "box is a box without an area"),
        ({"box": "near the top"}, "box is no box: 'near the top'"),
        ({"box": [1, 2, True, 3]}, "box is no box"),
        ({"box": {"x": 1, "y": 2}}, "box is no box"),
        ({"box": [[1, 2, 3, 4], 5]}, "box is no box"),
        ({"words": "many"}, "words is no number of words: 'many'"),
        ({"words": 0}, "words is 0 words"),
        ({"words": 2.5}, "words is no number of words: 2.5"),
        ({"talk": [1]}, "talk is no list of texts: [1]"),
    ],
)
def test_faults_of_the_file_are_named_with_their_place(place, change, what):
    rows = [json.loads(row) for row in (place / "r.jsonl").read_text().splitlines()]
    (place / "r.jsonl").write_text("\n".join(map(json.dumps, [rows[0] | change, *rows[1:]])))
    with pytest.raises(BadData) as caught:
        load(bench(place))
    assert what in str(caught.value)
    assert "r.jsonl line 1" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "regions"),
    [
        ("[1, 2, 3, 4]", ((1, 2, 3, 4),)),
        ([[1, 2, 3, 4], {"x": 5, "y": 6, "width": 7, "height": 8}], ((1, 2, 3, 4), (5, 6, 7, 8))),
        ({"x": 5, "y": 6, "w": 7, "h": 8}, ((5, 6, 7, 8),)),
        (None, ()),
    ],
)
def test_boxes_in_the_forms_that_files_have(place, value, regions):
    rows = [json.loads(row) for row in (place / "r.jsonl").read_text().splitlines()]
    (place / "r.jsonl").write_text("\n".join(map(json.dumps, [rows[0] | {"box": value, "words": "12"}, *rows[1:]])))
    first = load(bench(place)).samples[0]
    assert (first.regions, first.length, first.history) == (regions, 12, ())


def test_keys_that_no_row_has(place):
    with pytest.raises(UsageError, match=r"no field 'boxes'\s+-> did you mean box\?"):
        load("folder(captions='r.jsonl', images='photos', regions='boxes')")
    with pytest.raises(UsageError, match="no file for regions='box'"):
        load("folder(images='photos', regions='box')")


def test_rows_of_one_id_have_one_region(place):
    row = {"id": "a", "image": "p0.png", "caption": "x", "box": [1, 2, 3, 4]}
    (place / "r.jsonl").write_text("\n".join(map(json.dumps, [row, row | {"caption": "y"}])))
    assert load("folder(captions='r.jsonl', images='photos', regions='box')").samples[0].references == ("x", "y")
    (place / "r.jsonl").write_text("\n".join(map(json.dumps, [row, row | {"caption": "y", "box": [1, 2, 3, 5]}])))
    with pytest.raises(BadData, match="region"):
        load("folder(captions='r.jsonl', images='photos', regions='box')")


def test_the_rectangle_around_regions():
    assert around([(1.2, 2.9, 3, 4)], (100, 100)) == (1, 2, 5, 7)
    assert around([(-5, -5, 10, 10), (90, 95, 20, 20)], (100, 100)) == (0, 0, 100, 100)
    assert around([(0.5, 0.5, 0.2, 0.2)], (10, 10)) == (0, 0, 1, 1)
    with pytest.raises(ImageFault, match="outside the picture of 10 x 10 pixels"):
        around([(10, 0, 5, 5)], (10, 10))


def test_pictures_that_are_shown(place):
    own, other = (reference(place / "photos" / f"p{i}.png") for i in (1, 2))
    request = Request("a", own, (other,), regions=((2, 3, 4, 5),))
    assert [picture.size for picture in shown(request, crop=False, context=False)] == [(20, 10)]
    assert [picture.size for picture in shown(request, crop=True, context=True)] == [(4, 5), (20, 10)]
    gone = shown(replace(request, context=(ImageRef("none.png"),)), crop=False, context=True)
    assert isinstance(gone, Failure)
    assert shown(Request("a", None), crop=True, context=False) == Failure("there is no picture")


def test_what_is_announced_is_prepared_while_the_one_before_is_used():
    begun = []
    requests = [Request(str(i), None) for i in range(3)]

    def prepare(part, pictures):
        begun.append(part[0].id)
        return part[0].id

    reader = Ahead(prepare, crop=False, context=False)
    reader.announce(requests[1:2])
    assert reader.get(requests[:1]) == "0"
    reader.announce(requests[2:3])
    assert reader.get(requests[1:2]) == "1"
    assert reader.get(requests[2:3]) == "2"
    assert begun == ["0", "1", "2"], "each once, in order"
    assert reader.get(requests[:1]) == "0"
    reader.close()


@dataclass(frozen=True)
class Watcher:
    """Notes what it is told in advance."""

    log: list
    name: ClassVar[str] = "watcher"
    batch: int = 2

    def fingerprint(self):
        return "watcher/1"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield self

    def ahead(self, requests):
        self.log.append(("ahead", *(r.id for r in requests)))

    def caption(self, requests, params):
        self.log.append(("now", *(r.id for r in requests)))
        return ["x"] * len(requests)


def test_a_session_is_told_which_batch_comes_next(place):
    (place / "photos" / "p1.png").unlink()
    watcher = Watcher([])
    made = engine.run(engine.plan(replace(api.job_of("speaker", bench(place), runs=None), captioner=watcher)))
    assert [caption.status for caption in made.run.captions] == ["ok", "failed", "ok", "ok"]
    assert watcher.log == [("ahead", "r2", "r3"), ("now", "r0"), ("now", "r2", "r3")]
