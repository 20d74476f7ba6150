"""A signature changes with every field, fingerprint and fact, and with nothing else."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest

from capbench.bags import bag_digest
from capbench.errors import MissingPart
from capbench.facts import Facts
from capbench.metrics.clipscore import ClipScore
from capbench.metrics.retrieval import SelfRetrieval
from capbench.needs import Captions, Images, Vectors
from capbench.ragged import ragged
from capbench.resolve import Bound
from capbench.scoring import Part, signature_of
from capbench.signature import Signature, digest, escape, fingerprint, of_metric
from capbench.types import Bag, BagSet, Column, ImageRef


@dataclass(frozen=True)
class Metric:
    name: ClassVar[str] = "m"
    version: ClassVar[int] = 3
    columns: ClassVar[dict] = {"m": Column("M")}

    text: str = "a"
    number: int = 1
    share: float = 0.5
    flag: bool = False
    encoder: str = "clip"


def text(metric=None, origin="", parts=None, facts=()):
    return of_metric(metric or Metric(), origin, parts or {}, facts).text


def test_it_is_the_fields_in_order_then_facts_origin_and_version():
    found = text(Metric(), "by:dist@1.0", {"clip": "open/ViT@ab:c"}, [("refs", "5"), ("data", "ff")])
    assert found == "m|text:a|number:1|share:0.5|flag:False|encoder:open/ViT@ab%3Ac|refs:5|data:ff|by:dist@1.0|v:3"
    assert text(origin="src:0a1b").endswith("|src:0a1b|v:3")


@pytest.mark.parametrize(
    "change", [{"text": "b"}, {"number": 2}, {"share": 0.25}, {"flag": True}, {"encoder": "other"}]
)
def test_each_field_changes_it(change):
    assert text(replace(Metric(), **change)) != text()


def test_an_alias_gives_way_to_the_fingerprint_and_free_text_does_not():
    assert text(Metric(encoder="clip"), parts={"clip": "F1"}) == text(Metric(encoder="other"), parts={"other": "F1"})
    assert text(parts={"clip": "F1"}) != text(parts={"clip": "F2"})
    assert "text:clip|" in text(Metric(text="clip"), parts={"clip": "F1"})


@dataclass(frozen=True)
class Reads(Metric):
    files: tuple[str, ...] | str = field(default="", metadata={"signed": "content"})
    folder: str = field(default="", metadata={"signed": False})


def test_a_file_is_signed_by_what_it_holds_and_a_folder_not_at_all(tmp_path):
    for name, content in (("a", b"1"), ("copy", b"1"), ("b", b"2")):
        (tmp_path / name).write_bytes(content)
    one, copy, other = (str(tmp_path / name) for name in ("a", "copy", "b"))
    expected = hashlib.blake2b(b"1", digest_size=8).hexdigest()
    assert text(Reads(files=one)).endswith(f"|files:{expected}|v:3")
    assert text(Reads(files=one)) == text(Reads(files=(copy,), folder="elsewhere"))
    assert text(Reads(files=one)) != text(Reads(files=other)) != text(Reads())
    assert text(Reads(files=(one, other))) == text(Reads(files=(other, copy))) != text(Reads(files=one))
    with pytest.raises(MissingPart, match="none"):
        text(Reads(files=str(tmp_path / "none")))


def test_separators_are_escaped():
    assert escape("a|b:c%7C") == "a%7Cb%3Ac%257C"
    assert text(Metric(text="a|number:2", number=1)) != text(Metric(text="a", number=2))
    assert Signature((("name", "x|v:1"), ("v", "1"))).text == "x%7Cv%3A1|v:1"


def test_the_short_form_is_eight_digits_of_blake2b():
    signature = Signature((("name", "m"), ("v", "1")))
    assert signature.text == "m|v:1"
    assert signature.short == hashlib.blake2b(b"m|v:1", digest_size=4).hexdigest()
    assert len(Signature((("name", "\udc80"),)).short) == 8


def test_a_digest_is_blake2b_of_json_lines():
    assert digest(["a", [1, None]]) == hashlib.blake2b(b'"a"\n[1, null]\n', digest_size=8).hexdigest()
    assert digest(["a", "b"]) != digest(["ab"]) != digest([["a", "b"]])


def test_a_fingerprint_holds_the_fields():
    assert fingerprint(ClipScore(weight=1.0)) == "clipscore(encoder='clip',prefix='A photo depicts ',weight=1.0)@1"


def facts(references=(("r",), ("r", "s")), digests=("d0", "d1"), ids=("a", "b"), bags=None):
    images = tuple(ImageRef(f"{i}.png", d) for i, d in zip(ids, digests, strict=True))
    return Facts(ids, images, ragged(references), tuple({} for _ in ids), bags or {})


def signature(metric, given, **bound):
    return signature_of(Part(metric, "", "m"), given, {k: Bound(None, v) for k, v in bound.items()}).text


def test_only_the_facts_that_are_used_stand_in_it():
    clip = ClipScore()
    plain = signature(clip, facts(), clip="F")
    assert "refs:" not in plain
    assert signature(clip, facts(references=(("x",), ("y",))), clip="F") == plain
    assert signature(clip, facts(digests=("d0", "other")), clip="F") != plain
    assert signature(clip, facts(ids=("a", "c")), clip="F") != plain


def test_the_order_of_the_items_is_not_in_it():
    turned = facts(references=(("r", "s"), ("r",)), digests=("d1", "d0"), ids=("b", "a"))
    assert signature(ClipScore(), turned, clip="F") == signature(ClipScore(), facts(), clip="F")


def test_bag_sets_stand_by_their_digest():
    one, two = (BagSet("x", "r", "", (Bag("g", members),)) for members in (("a", "b"), ("b", "a")))
    metric = SelfRetrieval(bags="x")
    first = signature(metric, facts(bags={"x": one}), clip="F")
    assert f"bags:{bag_digest(one.bags)}|encoder:F|" in first
    assert first != signature(metric, facts(bags={"x": two}), clip="F")
    # the same galleries under another name are the same measure
    assert first == signature(SelfRetrieval(bags="y"), facts(bags={"y": one}), clip="F")


@dataclass(frozen=True)
class Hidden:
    """Names its encoder in a field that no rule knows."""

    name: ClassVar[str] = "hidden"
    version: ClassVar[int] = 1
    columns: ClassVar[dict] = {"m": Column("M")}

    scorer: str = "clip"

    @property
    def needs(self):
        return {"image": Vectors(Images(), self.scorer), "text": Vectors(Captions(), self.scorer)}

    def rows(self, image, text):
        return {"m": np.zeros(len(image))}


def test_every_backend_behind_the_needs_is_in_it():
    assert signature(Hidden(), facts(), clip="F1") != signature(Hidden(), facts(), clip="F2")
