"""Data sets on disk: COCO, Karpathy, folders; what is missing, and what is a fault."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from capbench.datasets.build import pictures
from capbench.datasets.coco import Coco
from capbench.datasets.folder import Folder
from capbench.errors import BadData, MissingPart, UsageError
from capbench.images import load
from capbench.records import read


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name in ("a.jpg", "b.png", "sub/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.jpg").write_bytes(b"")
    return folder


def put(tmp_path, content, name="refs.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def test_a_folder_alone_is_a_data_set_without_references(photos):
    samples = Folder(images=str(photos)).load()
    assert [s.id for s in samples] == ["a.jpg", "b.png", "sub/c.jpg"]
    assert all(s.references == () and s.image.digest for s in samples)


def test_metadata_in_the_folder_is_found(photos):
    put(
        photos,
        '{"file_name": "b.png", "text": "a b"}\n{"file_name": "a.jpg", "text": "an a"}\n',
        "metadata.jsonl",
    )
    samples = Folder(images=str(photos)).load()
    assert [(s.id, s.references) for s in samples] == [("b.png", ("a b",)), ("a.jpg", ("an a",))]


def test_pictures_are_found_by_name_then_without_extension(tmp_path, photos):
    Image.new("RGB", (3, 3)).save(photos / "a.jpg.png")
    refs = put(tmp_path, {"a.jpg": "exact", "b": "stem", "c": "stem in a sub-folder", "lost": "none"})
    names = [Path(s.image.path).name for s in Folder(refs, str(photos)).load()]
    assert names == ["a.jpg", "b.png", "c.jpg", "lost"]
    digests = [bool(s.image.digest) for s in Folder(refs, str(photos)).load()]
    assert digests == [True, True, True, False]


def test_a_name_that_fits_two_pictures_is_a_fault(tmp_path, photos):
    Image.new("RGB", (3, 3)).save(photos / "a.png")
    with pytest.raises(BadData, match=r"a\.jpg or a\.png"):
        Folder(put(tmp_path, {"a": "which?"}), str(photos)).load()


def test_the_wrong_folder_is_said_so(tmp_path, photos):
    refs = put(tmp_path, {"x": "1", "y": "2"})
    with pytest.raises(BadData, match=r"none of the 2 pictures.*(\n.*)*a\.jpg"):
        Folder(refs, str(photos)).load()
    with pytest.raises(MissingPart, match="does not exist"):
        Folder(refs, str(tmp_path / "nowhere")).load()
    with pytest.raises(UsageError):
        Folder().load()
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="no pictures"):
        Folder(images=str(tmp_path / "empty")).load()


def test_paths_in_captions_stay_inside_the_folder(tmp_path, photos):
    refs = put(
        tmp_path,
        [
            {"id": 1, "image": "/etc/hostname", "caption": "x"},
            {"id": 2, "image": "../refs.json", "caption": "x"},
            {"id": 3, "image": "a.jpg", "caption": "x"},
        ],
    )
    samples = Folder(refs, str(photos)).load()
    assert [Path(s.image.path).parent for s in samples] == [photos] * 3
    assert [bool(s.image.digest) for s in samples] == [False, False, True]


def test_rows_of_one_picture_are_its_references(tmp_path):
    refs = put(tmp_path, "image,caption\na.jpg,one\nb.jpg,two\na.jpg,three\n", "captions.txt")
    assert [(s.id, s.references, s.image) for s in Folder(refs).load()] == [
        ("a.jpg", ("one", "three"), None),
        ("b.jpg", ("two",), None),
    ]


def test_an_item_without_references_among_others_is_a_fault(tmp_path):
    with pytest.raises(BadData) as caught:
        Folder(put(tmp_path, {"1": ["a"], "2": [], "3": None, "4": ["b", 7]})).load()
    text = str(caught.value)
    assert "image 2 has no references" in text
    assert "image 3: a reference is null" in text
    assert "image 4: a reference is a number (7)" in text
    assert len(caught.value.faults) == 3
    assert [s.references for s in Folder(put(tmp_path, {"1": [], "2": []})).load()] == [(), ()]


def test_ids_choose_and_order(tmp_path):
    refs = put(tmp_path, {"1": "a", "2": "b", "3": "c"})
    assert [s.id for s in Folder(refs, ids=put(tmp_path, "3\n1\n", "ids.txt")).load()] == ["3", "1"]
    with pytest.raises(BadData) as caught:
        Folder(refs, ids=put(tmp_path, "[3, 9, 8]", "ids.json")).load()
    assert len(caught.value.faults) == 2


ANNOTATIONS = {
    "images": [{"id": 2, "file_name": "b.png"}, {"id": 1, "file_name": "a.jpg"}],
    "annotations": [
        {"id": 1, "image_id": 1, "caption": "one"},
        {"id": 2, "image_id": 2, "caption": "two"},
        {"id": 3, "image_id": 1, "caption": "three"},
    ],
}
KARPATHY = {
    "images": [
        {
            "cocoid": 1,
            "filename": "c.jpg",
            "filepath": "sub",
            "split": "test",
            "sentences": [{"raw": "x"}, {"raw": "y"}],
        },
        {
            "cocoid": 2,
            "filename": "a.jpg",
            "filepath": "gone",
            "split": "restval",
            "sentences": [{"raw": "z"}],
        },
    ]
}


def test_coco_annotations(tmp_path, photos):
    samples = Coco(put(tmp_path, ANNOTATIONS), str(photos)).load()
    assert [(s.id, s.references, Path(s.image.path).name) for s in samples] == [
        ("2", ("two",), "b.png"),
        ("1", ("one", "three"), "a.jpg"),
    ]
    with pytest.raises(UsageError, match="no splits"):
        Coco(put(tmp_path, ANNOTATIONS), split="test").load()


def test_karpathy_splits(tmp_path, photos):
    path = put(tmp_path, KARPATHY)
    samples = Coco(path, str(photos)).load()
    assert [(s.id, Path(s.image.path).relative_to(photos).as_posix()) for s in samples] == [
        ("1", "sub/c.jpg"),
        ("2", "a.jpg"),
    ]
    assert [(s.id, s.tags) for s in Coco(path, split="restval").load()] == [("2", {"split": "restval"})]
    with pytest.raises(UsageError, match=r"test \(1\), restval \(1\)"):
        Coco(path, split="tset").load()


def test_coco_pictures_are_found_by_number(tmp_path):
    for name in ("COCO_val2014_000000000042.jpg", "000000000007.jpg"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    refs = put(tmp_path, '{"image_id": 42, "refs": ["x"]}\n{"image_id": 7, "refs": ["y"]}\n', "refs.jsonl")
    assert all(s.image.digest for s in Coco(refs, str(tmp_path)).load())
    assert pictures(tmp_path).find("4") == ()


def test_coco_faults_come_together(tmp_path):
    bad = {
        "images": [{"id": 1}, {"id": 1}, {"id": 3}],
        "annotations": [{"image_id": 9, "caption": "x"}, {"image_id": 1, "caption": "y"}],
    }
    with pytest.raises(BadData) as caught:
        Coco(put(tmp_path, bad)).load()
    assert len(caught.value.faults) == 2


def test_flickr8k_as_it_is(shared, tmp_path):
    with zipfile.ZipFile(shared / "flickr8k/photos_dev-00.zip") as archive:
        archive.extractall(tmp_path)
    photos = str(shared / "flickr8k/photos.jsonl.gz")
    assert len(Folder(photos).load()) == 1500
    dev = put(tmp_path, "\n".join(r.id for r in read(photos, want="references") if r.split == "dev"), "dev.txt")
    samples = Folder(photos, str(tmp_path), ids=dev).load()
    assert len(samples) == 1000
    assert sum(bool(s.image.digest) for s in samples) == 353
    assert {len(s.references) for s in samples} == {5}
    assert load(samples[0].image).size == (224, 224)
    outputs = read(shared / "flickr8k/system_outputs.jsonl.gz", field="outputs.blip2_lora")
    assert len(outputs) == 951
    assert {r.id for r in outputs} <= {s.id for s in samples}


def test_coco_as_it_is(shared):
    samples = Coco(str(shared / "coco/karpathy_test_refs.jsonl.gz")).load()
    assert len(samples) == 5000
    assert sum(len(s.references) for s in samples) == 25010
    assert samples[0].id == "391895"
