"""Composed retrieval by hand, and GeneCIS's files as benchmark: queries, answers, cut-out objects, bad entries."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from capbench import api, images, plugins
from capbench.datasets.genecis import GeneCis, cut_out
from capbench.errors import BadData, MissingPart, UsageError
from capbench.metrics.composed import ComposedRetrieval
from capbench.ragged import Ragged
from capbench.types import Galleries


def galleries(*bags):
    """Bags of items, the first of each being the query."""
    sizes = [len(bag) for bag in bags]
    return Galleries(
        np.concatenate(bags).astype(np.int64), np.append(0, np.cumsum(sizes)).astype(np.int64),
        np.array([bag[0] for bag in bags]), np.arange(len(bags)),
    )  # fmt: skip


# item 0 is the query; 1 shares what it shows, 2 the condition, 3 something of both, 4 nothing
IMAGE = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0.7, 0.7, 0.1], [0, 0, 1]], np.float32)
IMAGE /= np.linalg.norm(IMAGE, axis=1, keepdims=True)
CONDITION = Ragged(np.array([[0, 1, 0]], np.float32), np.array([0, 1, 1, 1, 1, 1]))


@pytest.mark.parametrize(("weight", "rank"), [(0.5, 1), (0.0, 2), (1.0, 2)])
def test_the_answer_is_what_fits_picture_and_condition(weight, rank):
    # half and half: query (1,1,0)/sqrt2; the answer 3 has .995, 1 and 2 have .707, 4 has 0
    # the condition alone ranks 2 first, the picture alone 1: both would also find the query itself, which is left out
    metric = ComposedRetrieval(query="image", weight=weight)
    rows = metric.rows(IMAGE, IMAGE, CONDITION, galleries([0, 3, 1, 2, 4]))
    assert {name: column.tolist() for name, column in rows.columns.items()} == {
        "r1": [float(rank == 1)], "r2": [1], "r3": [1], "rank": [rank], "chance": [0.25],
    }  # fmt: skip
    assert rows.items.tolist() == [0]


def test_several_queries_have_one_answer_each_and_their_own_words():
    image = np.concatenate([IMAGE, IMAGE[:1]])
    condition = Ragged(np.array([[0, 1, 0], [0, 0, 1]], np.float32), np.array([0, 1, 1, 1, 1, 1, 2]))
    rows = ComposedRetrieval(weight=0.0).rows(image, image, condition, galleries([0, 3, 2, 4], [5, 3, 2, 4]))
    # "second axis" ranks 2 before 3 before 4; "third axis" ranks 4 first, then 3 with .1
    assert rows.columns["rank"].tolist() == [2, 2]
    rows = ComposedRetrieval(weight=0.0).rows(image, image, condition, galleries([0, 2, 3, 4], [5, 4, 2, 3]))
    assert rows.columns["r1"].tolist() == [1, 1]


def test_captions_stand_for_the_picture_and_a_tie_is_a_tie():
    said = np.tile(np.array([0, 0, 1], np.float32), (5, 1))  # the captioner says of everything that it is like item 4
    rows = ComposedRetrieval(query="caption").rows(IMAGE, said, CONDITION, galleries([0, 4, 2, 1]))
    assert rows.columns["rank"].tolist() == [1.5]  # (0,1,1): 4 and 2 are as near
    assert rows.columns["r1"].tolist() == [0.5]


def test_what_has_no_vector_is_unscored_or_no_distractor():
    image = IMAGE.copy()
    image[1] = np.nan
    rows = ComposedRetrieval(query="image", weight=1.0).rows(image, image, CONDITION, galleries([0, 3, 1, 2, 4]))
    assert (rows.columns["rank"].tolist(), rows.columns["chance"].tolist()) == ([1], [1 / 3])
    image[3] = np.nan  # the answer
    rows = ComposedRetrieval(query="image").rows(image, image, CONDITION, galleries([0, 3, 1, 2, 4]))
    assert np.isnan(rows.columns["r1"]).tolist() == [True]
    nothing = Ragged(np.zeros((0, 3), np.float32), np.zeros(6, np.int64))
    rows = ComposedRetrieval().rows(IMAGE, IMAGE, nothing, galleries([0, 3, 1]))
    assert np.isnan(rows.columns["r1"]).tolist() == [True]


def test_other_galleries_and_words_are_refused():
    every = Galleries(np.arange(5), np.array([0, 5]), np.arange(5), np.zeros(5, np.int64))
    with pytest.raises(UsageError, match="one query as its only target"):
        ComposedRetrieval().rows(IMAGE, IMAGE, CONDITION, every)
    stranger = Galleries(np.array([1, 2]), np.array([0, 2]), np.array([0]), np.array([0]))
    with pytest.raises(UsageError, match="no member of its own gallery"):
        ComposedRetrieval().rows(IMAGE, IMAGE, CONDITION, stranger)
    for metric, words in (
        (ComposedRetrieval(query="words"), "image, caption, not 'words'"),
        (ComposedRetrieval(weight=2.0), "from 0 to 1, not 2"),
        (ComposedRetrieval(ties="lucky"), "not 'lucky'"),
    ):
        with pytest.raises(UsageError, match=words):
            _ = metric.needs


@pytest.fixture
def world(tmp_path):
    """Drawn pictures under COCO's names, and templates over them."""
    scenes = plugins.load("datasets", "scenes(n=14)").value.load()
    folder = tmp_path / "val2017"
    folder.mkdir()
    for k, sample in enumerate(scenes):
        (folder / f"{k + 1:012d}.jpg").write_bytes(images.content(sample.image))
    entries = [
        {
            "condition": scenes[answer].references[0],
            "reference": {"val_image_id": 1},
            "target": {"val_image_id": answer + 1},
            "gallery": [{"val_image_id": k + 1} for k in range(1, 7) if k != answer],
        }
        for answer in (1, 2, 3, 4)
    ]
    (tmp_path / "change_object.json").write_text(json.dumps(entries))
    return tmp_path


