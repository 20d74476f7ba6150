"""Bags mined from a benchmark: what goes in, what is written, and what the check finds."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from capbench import bag_check, benchmark, images, mining
from capbench.bag_files import read_bags
from capbench.bags import make_bags
from capbench.errors import BadData, CheckFailed, MissingPart, UsageError
from capbench.facts import Facts
from capbench.mining import Recipe, build, mean_text, mine
from capbench.ragged import Ragged, ragged
from capbench.types import ImageRef


@pytest.fixture(scope="module")
def scenes():
    return benchmark.load("scenes(n=70, seed=3)")


def built(folder, scenes, **fields):
    recipe = Recipe(**{"encoder": "scenes", "sizes": (3, 5), **fields})
    return build(scenes, recipe, folder)


def facts(n, digests=None, ids=None):
    refs = tuple(ImageRef(f"{i}.png", (digests or {}).get(i, f"d{i}")) for i in range(n))
    return Facts(tuple(ids or (f"{i:03d}" for i in range(n))), refs, ragged([["x"]] * n), ({},) * n)


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_look_alikes_of_the_drawn_world_are_its_families(scenes, tmp_path):
    built(tmp_path, scenes)
    for size in (3, 5):
        bags = json.loads((tmp_path / f"{size}.json").read_text())
        families = [len({int(id_[-5:]) // 7 for id_ in bag}) for bag in bags]
        assert all(len(bag) == size for bag in bags)
        assert families[0] == 1
        assert families.count(1) >= 5
        members = [id_ for bag in bags for id_ in bag]
        assert len(set(members)) == len(members)


def naive(vectors, images, size, near, least):
    """The recipe as one would write it down, with whole matrices."""
    alike, pictures = vectors @ vectors.T, images @ images.T
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1, kind="stable")
    means = -np.sort(-alike, axis=1)[:, : size - 1].mean(axis=1)
    used, bags = set(), []
    for seed in np.argsort(-means, kind="stable"):
        if seed in used:
            continue
        bag = [int(seed)]
        for other in nearest[seed]:
            if len(bag) < size and other not in used and other != seed and all(pictures[other, m] < near for m in bag):
                bag.append(int(other))
        if len(bag) == size and min(alike[i, j] for i in bag for j in bag if i != j) >= least:
            bags.append(bag)
            used |= set(bag)
    return bags


@pytest.mark.parametrize(("near", "least"), [(2.0, -2.0), (0.98, -2.0), (0.98, 0.55), (0.8, 0.3)])
def test_bags_are_those_of_the_recipe_written_down_plainly(near, least):
    random = np.random.default_rng(4)
    centres = random.normal(size=(12, 20))
    image = unit(centres[random.integers(0, 12, 90)] + 0.3 * random.normal(size=(90, 20)))
    image[40:45] = image[40] + 1e-4 * image[41]
    image = unit(image)
    text = unit(random.normal(size=(90, 9)) + 1)
    vectors = np.hstack([image, text]).astype(np.float64) * 0.5**0.5
    recipe = Recipe(sizes=(2, 3, 5, 7), near=near, least=dict.fromkeys((2, 3, 5, 7), least), pool=89)
    found = mine(facts(90), image, text, recipe).bags
    for size in recipe.sizes:
        assert found[f"{size}.json"] == naive(vectors, image.astype(np.float64), size, near, least)
    assert found["2.json"]


def test_the_same_again_is_the_same_to_the_byte_whatever_the_order_of_the_file(scenes, tmp_path):
    built(tmp_path / "one", scenes, hard=4)
    built(tmp_path / "two", scenes, hard=4)
    samples = tuple(scenes.samples[i] for i in np.random.default_rng(0).permutation(70))
    built(tmp_path / "three", dataclasses.replace(scenes, samples=samples), hard=4)
    for name in ("3.json", "5.json", "hard-4.json", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        ours, other = (json.loads((tmp_path / k / name).read_text()) for k in ("one", "three"))
        assert ours == other


def test_the_manifest_says_what_went_in(scenes, tmp_path):
    made = built(tmp_path, scenes, least={3: 0.5}, near=0.97, limit=4)
    stated = json.loads((tmp_path / "manifest.json").read_text())
    assert stated == json.loads(json.dumps(made))
    assert stated["encoders"] == {"image": "scenes()@1.1", "text": "scenes()@1.1"}
    assert stated["benchmark"] == {"name": "scenes", "version": 1, "items": 70}
    assert (stated["recipe"]["least"], stated["recipe"]["near"], stated["recipe"]["limit"]) == ({"3": 0.5}, 0.97, 4)
    assert stated["files"]["3.json"]["bags"] == 4
    assert stated["files"]["3.json"]["least"] >= 0.5
    members = {m for name in ("3.json", "5.json") for bag in json.loads((tmp_path / name).read_text()) for m in bag}
    digests = {s.id: s.image.digest for s in scenes.samples}
    assert stated["pictures"] == {m: digests[m] for m in members}
    bags = make_bags("x", f"file(path={str(tmp_path / '3.json')!r})", [s.id for s in scenes.samples])
    assert bags.digest == stated["files"]["3.json"]["members"]


def test_hard_galleries_have_one_target_each(scenes, tmp_path):
    built(tmp_path, scenes, hard=6)
    bags = read_bags(str(tmp_path / "hard-6.json"), [s.id for s in scenes.samples])
    assert [bag.targets for bag in bags] == [bag.members[:1] for bag in bags]
    assert sorted(bag.members[0] for bag in bags) == [s.id for s in scenes.samples]
    assert all(len(set(bag.members)) == 6 for bag in bags)


def test_similarity_is_the_mean_of_pictures_and_texts():
    # pictures say 0-1 and 2-3 are alike, texts say 0-2 and 1-3, a little less
    image = unit([[1, 0.1], [1, 0], [0, 1], [0.1, 1]])
    text = unit([[1, 0, 0.6], [0, 1, 0.6], [1, 0, -0.6], [0, 1, -0.6]])
    two = Recipe(sizes=(2,), near=1.0)
    assert mine(facts(4), image, text, two).bags["2.json"] == [[0, 1], [2, 3]]
    assert mine(facts(4), image, None, two).bags["2.json"] == [[0, 1], [2, 3]]
    assert mine(facts(4), None, text, two).bags["2.json"] == [[0, 2], [1, 3]]
    low, mean = mine(facts(4), image, text, two).alike["2.json"]
    by_hand = [(float(image[a] @ image[b]) + float(text[a] @ text[b])) / 2 for a, b in ((0, 1), (2, 3))]
    assert (low, mean) == (pytest.approx(min(by_hand), abs=1e-6), pytest.approx(np.mean(by_hand), abs=1e-6))


def test_ties_fall_to_the_smaller_id():
    image = unit([[1, 0]] * 5)
    ids = ["e", "d", "c", "b", "a"]
    found = mine(facts(5, ids=ids), image, None, Recipe(by="image", sizes=(2,), near=2.0)).bags["2.json"]
    assert [[ids[i] for i in bag] for bag in found] == [["a", "b"], ["c", "d"]]


def test_the_same_picture_and_pictures_without_vector_are_in_no_bag():
    image = unit([[1, 0], [1, 0.01], [1, 0.02], [1, 0.3], [1, 0.31]])
    image[3] = np.nan
    found = mine(facts(5, {2: "d0"}), image, None, Recipe(by="image", sizes=(2, 3), near=2.0))
    assert found.bags == {"2.json": [[0, 1]], "3.json": [[1, 0, 4]]}
    assert found.left_out == {"without a vector": 1, "the same picture again": 1}
    near = mine(facts(5), image, None, Recipe(by="image", sizes=(2,), near=0.98))
    assert near.bags["2.json"] == [[1, 4]]  # 0, 1 and 2 are near-duplicates of one another


def test_the_mean_of_texts_leaves_out_what_has_no_vector():
    text = Ragged(np.float32([[1, 0], [0, 1], [np.nan, 0], [0, 1], [1, 0], [-1, 0]]), np.array([0, 2, 4, 4, 6]))
    found = mean_text(text)
    assert found[0] == pytest.approx([0.5**0.5] * 2)
    assert found[1].tolist() == [0, 1]
    assert np.isnan(found[2:]).all()  # no text; texts that cancel out


def test_ids_that_are_numbers_are_written_as_numbers(scenes, tmp_path):
    numbered = tuple(dataclasses.replace(s, id=str(100 + i)) for i, s in enumerate(scenes.samples[:14]))
    built(tmp_path, dataclasses.replace(scenes, samples=numbered))
    bags = json.loads((tmp_path / "3.json").read_text())
    assert all(isinstance(member, int) for bag in bags for member in bag)
    assert read_bags(str(tmp_path / "3.json"), [s.id for s in numbered])[0].members == tuple(map(str, bags[0]))
    zeros = tuple(dataclasses.replace(s, id=f"0{s.id}") for s in numbered)
    built(tmp_path, dataclasses.replace(scenes, samples=zeros))
    assert all(isinstance(m, str) for bag in json.loads((tmp_path / "3.json").read_text()) for m in bag)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"by": "sound"}, UsageError, "one of both, image, text, not 'sound'"),
        ({"sizes": (1,)}, UsageError, "two pictures or more, not 1"),
        ({"hard": 1}, UsageError, "two pictures or more, not 1"),
        ({"least": {9: 0.5}}, UsageError, "no bags of 9 are asked for"),
        ({"least": {3: 1.5, 5: 1.5}}, UsageError, "no bag comes out of 70 images"),
        ({"sizes": (71,)}, UsageError, "no bag comes out of 70 images"),
        ({"encoder": "clipp"}, MissingPart, "no backend is called 'clipp'"),
        ({"text_encoder": "ptb"}, MissingPart, "'ptb' is a tokenizer, and an encoder is needed"),
    ],
)
def test_what_cannot_be_mined_is_said(scenes, tmp_path, fields, error, words):
    with pytest.raises(error) as caught:
        built(tmp_path, scenes, **fields)
    assert words in str(caught.value)
    assert not (tmp_path / "manifest.json").exists()


def test_without_pictures_there_is_nothing_to_mine(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"id": "a", "caption": "x"}\n{"id": "b", "caption": "y"}\n')
    bench = benchmark.load(f"folder(captions={str(tmp_path / 'c.jsonl')!r})")
    for by in ("text", "image"):
        with pytest.raises(MissingPart, match="needs pictures"):
            built(tmp_path / "out", bench, by=by, sizes=(2,))


@pytest.fixture
def bags(scenes, tmp_path):
    built(tmp_path / "bags", scenes, hard=4)
    return tmp_path / "bags"


def test_bags_as_they_were_built_pass(bags, scenes):
    lines = bag_check.check(bags, scenes)
    assert [line.rpartition(", ")[2] for line in lines] == ["as the manifest says"] * 3
    assert bag_check.check(bags / "3.json", scenes) == lines[:1]


def change(path, edit):
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("3.json", lambda bags: bags.append(bags.pop(0)), ["its bytes have changed", "its members are not those"]),
        ("3.json", lambda bags: bags[0].pop(), ["its members are not those", "1 bags are not of 3: bag-0000"]),
        ("3.json", lambda bags: bags.append(bags[0]), ["3 pictures are in more than one bag"]),
        ("hard-4.json", lambda bags: bags[0].update(targets=bags[0]["members"][1:2]), ["its members are not those"]),
        ("manifest.json", lambda m: m["pictures"].update({"scene-00003": "0"}), ["are not the files that they were"]),
        ("manifest.json", lambda m: m.update(data="0"), ["ids, pictures or references are not those"]),
        (
            "manifest.json",
            lambda m: m["files"].update({"9.json": m["files"]["3.json"]}),
            ["9.json: the manifest names"],
        ),
    ],
)
def test_bags_that_have_changed_do_not_pass(bags, scenes, name, edit, words):
    change(bags / name, edit)
    with pytest.raises(CheckFailed) as caught:
        bag_check.check(bags, scenes)
    assert all(word in str(caught.value) for word in words)


def test_bytes_alone_are_enough_to_fail(bags, scenes):
    (bags / "5.json").write_text((bags / "5.json").read_text() + "\n")
    with pytest.raises(CheckFailed, match=r"5\.json: its bytes have changed") as caught:
        bag_check.check(bags, scenes)
    assert "members" not in str(caught.value)


def test_another_picture_under_an_id_does_not_pass(bags, scenes, tmp_path):
    first, second = scenes.samples[:2]
    shutil.copy(second.image.path, tmp_path / "x.png")
    swapped = dataclasses.replace(first, image=images.reference(tmp_path / "x.png"))
    with pytest.raises(CheckFailed, match="1 pictures are not the files that they were: scene-00000"):
        bag_check.check(bags, dataclasses.replace(scenes, samples=(swapped, *scenes.samples[1:])))
    gone = dataclasses.replace(first, image=images.reference(tmp_path / "absent.png"))
    with pytest.raises(CheckFailed, match="1 pictures cannot be read: scene-00000"):
        bag_check.check(bags, dataclasses.replace(scenes, samples=(gone, *scenes.samples[1:])))


def test_other_references_do_not_pass(bags, scenes):
    first = dataclasses.replace(scenes.samples[0], references=("something else",))
    with pytest.raises(CheckFailed, match="references are not those that the bags were mined from"):
        bag_check.check(bags, dataclasses.replace(scenes, samples=(first, *scenes.samples[1:])))


def test_a_file_without_a_manifest_is_checked_for_its_members(scenes, tmp_path):
    (tmp_path / "b.json").write_text('[["scene-00000", "scene-00001"]]')
    assert bag_check.check(tmp_path / "b.json", scenes)[0].endswith("no manifest names it: members only")
    (tmp_path / "b.json").write_text('[["scene-00000", "scene-99999"]]')
    with pytest.raises(BadData, match="no image scene-99999"):
        bag_check.check(tmp_path / "b.json", scenes)
    with pytest.raises(MissingPart, match=r"has no manifest\.json"):
        bag_check.check(tmp_path, scenes)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"files": 3, "pictures": {}}', '{"files": {"a": {}}, "pictures": {}}']
)
def test_a_damaged_manifest_is_bad_data(bags, scenes, text):
    (bags / "manifest.json").write_text(text)
    with pytest.raises(BadData, match=r"manifest\.json (cannot be read|is not a manifest)"):
        bag_check.check(bags, scenes)


def test_the_first_items_alone_are_checked_as_the_first_items(scenes, tmp_path):
    build(scenes, Recipe(encoder="scenes", sizes=(3,)), tmp_path, limit=35)
    assert len(bag_check.check(tmp_path, scenes)) == 1
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == mining.FORMAT
