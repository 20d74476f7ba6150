"""Bag files in the forms of their authors, and what is said of those that do not fit."""

import gzip
import json

import pytest

from capbench import benchmark
from capbench.bag_files import read_bags
from capbench.bags import make_bags
from capbench.errors import BadData, UsageError
from capbench.types import Bag


def write(tmp_path, value, name="bags.json"):
    path = tmp_path / name
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


def test_truematch_of_coco_ids(tmp_path):
    path = write(tmp_path, [[471601, 556966, 94038], ["293789", 445668, 42]])
    ids = ["42", "94038", "293789", "445668", "471601", "556966", "7"]
    assert read_bags(path, ids) == (
        Bag("bag-0000", ("471601", "556966", "94038")),
        Bag("bag-0001", ("293789", "445668", "42")),
    )
    names = [f"COCO_val2014_{int(i):012d}.jpg" for i in ids]
    assert read_bags(path, names)[0].members == (names[4], names[5], names[1])


def test_d3_pairs_by_path_name_and_number(tmp_path):
    pairs = {
        "0": {"left": "./images/COCO_val2014_000000471601.jpg", "right": "./images/COCO_val2014_000000556966.jpg"},
        "94": {"left": "./images/sa_17451.jpg", "right": "./images/sa_16959.jpg"},
    }
    path = write(tmp_path, pairs)
    names = ["COCO_val2014_000000471601.jpg", "COCO_val2014_000000556966.jpg", "sa_17451.jpg", "sa_16959.jpg"]
    assert read_bags(path, names) == (Bag("0", tuple(names[:2])), Bag("94", tuple(names[2:])))
    assert read_bags(path, ["471601", "556966", "sa_16959", "sa_17451"])[1].members == ("sa_17451", "sa_16959")


def test_imagecode_sets_by_folder_and_number(tmp_path):
    sets = {"MSR-VTT-1": {"0": "first", "10": "last", "2": "third"}, "open-images-2": {"1": "second"}}
    path = write(tmp_path, sets)
    ids = [f"{s}/img{k}.jpg" for s in ("open-images-2", "MSR-VTT-1") for k in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)]
    video, static = read_bags(path, ids)
    assert video.members == tuple(f"MSR-VTT-1/img{k}.jpg" for k in range(11))
    assert video.targets == ("MSR-VTT-1/img0.jpg", "MSR-VTT-1/img10.jpg", "MSR-VTT-1/img2.jpg")
    assert static.targets == ("open-images-2/img1.jpg",)
    with pytest.raises(BadData, match=r"open-images-2: no image open-images-2/\*"):
        read_bags(path, ids[11:])
    assert [bag.id for bag in read_bags(path, ids[11:], skip=True)] == ["MSR-VTT-1"]


@pytest.mark.parametrize("name", ["bags.jsonl", "bags.jsonl.gz", "bags.json"])
def test_records_with_members_and_targets(tmp_path, name):
    records = [{"bag": "x", "images": ["a", "b", "c"]}, {"id": 7, "members": ["c", "a"], "targets": ["a"]}]
    text = json.dumps(records) if name == "bags.json" else "\n".join(map(json.dumps, records)) + "\n"
    path = write(tmp_path, text, name)
    assert read_bags(path, "abc") == (Bag("x", ("a", "b", "c")), Bag("7", ("c", "a"), ("a",)))
    assert read_bags(path, "abc", 2) == (Bag("x", ("a", "b")), Bag("7", ("c", "a"), ("a",)))
    assert read_bags(path, "abc", 3) == (Bag("x", ("a", "b", "c")),)
    assert read_bags(path, "ab", 2, skip=True) == ()  # c is not there, so neither bag is whole


def test_one_record_alone(tmp_path):
    assert read_bags(write(tmp_path, {"id": "x", "members": ["a", "b"]}), "ab") == (Bag("x", ("a", "b")),)


