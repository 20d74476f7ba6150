"""The speaker of the drawn world: perfect, or with one flaw and no other."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from capbench.captioners.scenes import FLAWS, Speaker
from capbench.datasets.scenes import Scenes
from capbench.errors import UsageError
from capbench.plugins import load
from capbench.scenes.meaning import of_scene, statements
from capbench.scenes.reading import read
from capbench.scenes.world import scene
from capbench.types import Failure, Generation, ImageRef, Request

N = 140


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Scenes(n=N).load()


def say(samples, flaw="none", seed=0, params=Generation()):  # noqa: B008 -- frozen
    with Speaker(flaw, seed).open("cpu") as session:
        return session.caption([Request(s.id, s.image) for s in samples], params)


def kinds(counter):
    return {statement[0] for statement in counter}


@pytest.fixture(scope="module")
def perfect(samples):
    return say(samples)


def said(texts):
    found = [read(text) for text in texts]
    assert not any(meaning.unread for meaning in found)
    return [statements(meaning) for meaning in found]


TRUE = [statements(of_scene(scene(0, i))) for i in range(N)]


def test_the_perfect_speaker_says_everything_and_nothing_else(perfect):
    assert said(perfect) == TRUE


@pytest.mark.parametrize("flaw", [flaw for flaw in FLAWS if flaw != "none"])
def test_every_flaw_shows_in_every_scene(samples, perfect, flaw):
    assert all(a != b for a, b in zip(say(samples, flaw), perfect, strict=True))


@pytest.mark.parametrize(
    ("flaw", "missing", "false"),
    [
        ("no_colour", {"colour"}, set()),
        ("wrong_colour", {"colour"}, {"colour"}),
        ("miscount", {"count"}, {"count"}),
        ("swap_relation", {"left", "above"}, {"left", "above"}),
        ("no_relation", {"left", "above"}, set()),
        ("invent", set(), {"object", "colour", "size", "count"}),
        ("repeat", set(), set()),
    ],
)
def test_a_flaw_touches_its_own_statements_and_no_others(samples, flaw, missing, false):
    for true, found in zip(TRUE, said(say(samples, flaw)), strict=True):
        assert kinds(true - found) <= missing
        assert bool(missing) == bool(true - found)
        assert kinds(found - true) <= false
        assert bool(false) == bool(found - true)
        if len(missing) == 1:
            kept = {s for s in true if s[0] in missing} - set(true - found)
            assert not kept


def test_swapping_turns_every_relation_that_is_named(samples):
    def relations(texts):
        return [{(m.groups[a].shape, kind, m.groups[b].shape) for a, kind, b in m.relations} for m in map(read, texts)]

    turned = [{(c, kind, a) for a, kind, c in found} for found in relations(say(samples))]
    assert relations(say(samples, "swap_relation")) == turned
    assert all(turned)


def test_the_short_speaker_names_one_group(samples):
    for true, text in zip(TRUE, say(samples, "short"), strict=True):
        found = read(text)
        assert len(found.groups) == 1
        assert not statements(found) - true


def test_the_repeating_speaker_says_it_twice(samples, perfect):
    assert say(samples, "repeat") == [f"{text} {text}" for text in perfect]


def test_the_style_is_fixed(perfect):
    starts = {text.split()[0] for text in perfect}
    assert starts <= {"A", "An", "Two", "Three", "Four", "Five", "Six"}
    assert all(text.endswith(".") for text in perfect)


def test_the_seed_chooses_among_wrong_answers_only(samples, perfect):
    assert say(samples, "none", 5) == perfect
    assert say(samples, "invent", 5) != say(samples, "invent")
    assert say(samples, "invent", 5) == say(samples, "invent", 5)


def test_only_the_pixels_count(samples, perfect, tmp_path):
    other = tmp_path / "cat.png"
    shutil.copy(samples[7].image.path, other)
    with Speaker().open("cpu") as session:
        found = session.caption([Request("scene-00099", ImageRef(str(other)), (samples[3].image,))], Generation())
    assert found == [perfect[7]]


def test_pictures_that_are_no_scenes_fail_alone(samples, perfect, tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "black.png")
    requests = [
        Request("a", None),
        Request("b", ImageRef(str(tmp_path / "black.png"))),
        Request("c", ImageRef(str(tmp_path / "none.png"))),
        Request("d", samples[0].image),
    ]
    with Speaker().open("cpu") as session:
        found = session.caption(requests, Generation())
    assert [isinstance(text, Failure) for text in found] == [True, True, True, False]
    assert found[1].reason.startswith("not a scene: ")
    assert found[3] == perfect[0]


def test_an_unknown_flaw_is_refused_with_the_list():
    with pytest.raises(UsageError, match="swap_relation"):
        Speaker("lazy")


def test_the_spec_builds_it_and_its_fingerprint_tells_flaws_apart():
    speaker = load("captioners", "capbench.captioners.scenes:Speaker(flaw='invent', seed=2)").value
    assert speaker == Speaker("invent", 2)
    assert speaker.check() is None
    assert len({Speaker(flaw).fingerprint() for flaw in FLAWS}) == len(FLAWS)


@pytest.mark.parametrize("flaw", FLAWS)
def test_with_a_temperature_it_says_the_same_otherwise(samples, flaw):
    fixed = say(samples, flaw)
    drawn = [say(samples, flaw, params=Generation(temperature=1, seed=seed)) for seed in range(3)]
    assert [say(samples, flaw, params=Generation(seed=seed)) for seed in range(3)] == [fixed] * 3
    for texts in drawn:
        assert said(texts) == said(fixed)
    assert say(samples, flaw, params=Generation(temperature=1, seed=1)) == drawn[1]
    differ = sum(len({*row}) > 1 for row in zip(*drawn, strict=True))
    assert differ == 0 if flaw == "short" else differ > N / 2  # one group can be said in one way
