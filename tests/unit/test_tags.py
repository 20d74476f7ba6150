"""What items are grouped by: read from any column, kept with the run, refused when it cannot be."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capbench import store
from capbench.datasets.coco import Coco
from capbench.datasets.folder import Folder
from capbench.errors import BadData, UsageError
from capbench.records import read

COCO = {
    "images": [
        {"id": 3, "file_name": "3.jpg", "domain": "in-domain", "night": True, "stars": 4},
        {"id": 1, "file_name": "1.jpg", "domain": "out-domain", "night": False, "stars": 2.5},
        {"id": 2, "file_name": "2.jpg", "domain": None},
    ],
    "annotations": [
        {"id": 1, "image_id": 1, "caption": "one", "bad": False, "canned": False},
        {"id": 2, "image_id": 3, "caption": "three", "bad": False, "canned": False},
        {"id": 3, "image_id": 3, "caption": "spam", "bad": True, "canned": False},
        {"id": 4, "image_id": 2, "caption": "quality issues", "bad": False, "canned": True},
    ],
}


def put(tmp_path, content, name="refs.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def tags(samples):
    return {sample.id: dict(sample.tags) for sample in samples}


def test_tags_of_images_as_json_writes_them(tmp_path):
    samples = Coco(put(tmp_path, COCO), tags="domain, night,stars").load()
    assert tags(samples) == {
        "3": {"domain": "in-domain", "night": "true", "stars": "4"},
        "1": {"domain": "out-domain", "night": "false", "stars": "2.5"},
        "2": {},
    }


def test_flagged_captions_are_no_references_and_take_their_image_along(tmp_path):
    path = put(tmp_path, COCO)
    assert {s.id: s.references for s in Coco(path, without="bad").load()} == {
        "3": ("three",),
        "1": ("one",),
        "2": ("quality issues",),
    }
    assert {s.id: s.references for s in Coco(path, without="bad, canned").load()} == {"3": ("three",), "1": ("one",)}


def test_an_image_without_any_caption_is_still_a_fault(tmp_path):
    images = [*COCO["images"], {"id": 9}]
    with pytest.raises(BadData, match="image 9 has no references"):
        Coco(put(tmp_path, {**COCO, "images": images}), without="canned").load()


def test_a_list_of_test_images_needs_no_flags(tmp_path):
    samples = Coco(put(tmp_path, {"images": COCO["images"]}), without="bad", tags="domain").load()
    assert [(s.id, s.references) for s in samples] == [("3", ()), ("1", ()), ("2", ())]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tags": "domian"}, "no tag 'domian'\n  -> did you mean domain"),
        ({"tags": "hue"}, "file_name, domain, night, stars"),
        ({"without": "bad, rejected"}, "no annotation of .* has rejected"),
    ],
)
def test_an_unknown_tag_or_flag_is_refused_with_those_there_are(tmp_path, parameters, message):
    with pytest.raises(UsageError, match=message):
        Coco(put(tmp_path, COCO), **parameters).load()


def test_a_tag_that_is_a_list_and_a_flag_that_is_a_text_are_faults(tmp_path):
    with pytest.raises(BadData, match=r"images\[0\]: the tag 'k' is a list"):
        Coco(put(tmp_path, {"images": [{"id": 1, "k": [1]}, {"id": 2, "k": 1}]}), tags="k").load()
    notes = [{"id": 1, "image_id": 1, "caption": "x", "bad": "no"}]
    with pytest.raises(BadData, match=r"annotations\[0\]: bad is neither true nor false: 'no'"):
        Coco(put(tmp_path, {"images": [{"id": 1}], "annotations": notes}), without="bad").load()


@pytest.mark.parametrize(
    "content",
    [
        '{"id": "a", "caption": "x", "meta": {"kind": "p"}}\n{"id": "b", "caption": "y", "meta": {"kind": "q"}}\n',
        [{"id": "a", "caption": "x", "meta": {"kind": "p"}}, {"id": "b", "caption": "y", "meta": {"kind": "q"}}],
        {"a": {"caption": "x", "meta": {"kind": "p"}}, "b": {"caption": "y", "meta": {"kind": "q"}}},
        {
            "images": [
                {"filename": "a", "sentences": [{"raw": "x"}], "meta": {"kind": "p"}},
                {"filename": "b", "sentences": [{"raw": "y"}], "meta": {"kind": "q"}},
            ]
        },
        "id,caption,meta.kind\na,x,p\nb,y,q\n",
    ],
    ids=["lines", "list", "mapping", "karpathy", "table"],
)
def test_every_form_gives_dotted_tags(tmp_path, content):
    samples = Folder(put(tmp_path, content), tags="meta.kind").load()
    assert tags(samples) == {"a": {"meta.kind": "p"}, "b": {"meta.kind": "q"}}
    assert [s.references for s in samples] == [("x",), ("y",)]


def test_rows_of_one_picture_agree_in_their_tags(tmp_path):
    rows = "id,caption,kind\na,x,p\nb,y,q\na,z,{}\n"
    assert tags(Folder(put(tmp_path, rows.format("p")), tags="kind").load())["a"] == {"kind": "p"}
    with pytest.raises(
        BadData, match=r"line 4: id 'a' has another picture, split, tag or region here than at .* line 2"
    ):
        Folder(put(tmp_path, rows.format("q")), tags="kind").load()


def test_tags_want_a_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UsageError, match="no file for tags='kind'"):
        Folder(images=str(tmp_path), tags="kind").load()


def test_several_fields_are_several_references(tmp_path):
    rows = [{"id": 1, "a": "x", "b": ["y", "z"], "c": "no"}, {"id": 2, "a": "u", "b": ["v"], "c": "no"}]
    assert [s.references for s in Folder(put(tmp_path, rows), field="a, b").load()] == [("x", "y", "z"), ("u", "v")]
    with pytest.raises(UsageError, match="no field 'd'"):
        Folder(put(tmp_path, rows), field="a,d").load()


def test_a_list_of_pictures_has_no_references(tmp_path):
    rows = {"version": 1, "data": [{"image_id": "a"}, {"image_id": "b"}, {"image_id": "b"}]}
    path = put(tmp_path, rows)
    assert [(s.id, s.references) for s in Folder(path, references=False).load()] == [("a", ()), ("b", ())]
    with pytest.raises(BadData, match="no known text key"):
        Folder(path).load()


def test_parquet_is_read_without_its_pictures(tmp_path):
    table = pa.table(
        {
            "key": ["a", "b"],
            "caption": [["x", "y"], ["z"]],
            "kind": ["p", None],
            "bytes": [b"1", b"2"],
            "image": [{"bytes": b"1", "path": "a.jpg"}, {"bytes": b"2", "path": "b.jpg"}],
        }
    )
    path = tmp_path / "data.bin"  # by content, never by name
    pq.write_table(table, path)
    samples = Folder(str(path), id_field="key", tags="kind").load()
    assert [(s.id, s.references, s.tags) for s in samples] == [("a", ("x", "y"), {"kind": "p"}), ("b", ("z",), {})]
    with pytest.raises(UsageError, match="it has: key, caption"):
        read(path, id_field="bytes")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadData, match="damaged Parquet file"):
        read(path)


HOSTILE = ["", "all", "(none)", "a\nb", "\udc80", "|<b>", "item", "\U0001f600" * 50]


def test_tags_are_kept_with_a_run_whatever_they_are(tmp_path):
    ids = [f"{text}{i}" for i, text in enumerate(HOSTILE)]
    tags = [{text: text, "item": "x"} for text in HOSTILE] + [{}]
    store.write_tags(tmp_path, [*ids, "none"], tags)
    found = store.read_tags(tmp_path, [*ids, "none", "stranger"])
    assert found[-2:] == ({}, {})
    kept = [{store.safe(k): store.safe(v) for k, v in own.items()} for own in tags[:-1]]
    assert list(found[:-2]) == kept
    before = (tmp_path / store.TAGS).stat().st_mtime_ns
    store.write_tags(tmp_path, [*ids, "none"], tags)
    assert (tmp_path / store.TAGS).stat().st_mtime_ns == before
    store.write_tags(tmp_path, ids, [{}] * len(ids))
    assert not (tmp_path / store.TAGS).exists()
    assert store.read_tags(tmp_path, ids) == ()
    (tmp_path / store.TAGS).write_bytes(b"PAR1")
    with pytest.raises(BadData, match=r"cannot read .*tags\.parquet"):
        store.read_tags(tmp_path, ids)
