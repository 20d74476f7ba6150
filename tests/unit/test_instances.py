"""COCO instance files: pictures found by id or name, and everything that can be wrong with a file."""

import gzip
import json

import pytest

from capbench.errors import BadData, MissingPart
from capbench.instances import read_instances

GOOD = {
    "images": [{"id": 42, "file_name": "val2014/COCO_val2014_000000000042.jpg"}, {"id": 7}, {"id": "p9"}],
    "annotations": [
        {"id": 1, "image_id": 42, "category_id": 1, "segmentation": [[1, 2]]},
        {"id": 2, "image_id": 42, "category_id": 18, "iscrowd": 1},
        {"id": 3, "image_id": 42, "category_id": 18},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
}


@pytest.fixture
def write(tmp_path):
    def written(value, name="i.json"):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return str(path)

    return written


@pytest.mark.parametrize(
    "id_",
    ["42", "COCO_val2014_000000000042.jpg", "some/folder/COCO_val2014_000000000042.jpg", "000000000042.jpg",
     "000000000042", "COCO_val2014_000000000042", "val2017\\000000000042.jpg"],
)  # fmt: skip
def test_a_picture_is_found_by_id_and_by_name(write, id_):
    assert read_instances([write(GOOD)]).of(id_) == {"person", "dog"}


def test_a_picture_without_outlines_is_there_and_an_unknown_one_is_not(write):
    found = read_instances([write(GOOD)])
    assert found.of("7") == found.of("p9") == frozenset()
    assert found.of("8") is found.of("dog 42.jpg") is found.of("1.5") is found.of("") is None
    assert found.categories == {"person", "dog"}


def test_several_files_are_one_and_may_be_packed(write, tmp_path):
    other = {**GOOD, "images": [{"id": 42}, {"id": 8}], "annotations": [{"image_id": 42, "category_id": 2}]}
    other["categories"] = [{"id": 2, "name": "bus"}]
    (tmp_path / "o.json.gz").write_bytes(gzip.compress(json.dumps(other).encode()))
    found = read_instances([write(GOOD), str(tmp_path / "o.json.gz")])
    assert found.of("42") == {"person", "dog", "bus"}
    assert found.of("8") == frozenset()


def test_without_a_list_of_images_those_with_outlines_are_known(write):
    found = read_instances([write({k: v for k, v in GOOD.items() if k != "images"})])
    assert found.of("42") == {"person", "dog"}
    assert found.of("7") is None


def test_an_edited_file_is_read_again(write):
    path = write(GOOD)
    assert read_instances([path]).of("8") is None
    write({**GOOD, "images": [*GOOD["images"], {"id": 8}]})
    assert read_instances([path]).of("8") == frozenset()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({**GOOD, "annotations": [{"image_id": 42, "category_id": 5}]}, r"annotations\[0\]: no category has the id 5"),
        ({**GOOD, "annotations": [{"image_id": 1, "category_id": 18}]}, r"annotations\[0\]: no image has the id 1"),
        ({**GOOD, "annotations": [{"category_id": 18}]}, r"no image has the id that it lacks"),
        ({**GOOD, "annotations": [{"image_id": 42}]}, r"no category has the id that it lacks"),
        ({**GOOD, "categories": [{"id": 1}, {"id": 18, "name": "dog"}]}, r"categories\[0\]: no id or no name"),
        ({**GOOD, "images": [{"id": None}]}, r"images\[0\]: no id"),
        ({**GOOD, "images": {}}, "its images are no list of objects"),
        ({"images": [], "annotations": [{"image_id": 1, "caption": "a dog"}]}, "it has no list categories"),
        ([1], "no list categories and no list annotations"),
        ('{"annotations": [', "line 1: cut short"),
        ('{"annotations": [}', "line 1: not JSON: Expecting value"),
        ("[" * 100_000, "nested too deeply"),
        ("", "broken"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_with_its_place(write, value, says):
    path = write(value)
    with pytest.raises(BadData, match=says) as caught:
        read_instances([path])
    assert path in str(caught.value)


def test_every_fault_is_counted(write):
    wrong = [{"image_id": 42, "category_id": 5}] * 30
    with pytest.raises(BadData, match=r"30 fault\(s\)"):
        read_instances([write({**GOOD, "annotations": wrong})])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(MissingPart, match=r"none\.json"):
        read_instances([str(tmp_path / "none.json")])