def test_a_file_of_genecis_is_a_benchmark(world):
    spec = f"genecis(annotations='{world / 'change_object.json'}', images='{world / 'val2017'}')"
    run = api.run(
        "constant", spec, ["composed_retrieval(query='image', weight=0.0)", "composed_retrieval"],
        backends={"clip": "scenes"}, runs=None,
    )  # fmt: skip
    assert list(run.ids[:4]) == ["query-00000", "2", "3", "4"]
    by_text, by_caption = ([s.value for s in run.summaries if s.column == "r1"][k] for k in (0, 1))
    assert by_text == 1  # a whole description finds its picture among the drawn look-alikes
    assert by_caption <= 1
    assert [s.value for s in run.summaries if s.column == "chance"] == pytest.approx([1 / 6, 1 / 6])
    assert {s.n for s in run.summaries} == {4}
    bags = GeneCis(str(world / "change_object.json"), str(world / "val2017")).bag_sets()[0].bags
    assert (bags[1].members[:2], bags[1].targets) == (("query-00001", "3"), ("query-00001",))


def test_an_object_is_cut_out_with_what_is_around_it(tmp_path):
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[40:60, 100:110] = 255
    path = tmp_path / "7.png"
    Image.fromarray(pixels).save(path)
    with Image.open(io.BytesIO(cut_out(images.reference(path), [100, 40, 10, 20]))) as part:
        # left 100 - 7, top 40 - 14; 1.7 times the box from there: 17 x 34, on a black square of 34
        assert part.size == (34, 34)
        found = np.asarray(part)[:, :, 0] > 0
    assert found.sum() == 10 * 20
    assert np.argwhere(found).min(axis=0).tolist() == [14, (34 - 17) // 2 + 7]
    with pytest.raises(images.ImageFault, match="outside"):
        cut_out(images.reference(path), [500, 40, 10, 20])
    box = {"image_id": 7, "instance_bbox": [100, 40, 10, 20]}
    entry = {"condition": "colour", "reference": box, "target": {**box, "instance_bbox": [0, 0, 9, 9]}}
    entry["gallery"] = [{**box, "image_id": 8}]
    (tmp_path / "focus_attribute.json").write_text(json.dumps([entry]))
    query, target, lost = GeneCis(str(tmp_path / "focus_attribute.json"), str(tmp_path)).load()
    assert (query.id, target.id, lost.id) == ("query-00000", "7-0-0-9-9", "8-100-40-10-20")
    assert (query.references, query.tags) == (("colour",), {"role": "query"})
    assert query.image.digest
    assert query.image.digest != target.image.digest
    assert lost.image.digest == ""  # there is no such file: it ends as no distractor


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"condition": " "}, "entry 1: its condition is no text"),
        ({"gallery": []}, "entry 1: its gallery is no list"),
        ({"gallery": [{"val_image_id": 2}, {"val_image_id": 2}]}, "entry 1: a picture stands twice"),
        ({"target": {"id": 2}}, "entry 1: a picture has neither val_image_id nor image_id"),
        ({"target": {"image_id": 2}}, "entry 1: picture 2 has no instance_bbox"),
        ({"reference": None}, "entry 1: a picture has neither"),
    ],
)
def test_bad_entries_are_named(world, change, message):
    path = world / "change_object.json"
    entries = json.loads(path.read_text())
    entries[1] |= change
    path.write_text(json.dumps(entries))
    with pytest.raises(BadData, match=message):
        GeneCis(str(path), str(world / "val2017")).load()


def test_files_that_are_none(world):
    with pytest.raises(MissingPart, match="cannot read"):
        GeneCis(str(world / "gone.json"), str(world / "val2017")).load()
    for text in ("{", "{}", "[]", "[1]"):
        (world / "bad.json").write_text(text)
        with pytest.raises(BadData):
            GeneCis(str(world / "bad.json"), str(world / "val2017")).load()
    (world / "empty").mkdir()
    with pytest.raises(BadData, match="none of the"):
        GeneCis(str(world / "change_object.json"), str(world / "empty")).load()
