"""Files of captions: every form, every fault with its place, nothing moved by unusual characters."""

from __future__ import annotations

import csv
import gzip
import json

import pytest

from capbench.errors import BadData, MissingPart, UsageError
from capbench.records import id_text, read, read_ids
from capbench.types import Failure


@pytest.fixture
def write(tmp_path):
    def write(content, name="captions"):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
        return path

    return write


def texts(path, **options):
    return {record.id: list(record.texts) for record in read(path, **options)}


def faults(path, **options):
    with pytest.raises(BadData) as caught:
        read(path, **options)
    return [str(fault).replace(str(path), "FILE") for fault in caught.value.faults]


EXPECTED = {"1": ["a cat"], "2": ["a dog"]}
TWO = [("1", "a cat"), ("2", "a dog")]


@pytest.mark.parametrize(
    "content",
    [
        [{"image_id": 1, "caption": "a cat"}, {"image_id": 2, "caption": "a dog"}],
        [{"image_id": "1", "caption": "a cat"}, {"image_id": "2", "caption": "a dog"}],
        {"1": "a cat", "2": "a dog"},
        {"1": ["a cat"], "2": ["a dog"]},
        {"1": [{"caption": "a cat"}], "2": [{"caption": "a dog"}]},
        {
            "1": [{"image_id": 1, "id": 7, "caption": "a cat"}],
            "2": [{"image_id": 2, "id": 8, "caption": "a dog"}],
        },
        {"1": {"caption": "a cat", "score": 1}, "2": {"caption": "a dog", "score": 2}},
        {"annotations": [{"image_id": 1, "caption": "a cat"}, {"image_id": 2, "caption": "a dog"}]},
        {"model": "x", "results": [{"id": 1, "prediction": "a cat"}, {"id": 2, "prediction": "a dog"}]},
        '{"id": 1, "text": "a cat"}\n{"id": 2, "text": "a dog"}\n',
        '{"id": 1.0, "text": "a cat"}\r\n\r\n{"id": 2.0, "text": "a dog"}',
        "id,caption\n1,a cat\n2,a dog\n",
        'id,caption\r\n1,"a cat"\r\n2,a dog',
        "id,caption\r1,a cat\r2,a dog\r",
        "image_id\ttitle\n1\ta cat\n2\ta dog\n",
        "id;caption\n1;a cat\n2;a dog\n",
        "image_name| comment\n1|a cat\n2|a dog\n",
        {
            "images": [{"id": 1}, {"id": 2}],
            "annotations": [{"image_id": 2, "caption": "a dog"}, {"image_id": 1, "caption": "a cat"}],
        },
        {
            "images": [
                {"cocoid": 1, "sentences": [{"raw": "a cat"}]},
                {"cocoid": 2, "sentences": [{"raw": "a dog"}]},
            ]
        },
    ],
)
@pytest.mark.parametrize("wrap", ["plain", "gzip", "bom"])
def test_the_form_is_recognised_by_content(write, content, wrap):
    data = (content if isinstance(content, str) else json.dumps(content)).encode()
    data = {"plain": data, "gzip": gzip.compress(data), "bom": b"\xef\xbb\xbf" + data}[wrap]
    assert texts(write(data, "file.txt")) == EXPECTED


def test_a_single_image_with_annotation_ids_is_no_wrapped_list(write):
    assert texts(write({"391895": [{"id": 770337, "caption": "a"}]})) == {"391895": ["a"]}


def test_one_line_of_json_lines_is_not_a_mapping(write):
    assert texts(write('{"id": "a", "caption": "b"}\n')) == {"a": ["b"]}
    assert texts(write('{"image": "a.jpg", "outputs": {"x": "b"}}'), field="outputs.x") == {"a.jpg": ["b"]}
    assert texts(write('{"a": "b"}')) == {"a": ["b"]}


