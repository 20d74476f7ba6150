"""Specs are read and never evaluated; parts are found by name, file or module, and say where they come from."""

import hashlib
import os
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from capbench import catalogue, plugins
from capbench.errors import UsageError
from capbench.metrics.bleu import Bleu
from capbench.metrics.clipscore import ClipScore

FILE = """
from dataclasses import dataclass
MARK = 1
@dataclass(frozen=True)
class Part:
    weight: float = 1.0
    size: int = 3
    loud: bool = False
    word: str = "a"
READY = 42
class Plain:
    def __init__(self, width=1):
        self.width = width
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "part.py"
    path.write_text(FILE)
    return path


def refusal(spec, group="metrics"):
    with pytest.raises(UsageError) as caught:
        plugins.load(group, spec)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "target", "params"),
    [
        ("bleu", "bleu", {}),
        ("  bleu ( ) ", "bleu", {}),
        ("bleu(tokenizer='ptb')", "bleu", {"tokenizer": "ptb"}),
        ("x(a=1, b=-2.5, c=True, d=None, e='(|:)')", "x", {"a": 1, "b": -2.5, "c": True, "d": None, "e": "(|:)"}),
        ("./some dir/f.py:Attr(p='q')", "./some dir/f.py:Attr", {"p": "q"}),
        ("dist/name", "dist/name", {}),
        ("x(\n a=1,\n b=[1, 'two']\n)", "x", {"a": 1, "b": [1, "two"]}),
    ],
)
def test_a_spec_is_a_name_with_keyword_literals(text, target, params):
    assert plugins.parse(text) == plugins.Spec(target, params)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bleu(",
        "bleu)",
        "(a=1)",
        "bleu('ptb')",
        "bleu(*[1])",
        "bleu(**{'a': 1})",
        "bleu(a=1)(b=2)",
        "bleu(a=1).x(b=2)",
        "bleu(a=1)[0](b=2)",
        "bleu(a=1, a=2)",
        "bleu(a=b)",
        "bleu(a=open('x'))",
        "bleu(a=(lambda: 1)())",
        "bleu(a=[x for x in ()])",
        "bleu(a=f'{1}')",
        "bleu(a='\x00')",
        "bleu(a=1; b=2)",
        "bleu(a=" + "(" * 500 + ")" * 500 + ")",
        "bleu(a=" + "-" * 100_000 + "1)",
        "bleu(a=" + "1+" * 20_000 + "1)",
    ],
)
def test_anything_else_is_refused_in_words(text):
    with pytest.raises(UsageError, match="cannot read"):
        plugins.parse(text)


def test_hostile_parameters_are_not_evaluated(tmp_path):
    trap = tmp_path / "trap"
    for value in (f"__import__('os').mkdir({str(trap)!r})", f"open({str(trap)!r}, 'w')", "exec('raise SystemExit')"):
        with pytest.raises(UsageError):
            plugins.parse(f"bleu(tokenizer={value})")
    assert not trap.exists()


def test_own_parts_have_no_origin():
    assert plugins.load("metrics", "bleu") == (Bleu(), "")
    assert plugins.load("metrics", "capbench/bleu(tokenizer='whitespace')") == (Bleu("whitespace"), "")
    assert plugins.load("metrics", "capbench.metrics.bleu:Bleu") == (Bleu(), "")


def test_an_unknown_name_gets_near_ones():
    words = refusal("blue")
    assert "no metric is called 'blue'" in words
    assert "did you mean bleu" in words
    assert "capbench list metrics" in refusal("qqqqqq")
    assert "other/bleu" in refusal("other/bleu")


def test_an_unknown_parameter_gets_the_near_one_and_all_there_are():
    words = refusal("clipscore(prefx='x')")
    assert "has no parameter 'prefx'" in words
    assert "did you mean prefix? it takes: encoder, prefix, weight" in words


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("clipscore(encoder=1)", "encoder takes a str, not 1"),
        ("clipscore(weight='2')", "weight takes a float, not '2'"),
        ("clipscore(weight=True)", "weight takes a float, not True"),
        ("clipscore(prefix=None)", "prefix takes a str, not None"),
    ],
)
def test_a_parameter_of_another_type_is_refused(spec, words):
    assert words in refusal(spec)


def test_a_whole_number_may_stand_for_a_float_and_becomes_one(file):
    metric = plugins.load("metrics", "clipscore(weight=2)").value
    assert (metric, type(metric.weight)) == (ClipScore(weight=2.0), float)
    # annotations that are types, as in a file without the __future__ import, count the same
    assert repr(plugins.load("metrics", f"{file}:Part(weight=2)").value.weight) == "2.0"
    assert "size takes a int, not True" in refusal(f"{file}:Part(size=True)")
    assert "loud takes a bool, not 1" in refusal(f"{file}:Part(loud=1)")


def test_a_missing_parameter_is_named():
    assert "lacks path" in refusal("file()", "captioners")
    assert "write file(path=...)" in refusal("file", "captioners")


def test_a_file_plugin_carries_the_digest_of_its_file(file):
    loaded = plugins.load("metrics", f"{file}:Part(word='b')")
    assert loaded.value.word == "b"
    assert loaded.origin == "src:" + hashlib.blake2b(file.read_bytes(), digest_size=6).hexdigest()


def test_an_edited_file_is_imported_again_even_within_a_second(file, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before, first = plugins.file_module(file)
    times = file.stat()
    file.write_text(FILE.replace("MARK = 1", "MARK = 2"))  # as long as before
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    after, second = plugins.file_module(file)
    assert (before.MARK, after.MARK) == (1, 2)
    assert first != second
    assert plugins.file_module(file)[0] is after


def test_a_broken_file_says_how_it_fails_and_leaves_nothing(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module_at_all\n")
    before = set(sys.modules)
    assert "ModuleNotFoundError: No module named 'no_such_module_at_all'" in refusal(f"{broken}:X")
    assert set(sys.modules) == before
    broken.write_text("def (:\n")
    assert "SyntaxError" in refusal(f"{broken}:X")
    broken.write_bytes(b"x = '\xff'\n")
    assert "SyntaxError" in refusal(f"{broken}:X")


def test_what_a_file_does_not_have_is_said(file, tmp_path):
    assert "did you mean Part" in refusal(f"{file}:Prt")
    assert "there is no file" in refusal(f"{tmp_path}/nothing.py:X")
    assert "fails to import" in refusal("no_such_package.mod:X")


def test_ready_values_and_plain_classes(file):
    assert plugins.load("metrics", f"{file}:READY").value == 42
    assert "takes no parameters" in refusal(f"{file}:READY(a=1)")
    assert plugins.load("metrics", f"{file}:Plain(width=7)").value.width == 7
    assert "TypeError" in refusal(f"{file}:Plain(height=7)")


@dataclass
class Dist:
    name: str
    version: str = "1.2"


def entries(monkeypatch, *pairs):
    made = [EntryPoint("twin", value, "capbench.metrics")._for(Dist(name)) for name, value in pairs]
    monkeypatch.setattr(plugins, "entry_points", lambda group: made if group == "capbench.metrics" else [])


def test_one_name_of_two_packages_needs_the_package(monkeypatch):
    monkeypatch.delenv("CAPBENCH_PLUGINS", raising=False)
    entries(monkeypatch, ("one", "capbench.metrics.bleu:Bleu"), ("two", "capbench.metrics.clipscore:ClipScore"))
    words = refusal("twin")
    assert "'twin' comes from one and two" in words
    assert "write one/twin" in words
    assert plugins.load("metrics", "two/twin(weight=1.5)") == (ClipScore(weight=1.5), "by:two@1.2")


def test_the_same_entry_seen_twice_is_one(monkeypatch):
    monkeypatch.delenv("CAPBENCH_PLUGINS", raising=False)
    entries(monkeypatch, ("one", "capbench.metrics.bleu:Bleu"), ("one", "capbench.metrics.bleu:Bleu"))
    assert plugins.load("metrics", "twin") == (Bleu(), "by:one@1.2")


def test_others_parts_can_be_left_out(monkeypatch):
    entries(monkeypatch, ("one", "capbench.metrics.bleu:Bleu"), ("capbench", "capbench.metrics.clipscore:ClipScore"))
    monkeypatch.setenv("CAPBENCH_PLUGINS", "off")
    assert [plugins.distribution(e) for e in plugins.installed("metrics")["twin"]] == ["capbench"]
    monkeypatch.setenv("CAPBENCH_PLUGINS", "")
    assert len(plugins.installed("metrics")["twin"]) == 2


def test_a_plugin_that_does_not_import_is_named_with_its_package(monkeypatch):
    monkeypatch.delenv("CAPBENCH_PLUGINS", raising=False)
    entries(monkeypatch, ("one", "no_such_package:X"))
    assert "the plugin 'twin' of one (no_such_package:X) fails to import: ModuleNotFoundError" in refusal("twin")


@pytest.mark.parametrize("group", ["metrics", "captioners", "backends", "datasets"])
def test_each_part_of_our_own_says_what_it_is(group):
    lines = catalogue.names(group)
    assert lines
    assert not [line["name"] for line in lines if line["about"] in {"", "missing from this installation"}]
