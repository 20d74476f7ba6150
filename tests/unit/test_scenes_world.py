"""The drawn world: the same everywhere, families of look-alikes, pictures that can be read back."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from capbench.bags import bag_digest
from capbench.datasets.scenes import Scenes, keep
from capbench.errors import BadData, UsageError
from capbench.images import digest, load
from capbench.paths import cache_root
from capbench.scenes.draw import MASKS, PALETTE, SIDE, NotAScene, draw, png, render, see
from capbench.scenes.meaning import of_scene, statements
from capbench.scenes.reading import read
from capbench.scenes.world import (
    CENTRE,
    COLOURS,
    ELEMENTS,
    SHAPES,
    SIZES,
    Draws,
    Relation,
    Scene,
    Thing,
    differences,
    family,
    make,
    member,
    scene,
)

# Regression: made by this code, so that a change of the pictures cannot go unnoticed (raise VERSION with it).
FIRST_PICTURES = "5df99d4f66c765563e2ec68e6c02913e"
FIRST_REFERENCES = "1310b0c80a23ca15ae876f79b0524829"


def test_the_first_pictures_are_the_same_bytes_as_ever():
    data = b"".join(png(scene(0, i)) for i in range(20))
    assert hashlib.blake2b(data, digest_size=16).hexdigest() == FIRST_PICTURES


def test_the_first_references_are_the_same_as_ever(cache):
    text = "\n".join(line for sample in Scenes(n=20).load() for line in sample.references)
    assert hashlib.blake2b(text.encode(), digest_size=16).hexdigest() == FIRST_REFERENCES


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_another_process_with_another_hash_seed_draws_the_same():
    code = (
        "import hashlib; from capbench.scenes.draw import png; from capbench.scenes.world import scene; "
        "print(hashlib.blake2b(b''.join(png(scene(0, i)) for i in range(20)), digest_size=16).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "77", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == FIRST_PICTURES


def test_a_scene_does_not_depend_on_how_many_are_drawn_or_in_what_order():
    late = scene(5, 4321)
    family.cache_clear()
    assert scene(5, 4321) == late
    assert scene(6, 4321) != late


def test_a_longer_data_set_begins_with_the_shorter_one(cache):
    assert Scenes(n=40).load()[:15] == Scenes(n=15).load()


def test_each_of_a_family_differs_from_the_base_in_exactly_one_element_and_each_in_another():
    for number in range(300):
        members = family(0, number)
        base = members[0].scene
        assert members[0].changed == ""
        assert [differences(base, m.scene) for m in members[1:]] == [[m.changed] for m in members[1:]]
        assert {m.changed for m in members[1:]} == set(ELEMENTS)
        assert len({m.scene for m in members}) == 7
        assert len({frozenset(statements(of_scene(m.scene)).items()) for m in members}) == 7


def test_every_scene_can_show_every_flaw():
    for i in range(1000):
        drawn = scene(0, i)
        shapes = [t.shape for t in drawn.things]
        assert 2 <= len(shapes) <= 3 < len(SHAPES)
        assert len(set(shapes)) == len(shapes)
        assert any(t.zone == CENTRE for t in drawn.things)
        assert drawn.relations
        assert all(1 <= t.count <= 6 for t in drawn.things)


def test_all_values_are_drawn_about_equally_often():
    things = [t for i in range(0, 7000, 7) for t in scene(0, i).things]
    for values, name in ((SHAPES, "shape"), (COLOURS, "colour"), (SIZES, "size"), (range(1, 7), "count")):
        shares = [sum(getattr(t, name) == value for t in things) / len(things) for value in values]
        assert min(shares) > 0.8 / len(values)
        assert max(shares) < 1.2 / len(values)


def test_relations_by_hand():
    def thing(zone):
        return Thing(zone, "circle", "red", "small", (0,))

    row = make([thing(5), thing(3), thing(4)])
    assert row.relations == (Relation(0, "left", 1), Relation(0, "left", 2), Relation(1, "left", 2))
    assert make([thing(1), thing(7)]).relations == (Relation(0, "above", 1),)
    assert make([thing(0), thing(4)]).relations == ()


def test_draws_are_a_hash_and_nothing_else():
    draws = Draws("label")
    byte = hashlib.blake2b(b"label/0", digest_size=8).digest()
    assert draws.below(10**6) == int.from_bytes(byte, "big") % 10**6
    assert sorted(draws.shuffle(range(50))) == list(range(50))


def test_reading_a_picture_gives_the_scene_that_was_drawn():
    start = time.process_time()
    for i in range(1000):
        drawn = scene(1, i)
        assert see(draw(drawn)) == drawn
    assert (time.process_time() - start) / 1000 < 0.01


def test_a_picture_of_every_thing_there_can_be_is_read():
    for shape in SHAPES:
        for colour in COLOURS:
            for size in SIZES:
                for count in range(1, 10):
                    drawn = Scene((Thing(count - 1, shape, colour, size, tuple(range(count))),))
                    assert see(PALETTE[render(drawn)]) == drawn


def test_the_forms_are_all_different_and_stay_in_their_cell():
    assert len({filled.tobytes() for filled in MASKS.values()}) == len(SHAPES) * len(SIZES)
    for filled in MASKS.values():
        assert not filled[-1].any()
        assert not filled[:, -1].any()


def test_the_file_is_a_png_that_other_programs_read():
    drawn = scene(0, 3)
    data = png(drawn)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.size == (SIDE, SIDE)
        assert (np.asarray(image.convert("RGB")) == PALETTE[render(drawn)]).all()
    at = data.index(b"IDAT")
    size = int.from_bytes(data[at - 4 : at], "big")
    assert len(zlib.decompress(data[at + 4 : at + 4 + size])) == SIDE * (1 + SIDE // 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a[:100], "144 x 144"),
        (lambda a: a * 0 + 255, "empty"),
        (lambda a: a * 0 + 128, "colour"),
        (lambda a: np.where(np.arange(SIDE)[:, None, None] == 70, PALETTE[1], a), "no shape"),
        (lambda a: np.where(np.arange(SIDE)[:, None, None] < 72, a, a[::-1]), "row"),
    ],
)
def test_a_picture_that_is_no_scene_is_refused_with_a_reason(change, reason):
    things = [Thing(4, "circle", "red", "large", (0, 1, 4)), Thing(1, "cross", "blue", "small", (7,))]
    with pytest.raises(NotAScene, match=reason):
        see(change(PALETTE[render(make(things))]).astype(np.uint8))


def test_two_kinds_in_one_zone_are_no_scene():
    one = render(make([Thing(0, "circle", "red", "large", (0,))]))
    two = render(make([Thing(0, "circle", "blue", "large", (1,))]))
    with pytest.raises(NotAScene, match="two kinds"):
        see(PALETTE[one + two])


def test_the_samples_name_their_pictures_and_say_what_changed(cache):
    samples = Scenes(n=14, seed=3).load()
    assert [s.id for s in samples] == [f"scene-{i:05d}" for i in range(14)]
    for i, sample in enumerate(samples):
        assert see(load(sample.image)) == scene(3, i)
        assert sample.image.digest == digest(png(scene(3, i)))
        assert len(set(sample.references)) == 5
        assert sample.tags["changed"] == member(3, i).changed
        assert sample.tags["family"] == f"{i // 7:05d}"
        for text in sample.references:
            assert not read(text).unread


def test_the_bags_are_families_cut_short_and_only_whole_ones():
    sets = {s.name: s for s in Scenes(n=20).bag_sets()}
    assert set(sets) == {"scenes-3", "scenes-5", "scenes-7"}
    for size in (3, 5, 7):
        found = sets[f"scenes-{size}"]
        assert [len(bag.members) for bag in found.bags] == [size, size]
        assert found.digest == bag_digest(found.bags)
        assert found.bags[1].members[0] == "scene-00007"
    assert Scenes(n=6).bag_sets() == []


def test_pictures_are_kept_and_a_damaged_one_is_replaced(cache):
    path = Path(load_one().path)
    before = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(2000)
        file.write(b"damaged")
    assert path.read_bytes() != before
    load_one()
    assert path.read_bytes() == before
    assert not list(cache.rglob("*.part"))


def load_one():
    return Scenes(n=1).load()[0].image


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match="directory"):
        keep(tmp_path / "a.png", b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_cache_that_cannot_be_written_is_explained(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadData, match="CAPBENCH_CACHE"):
        Scenes(n=1).load()


def test_no_pictures_is_wrong_usage():
    with pytest.raises(UsageError, match="at least 1"):
        Scenes(n=0)


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("CAPBENCH_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert str(cache_root()) == "/own"
    monkeypatch.setenv("CAPBENCH_CACHE", "")
    assert str(cache_root()) == "/shared/capbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "capbench"


def test_drawing_is_fast(cache):
    start = time.process_time()
    Scenes(n=600, seed=9).load()
    assert time.process_time() - start < 3