def test_fields_dig_into_objects_and_may_hold_dots(write):
    path = write('{"id": 1, "outputs": {"gpt-4.1": {"v2": "x"}, "b": "y"}}\n{"id": 2, "outputs": {"b": "z"}}')
    found = texts(path, field="outputs.gpt-4.1.v2")
    assert found["1"] == ["x"]
    assert isinstance(found["2"][0], Failure)
    with pytest.raises(UsageError, match=r"did you mean outputs\.b\?"):
        read(path, field="output.b")
    assert any("field='outputs" in fault for fault in faults(path))


def test_what_is_wanted_decides_between_known_keys(write):
    path = write('{"id": 1, "prediction": "p", "references": ["r", "s"]}\n')
    assert texts(path) == {"1": ["p"]}
    assert texts(path, want="references") == {"1": ["r", "s"]}


def test_numbered_columns_are_references(write):
    path = write("file_name,caption_1,caption_2\nx.jpg,a,b\n")
    assert texts(path, want="references") == {"x.jpg": ["a", "b"]}


def test_captions_that_are_no_text_are_failures_and_not_fatal(write):
    path = write(
        '{"id": 1, "caption": null}\n{"id": 2, "caption": 3}\n{"id": 3, "caption": {"a": 1}}\n{"id": 4}\n'
        '{"id": 5, "caption": NaN}\n{"id": 6, "caption": ["x", null]}\n{"id": 7, "caption": ""}\n'
        '{"id": 8, "caption": null, "reason": "out of memory"}\n{"id": 9, "error": "too dark"}\n{"id": 10, "caption": []}'
    )
    found = texts(path)
    assert found["1"] == [Failure("the caption is null, not text")]
    assert found["2"] == [Failure("the caption is a number (3), not text")]
    assert "object" in found["3"][0].reason
    assert "no 'caption'" in found["4"][0].reason
    assert "nan" in found["5"][0].reason
    assert found["6"][0] == "x"
    assert isinstance(found["6"][1], Failure)
    assert found["7"] == [""]
    assert found["8"] == [Failure("out of memory")]
    assert found["9"] == [Failure("too dark")]
    assert found["10"] == []


def test_all_faults_are_reported_together_with_their_lines(write):
    path = write(
        '{"id": 1, "caption": "a"}\n{"caption": "b"}\n[]\n{"id": NaN, "caption": "c"}\n{"id": null, "caption": "d"}\n'
        '{"id": "1", "caption": "e"}\n{"id": "", "caption": "f"}\n{"id": true, "caption": "g"}\nnonsense\n'
        '{"id": 5, "id": 6, "caption": "h"}\n{"id": 9, "caption": "half'
    )
    found = "\n".join(faults(path))
    for line in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11):
        assert f"FILE line {line}: " in found
    assert "1 and '1' are the same id; the other is at FILE line 1" in found
    assert "cut short" in found
    assert "the key 'id' stands twice" in found


def test_repeated_ids_name_both_places(write):
    assert faults(write([{"id": 7, "caption": "a"}, {"id": 7, "caption": "b"}])) == [
        "FILE [1]: id '7' is already at FILE [0] (one entry an image; --samples K if the file has K captions of each)"
    ]
    assert "entry 2: id 'a' is already at FILE entry 1" in faults(write('{"a": "x", "a": "y"}'))[0]
    assert "line 4: id 'a' is already at FILE line 2" in faults(write('id,caption\na,"x\ny"\na,z\n'))[0]