def test_bags_that_are_not_whole_are_refused_or_left_out(tmp_path):
    path = write(tmp_path, [["a", "b"], ["a", "z"], ["b", "c"]])
    with pytest.raises(BadData, match="bag-0001: no image z in the benchmark") as caught:
        read_bags(path, "abc")
    assert "missing='skip'" in caught.value.cure
    assert [bag.id for bag in read_bags(path, "abc", skip=True)] == ["bag-0000", "bag-0002"]
    assert make_bags("x", f"file(path={path!r}, missing='skip')", "abc").recipe == "file(missing=skip)"
    with pytest.raises(UsageError, match="'error' or 'skip', not 'never'"):
        make_bags("x", f"file(path={path!r}, missing='never')", "abc")
    with pytest.raises(UsageError, match="size must be at least 2, not 1"):
        make_bags("x", f"file(path={path!r}, size=1)", "abc")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([{"id": "x", "members": ["a", "b"], "targets": ["c"]}], "a target is no member"),
        ([{"id": "x", "members": ["a", "b"]}, {"id": "x", "members": ["b", "c"]}], "2 bags are called 'x'"),
        ([["a", "a.jpg"]], "two or more different ids"),
        ([{"id": "x", "members": "ab"}], "not a list of lists"),
        ([{"id": "x", "members": ["a", 1.5]}], "not a list of lists"),
        ([{"id": "x", "targets": ["a"]}], "not a list of lists"),
        ({"0": {"left": "a", "right": None}}, "not a list of lists"),
        ([["a", True]], "not a list of lists"),
        ([["a", None]], "not a list of lists"),
        ("", "cannot read bags"),
        ("[" * 100_000, "cannot read bags"),
        ('{"id": "x", "members": ["a", "b"]}\n{"id": ', "record 2"),
        ("\ufeff[]x", "cannot read bags"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, value, words):
    with pytest.raises(BadData) as caught:
        read_bags(write(tmp_path, value), ["a", "b", "c"])
    assert words in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"\x1f\x8bnot gzip")
    (tmp_path / "y").write_bytes(b"\xff\xfe[]")
    for name in ("x", "y", "absent"):
        with pytest.raises(BadData, match="cannot read bags"):
            read_bags(str(tmp_path / name), "ab")


def test_a_name_that_two_ids_share_means_neither(tmp_path):
    path = write(tmp_path, [["x.jpg", "other"]])
    with pytest.raises(BadData, match=r"no image x\.jpg"):
        read_bags(path, ["one/x.jpg", "two/x.jpg", "other"])
    assert read_bags(path, ["one/x.jpg", "two/x.png", "other"])[0].members == ("one/x.jpg", "other")


def test_a_path_is_looked_for_beside_the_benchmarks_file(tmp_path, monkeypatch):
    folder = tmp_path / "inner"
    folder.mkdir()
    write(folder, [["scene-00000", "scene-00005"]])
    (folder / "b.toml").write_text(
        'name = "b"\nversion = 1\n[dataset]\nuse = "scenes(n=7)"\n[bags.two]\nuse = "file(path=\'bags.json\')"\n'
    )
    monkeypatch.chdir(tmp_path)
    made = benchmark.load("inner/b.toml").bag_sets["two"]
    assert made.bags == (Bag("bag-0000", ("scene-00000", "scene-00005")),)


def test_the_candidates_of_flickr8k(shared):
    path = str(shared / "flickr8k" / "bag_candidates.jsonl.gz")
    rows = [json.loads(line) for line in gzip.open(path, "rt")]
    outputs = gzip.open(shared / "flickr8k" / "system_outputs.jsonl.gz", "rt")
    answered = [json.loads(line)["image"] for line in outputs]
    every = list(dict.fromkeys(image for row in rows for image in row["images"]))
    assert len(read_bags(path, every)) == 140
    five, three = read_bags(path, answered, skip=True), read_bags(path, answered, 3, skip=True)
    assert len(five) == 34
    assert {bag.id for bag in five} == {row["bag"] for row in rows if set(row["images"]) <= set(answered)}
    assert [(bag.id, bag.members[:3]) for bag in five] == [(bag.id, bag.members) for bag in three]
    with pytest.raises(BadData, match="no image"):
        read_bags(path, answered)
