"""Files become dataclasses strictly: every difference is an error that says where it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from capbench import codec
from capbench.errors import BadData


@dataclass(frozen=True)
class Inner:
    use: str
    weight: float = 1.0
    on: bool = False


@dataclass(frozen=True)
class Outer:
    name: str
    count: int
    inner: Sequence[Inner] = ()
    named: Mapping[str, Inner] = field(default_factory=dict)


def faults(value, kind=Outer):
    with pytest.raises(BadData) as caught:
        codec.structure(value, kind, "in.json")
    assert all(fault.where == "in.json" for fault in caught.value.faults)
    return [fault.what for fault in caught.value.faults]


def test_what_fits_is_read():
    made = codec.structure(
        {"name": "a", "count": 2, "inner": [{"use": "x", "weight": 3}], "named": {"k": {"use": "y", "on": True}}},
        Outer,
        "in.json",
    )
    assert made.name == "a"
    assert list(made.inner) == [Inner("x", 3.0)]
    assert made.named == {"k": Inner("y", 1.0, True)}
    assert isinstance(made.inner[0].weight, float)


@pytest.mark.parametrize(
    ("value", "what", "where"),
    [
        ({"name": "a", "count": 1, "inner": [{"use": "x"}, {"use": "x", "parms": 1}]}, "parms", "$.inner[1]"),
        ({"name": "a", "count": 1, "named": {"k": {"use": 5}}}, "expected str, got 5", "$.named['k'].use"),
        ({"name": "a", "count": "1"}, "expected int, got '1'", "$.count"),
        ({"name": "a", "count": True}, "expected int, got True", "$.count"),
        ({"name": "a", "count": 1.0}, "expected int, got 1.0", "$.count"),
        ({"name": None, "count": 1}, "expected str, got None", "$.name"),
        ({"name": "a"}, "required field missing", "$.count"),
        ({"name": "a", "count": 1, "inner": [{"use": "x", "on": 1}]}, "expected bool, got 1", "$.inner[0].on"),
        ({"name": "a", "count": 1, "inner": [{"use": "x", "weight": "1"}]}, "expected float", "$.inner[0].weight"),
    ],
)
def test_a_difference_is_said_with_its_path(value, what, where):
    (found,) = faults(value)
    assert what in found
    assert found.endswith(f"@ {where}")


def test_all_differences_are_said_together():
    found = faults({"name": 1, "counts": 2})
    assert len(found) == 3
    assert any("counts" in line for line in found)
    assert any(line.endswith("$.name") for line in found)
    assert any(line.endswith("$.count") for line in found)


@pytest.mark.parametrize("value", [None, 5, "abc", [1], [[{}]], True])
def test_what_is_no_object_is_refused_in_words(value):
    assert faults(value)[0].endswith("@ $")
    assert faults({"name": "a", "count": 1, "inner": [value]})[0].endswith("@ $.inner[0]")


def test_files_that_are_not_of_their_kind_are_named(tmp_path):
    path = tmp_path / "x"
    path.write_text("{")
    for read, kind in ((codec.read_json, "JSON"), (codec.read_toml, "TOML")):
        with pytest.raises(BadData, match=f"x is not {kind}"):
            read(path, Outer)
    path.write_bytes(b"\xff")
    for read, kind in ((codec.read_json, "JSON"), (codec.read_toml, "TOML")):
        with pytest.raises(BadData, match=f"x is not {kind}"):
            read(path, Outer)


def test_json_and_toml_are_read_alike(tmp_path):
    (tmp_path / "a.toml").write_text("name = 'a'\ncount = 1\n[[inner]]\nuse = 'x'\n")
    (tmp_path / "a.json").write_text('{"name": "a", "count": 1, "inner": [{"use": "x"}]}')
    assert codec.read_toml(tmp_path / "a.toml", Outer) == codec.read_json(tmp_path / "a.json", Outer)


def test_json_is_sorted_utf8_and_without_nan():
    assert codec.to_json({"b": "é", "a": Inner("x")}, indent=None) == (
        '{"a": {"on": false, "use": "x", "weight": 1.0}, "b": "é"}'
    )
    with pytest.raises(ValueError, match="JSON compliant"):
        codec.to_json([float("nan")])


def test_lone_surrogates_survive_json():
    text = codec.to_json(["a\udc80", "\ud83d\ude00"[:1], "\\ud800"])
    assert json.loads(text.encode()) == ["a\udc80", "\ud83d", "\\ud800"]