def test_rows_of_one_id_are_joined_only_where_that_is_meant(write):
    path = write("image,caption\nx.jpg,one\ny.jpg,two\nx.jpg,three\n")
    assert len(faults(path)) == 1
    assert texts(path, repeats=True) == {"x.jpg": ["one", "three"], "y.jpg": ["two"]}
    lists = write('{"id": 1, "refs": ["a", "b"]}\n{"id": 1, "refs": ["c", "d"]}')
    assert len(faults(lists, want="references", repeats=True)) == 1


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('[{"id": 1, "caption": "a"},\n{"id": 2, "capt', "line 2"),
        ('[{"id": 1, "caption": "a"},\n{"id": 2, "caption": "b"}\n', "line 3"),
        ('{"1": "a",\n"2": "b', "line 2"),
        ('{\n"1": "a",\n "2"; "b"}', "line 3"),
        ('[{"id": 1, "caption": "a"}]\n\n[]', "line 3"),
        ('{"id": 1, "caption": "a"}\n{"id": 2, "capt', "line 2"),
        ("id,caption\n1,a\n2", "line 3"),
        ('id,caption\n1,a\n2,"never closed\n3,b\n', "line 3"),
        ("id,caption\n1,a, and b\n", "line 2"),
        ("id,caption,id\n1,a,2\n", "line 1"),
        ("[" + "1" * 5000 + "]", "line 1"),
        ("[" * 100_000, "line 1"),
    ],
)
def test_broken_files_name_the_line(write, content, place):
    assert f"FILE {place}" in faults(write(content))[0]


def test_half_a_json_document_is_called_cut_short(write):
    assert "cut short" in faults(write('[{"id": 1, "caption": "a"}, {"id": 2, "caption": "b'))[0]


def test_bytes_that_are_not_utf8_name_offset_and_line(write):
    path = write(b'{"id": 1, "caption": "a"}\n{"id": 2, "caption": "caf\xe9"}\n')
    assert faults(path) == ["FILE line 2: byte 51 (0xe9): invalid continuation byte"]
    with pytest.raises(BadData, match="UTF-16"):
        read(write("id,caption\n1,a\n".encode("utf-16")))


def test_other_kinds_of_file_are_named(write):
    for data, word in (
        (b"PK\x03\x04..", "zip"),
        (b"PAR1..", "Parquet"),
        (gzip.compress(b"[1, 2, 3]" * 99)[:-9], "cut short"),
    ):
        with pytest.raises(BadData, match=word):
            read(write(data))
    with pytest.raises(BadData, match="empty"):
        read(write(b" \n"))
    with pytest.raises(BadData, match="no records"):
        read(write("[]"))
    with pytest.raises(BadData, match="no records"):
        read(write("id,caption\n"))
    with pytest.raises(BadData, match="write id,caption above it"):
        read(write("just some words\nand more\n"))
    with pytest.raises(MissingPart):
        read("no-such-file.json")
    with pytest.raises(MissingPart, match="folder"):
        read(write("x").parent)


def test_coco_faults_are_all_found(write):
    path = write(
        '{"images": [{"id": 1}, {"id": 1}, {"file_name": "x"}, 3], "annotations": ['
        '{"id": 1, "image_id": 1, "caption": "a"}, {"id": 1, "image_id": 1, "caption": "b"},'
        '{"id": 2, "image_id": 9, "caption": "c"}, {"id": 3, "caption": "d"}]}'
    )
    found = faults(path)
    assert len(found) == 6
    assert any("images[1]: image id 1 is already at FILE images[0]" in fault for fault in found)
    assert any("annotations[1]: annotation id 1 is already" in fault for fault in found)
    assert any("annotations[2]: it belongs to image 9" in fault for fault in found)


def test_karpathy_carries_split_and_folder(write):
    path = write(
        {
            "images": [
                {
                    "filename": "x.jpg",
                    "filepath": "val2014",
                    "imgid": 0,
                    "split": "test",
                    "sentences": [{"raw": "a", "tokens": ["a"]}],
                }
            ]
        }
    )
    (record,) = read(path, want="references")
    assert (record.id, record.image, record.split, record.texts) == ("x.jpg", "val2014/x.jpg", "test", ("a",))
    assert read(path, id_field="imgid")[0].id == "0"


HOSTILE = "a\rb\r\nc\vd\fe\x1cf\x85g\u2028h\u2029i\x00j\td,;|\"'k\u00e9\U0001f600\ud800 "


