"""Captions from files: lined up by id, with every way of not fitting named."""

from __future__ import annotations

import json
import shutil

import pytest

from capbench.captioners.file import File
from capbench.errors import BadData, MissingPart, UsageError
from capbench.needs import Ids
from capbench.types import Failure


@pytest.fixture
def put(tmp_path):
    def put(content, name="system.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)

    return put


def refused(file, ids):
    with pytest.raises(BadData) as caught:
        file.captions(ids)
    return caught.value


def test_captions_are_lined_up_by_id(put):
    file = File(put([{"image_id": 2, "caption": "two"}, {"image_id": 1, "caption": "one"}]))
    assert file.captions(["1", "2"]) == ["one", "two"]
    assert file.captions(["2", "3", "1"]) == ["two", Failure("no caption in system.json"), "one"]
    assert file.needs == {"ids": Ids()}


def test_no_order_of_the_file_matters(put):
    rows = [{"id": i, "caption": f"caption {i}"} for i in range(20)]
    ids = [str(i) for i in range(20)]
    assert File(put(rows)).captions(ids) == File(put(rows[::-1])).captions(ids)


def test_ids_that_the_benchmark_lacks_are_named_unless_ignored(put):
    path = put({"1": "a", "2": "b", "8": "c", "9": "d"})
    error = refused(File(path), ["1", "2"])
    assert [fault.what for fault in error.faults] == [
        "the benchmark has no image '8'",
        "the benchmark has no image '9'",
    ]
    assert "extra='ignore'" in str(error)
    assert File(path, extra="ignore").captions(["1", "2"]) == ["a", "b"]


def test_two_captions_need_a_word(put):
    lists = put({"1": ["a", "b"], "2": ["c", "d"]})
    error = refused(File(lists), ["1", "2"])
    assert len(error.faults) == 2
    assert "--samples 2" in str(error)
    assert File(lists, samples=2).sampled(2, ["2", "1"]) == [["c", "d"], ["a", "b"]]
    assert File(lists, samples=2).captions(["2", "1"]) == ["c", "a"]
    rows = put('{"id": 1, "caption": "a"}\n{"id": 1, "caption": "b"}\n', "rows.jsonl")
    assert "already at" in str(refused(File(rows), ["1"]))
    assert File(rows, samples=2).sampled(2, ["1", "2"]) == [
        ["a", "b"],
        [Failure("no caption in rows.jsonl")] * 2,
    ]
    assert "has 2 caption(s), not 3" in str(refused(File(rows, samples=3), ["1"]))


def test_failures_of_the_system_stay_failures(put):
    path = put(
        '{"id": 1, "text": null, "status": "failed", "reason": "out of memory"}\n{"id": 2, "text": ""}\n{"id": 3, "text": []}'
    )
    assert File(path).captions(["1", "2", "3"]) == [
        Failure("out of memory"),
        "",
        Failure("the list of captions is empty"),
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "guess"),
    [
        ("COCO_val2014_000000000042.jpg", "42", "leading zeros"),
        ("000042", "42", "leading zeros"),
        ("a.jpg", "a", "extension"),
        ("a", "a.png", "extension"),
        ("val/a.jpg", "a.jpg", "folder before"),
        ("C:\\x\\a.jpg", "a.jpg", "folder before"),
        ("images/a.jpg", "a", "folder and the file extension"),
        ("A.jpg", "a.jpg", "upper and lower"),
        (" 42", "42", "white space"),
        ("42.0", "42", "42.0"),
        ("zebra", "42", "another data set"),
    ],
)
def test_when_nothing_matches_the_reason_is_guessed(put, theirs, ours, guess):
    path = put({theirs: "x", theirs + "?": "y"})
    for extra in ("error", "ignore"):
        error = refused(File(path, extra=extra), [ours, "something"])
        assert guess in error.cure
        assert repr(theirs) in error.cure
        assert repr(ours) in error.cure


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(put, tmp_path):
    path = put({"1": "a"})
    (tmp_path / "other").mkdir()
    moved = shutil.copy(path, tmp_path / "other" / "system.json")
    assert File(path).fingerprint() == File(moved, extra="ignore").fingerprint()
    different = {
        File(path),
        File(path, field="x"),
        File(path, samples=2),
        File(path, label="b"),
        File(path, id_field="y"),
    }
    assert len({file.fingerprint() for file in different}) == 5
    before = File(path).fingerprint()
    put({"1": "b"})
    assert File(path).fingerprint() != before
    assert str(tmp_path) not in before


def test_what_is_missing(put, tmp_path):
    assert File(put({"1": "a"})).check() is None
    assert File(str(tmp_path / "no.json")).check() is not None
    with pytest.raises(MissingPart):
        File(str(tmp_path / "no.json")).fingerprint()
    with pytest.raises(MissingPart):
        File(str(tmp_path / "no.json")).captions(["1"])
    for bad in ({"samples": 0}, {"extra": "no"}):
        with pytest.raises(UsageError):
            File("x", **bad)


def test_real_outputs_fit_the_real_data(shared):
    file = File(str(shared / "flickr8k/system_outputs.jsonl.gz"), field="outputs.blip2_zero_shot")
    from capbench.datasets.folder import Folder

    ids = [sample.id for sample in Folder(str(shared / "flickr8k/photos.jsonl.gz")).load()]
    found = file.captions(ids)
    assert sum(isinstance(text, str) for text in found) == 951
    assert found[ids.index("103106960_e8a41d64f8.jpg")] == "a boy kneeling down"