def test_unusual_characters_move_nothing(write):
    rows = [("1", HOSTILE), ("2", "a dog")]
    assert texts(write("".join(json.dumps({"id": i, "caption": t}) + "\n" for i, t in rows)))["1"] == [HOSTILE]
    bare = HOSTILE.replace("\ud800", "")
    raw = write(
        "".join(json.dumps({"id": i, "caption": t.replace("\ud800", "")}, ensure_ascii=False) + "\n" for i, t in rows)
    )
    assert texts(raw) == {"1": [bare], "2": ["a dog"]}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_lone_carriage_return_in_csv_is_text(tmp_path, end):
    path = tmp_path / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator=end)
        writer.writerows([("id", "caption"), ("1", "a\rb"), ("2", 'a, "dog"\r\nand\n'), ("3", "end")])
    assert texts(path) == {"1": ["a\rb"], "2": ['a, "dog"\r\nand\n'], "3": ["end"]}


def test_a_caption_of_a_megabyte_in_any_form(write):
    limit = csv.field_size_limit()
    long = "word " * 200_000
    assert texts(write(f"id,caption\n1,{long}\n")) == {"1": [long]}
    assert texts(write([{"id": 1, "caption": long}])) == {"1": [long]}
    assert csv.field_size_limit() == limit


def test_ids_become_text():
    assert [id_text(value) for value in (1, 1.0, "1", "01", 1.5, 10**30)] == [
        "1",
        "1",
        "1",
        "01",
        "1.5",
        str(10**30),
    ]
    for bad in (None, True, float("nan"), float("inf"), "", " ", [], {}):
        with pytest.raises(ValueError):
            id_text(bad)


@pytest.mark.parametrize(
    "content",
    ["3\n1\r\n\n2", "[3, 1, 2]", '["3", "1", "2"]', '{"test": [3, 1, 2]}', '{"id": 3}\n{"id": 1}\n{"id": 2}', "image_id\n3\n1\n2\n",
     "caption,id\nx,3\ny,1\nz,2\n", '{"3": "x", "1": "y", "2": "z"}'],
)  # fmt: skip
def test_lists_of_ids_keep_their_order(write, content):
    assert [record.id for record in read_ids(write(content))] == ["3", "1", "2"]


def test_lists_of_ids_have_no_id_twice(write):
    with pytest.raises(BadData, match="line 3"):
        read_ids(write("1\n2\n1\n"))


@pytest.mark.parametrize(
    ("name", "options", "items", "total"),
    [
        ("flickr8k/photos.jsonl.gz", {"want": "references"}, 1500, 7500),
        ("flickr8k/system_outputs.jsonl.gz", {"field": "outputs.blip2_lora"}, 951, 951),
        ("flickr8k/captions_train.jsonl.gz", {"want": "references"}, 6091, 30455),
        ("coco/karpathy_test_refs.jsonl.gz", {"want": "references"}, 5000, 25010),
        ("coco/karpathy_val_refs.jsonl.gz", {"want": "references"}, 5000, 25010),
        ("coco/system_outputs_karpathy_test.jsonl.gz", {"field": "outputs.Vinyals-et-al-2017"}, 5000, 5000),
        ("conformance/coco_fakecap/captions_val2014_fakecap_results.json", {}, 1000, 1000),
        ("conformance/clipscore/refs.json", {"want": "references"}, 2, 6),
        ("conformance/pacscore/refs.json", {"want": "references"}, 2, 10),
        ("conformance/pacscore/good_captions.json", {}, 2, 2),
        ("conformance/spice/example_input.json", {"want": "references"}, 2, 8),
        ("conformance/spice/example_input.json", {"field": "test"}, 2, 2),
    ],
)
def test_real_files_are_read_whole(shared, name, options, items, total):
    records = read(shared / name, **options)
    assert len(records) == items
    assert sum(len(record.texts) for record in records) == total
    assert all(isinstance(text, str) for record in records for text in record.texts)
