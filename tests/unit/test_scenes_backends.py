"""The encoder, painter and parser of the drawn world."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from capbench.backends.scenes import ScenesEncoder, ScenesPainter, ScenesParser
from capbench.captioners.scenes import FLAWS, Speaker
from capbench.datasets.scenes import Scenes
from capbench.protocols import Elements
from capbench.scenes.draw import see
from capbench.scenes.language import tell
from capbench.scenes.meaning import Group, Meaning, closed, of_scene, statements, told
from capbench.scenes.paint import scene_of
from capbench.scenes.reading import read
from capbench.scenes.space import GRID, NOTHING, STATEMENTS, UNREAD, WIDTH, four_squares, vector, weights
from capbench.scenes.world import Relation, scene
from capbench.types import Failure, Generation, ImageRef, Request

PREFIX = "A photo depicts "


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAPBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Scenes(n=210).load()


@pytest.fixture(scope="module")
def encoder():
    with ScenesEncoder().open("cpu") as session:
        yield session


@pytest.fixture(scope="module")
def pictures(samples, encoder):
    return unit(encoder.images([s.image for s in samples]).vectors)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def captions(samples, flaw):
    with Speaker(flaw).open("cpu") as session:
        return session.caption([Request(s.id, s.image) for s in samples], Generation())


def cosine(encoder, picture, text):
    return float(unit(encoder.texts([text]).vectors)[0] @ picture)


def test_every_perfect_caption_has_cosine_1_with_its_picture_and_less_with_all_others(samples, pictures, encoder):
    texts = unit(encoder.texts([PREFIX + c for c in captions(samples, "none")]).vectors)
    scores = texts @ pictures.T
    own = scores.diagonal()
    assert (own == 1).all()
    others = scores - 10 * np.eye(len(samples))
    assert others.max() < 0.995


def test_every_reference_has_cosine_1(samples, pictures, encoder):
    for i, sample in enumerate(samples):
        texts = unit(encoder.texts([PREFIX + r for r in sample.references]).vectors)
        assert (texts @ pictures[i] == 1).all()


def test_the_cosine_by_hand():
    both = weights(read("Two red circles."))
    part = weights(read("A picture of circles in red."))
    wrong = weights(read("Two blue circles."))
    # object 7, colour 5, count 4: squares 49, 25, 16
    assert both @ both == 90
    assert both @ part == 74
    assert part @ part == 74
    assert both @ wrong == 65


def test_leaving_out_is_better_than_saying_it_wrong(samples, pictures, encoder):
    own = {f: np.einsum("nd,nd->n", pictures, unit(encoder.texts(captions(samples, f)).vectors)) for f in FLAWS}
    for flaw in FLAWS:
        assert (own[flaw] < own["none"] - 0.05).all() or flaw in ("none", "repeat")
    assert (own["wrong_colour"] < own["no_colour"]).all()
    assert (own["swap_relation"] < own["no_relation"]).all()
    assert (own["short"] < own["no_relation"]).all()
    assert np.array_equal(own["repeat"], own["none"])


@pytest.mark.parametrize(
    "text", ["a picture of something", "", "A photo depicts ", "A dog runs.", "it", "not a circle", "\0", "x" * 10_000]
)
def test_a_text_that_says_nothing_is_scored_0_with_every_picture(text, pictures, encoder):
    encoded = encoder.texts([text])
    assert not encoded.failures
    assert encoded.vectors[0, NOTHING] == GRID
    assert (pictures @ unit(encoded.vectors)[0] == 0).all()


def test_a_word_that_cannot_be_read_costs_as_much_as_an_object(samples, pictures, encoder):
    text = captions(samples, "none")[0]
    assert cosine(encoder, pictures[0], text) > cosine(encoder, pictures[0], text + " There is a dog.") > 0.5
    one, two = weights(read("a circle, a dog")), weights(read("a circle, a dog, a cat"))
    assert one[UNREAD] == 7
    assert two[UNREAD] ** 2 == pytest.approx(98)


def test_a_sentence_with_an_unknown_word_keeps_its_groups_and_loses_its_relations():
    found = read("A red circle is left of a blue square near a dog.")
    assert [g.shape for g in found.groups] == ["circle", "square"]
    assert found.relations == ()
    assert found.unread == ("near", "dog")


def test_the_batch_is_of_no_account(samples, encoder):
    refs, texts = [s.image for s in samples[:30]], [t for s in samples[:30] for t in s.references]
    together = encoder.images(refs).vectors
    assert np.array_equal(together, np.concatenate([encoder.images([r]).vectors for r in refs]))
    apart = np.concatenate([encoder.texts(texts[i : i + 7]).vectors for i in range(0, len(texts), 7)])
    assert np.array_equal(encoder.texts(texts).vectors, apart)


def test_nothing_in_and_the_shape_and_type_of_what_comes_out(encoder):
    assert encoder.texts([]).vectors.shape == (0, WIDTH)
    assert encoder.images([]).vectors.shape == (0, WIDTH)
    assert encoder.texts(["a ring"]).vectors.dtype == np.float32
    assert encoder.texts(["a ring"]).cut is None
    assert len(set(STATEMENTS)) == WIDTH - 6


def test_a_picture_that_is_no_scene_fails_alone_and_says_why(samples, encoder, tmp_path):
    Image.new("RGB", (144, 144), (1, 2, 3)).save(tmp_path / "grey.png")
    (tmp_path / "text.png").write_text("no picture")
    refs = [
        samples[0].image,
        ImageRef(str(tmp_path / "grey.png")),
        ImageRef(str(tmp_path / "text.png")),
        ImageRef("no"),
    ]
    encoded = encoder.images(refs)
    assert set(encoded.failures) == {1, 2, 3}
    assert encoded.failures[1].startswith("not a scene: ")
    assert np.isfinite(encoded.vectors[0]).all()
    assert np.isnan(encoded.vectors[1:]).all()


def test_painting_what_was_said_gives_a_picture_in_which_it_is_true():
    with ScenesPainter().open("cpu") as session:
        for i in range(300):
            drawn = scene(2, i)
            meaning, steps = told(drawn)
            (picture,) = session.paint([tell(meaning.groups, steps)], [i])
            assert statements(of_scene(see(picture))) == statements(of_scene(drawn))


def test_what_is_not_said_is_drawn_from_the_seed():
    with ScenesPainter().open("cpu") as session:
        first, again, other = session.paint(["some rings are left of a square"] * 3, [1, 1, 2])
        assert first.tobytes() == again.tobytes() != other.tobytes()
        for picture in (first, other):
            found = statements(of_scene(see(picture)))
            assert found["left", "ring", "square"] == 1
            assert found["count", "square", "1"] == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a dog", "cannot read: dog"),
        ("", "cannot read anything to paint"),
        ("a circle, a ring, a cross, a square and a diamond", "4 groups|4 is the most"),
        ("a circle is left of a ring. The ring is left of the circle.", "contradict"),
        ("a circle is left of a ring. The circle is above the ring.", "contradict"),
    ],
)
def test_what_cannot_be_painted_is_a_failure_with_a_reason(text, reason):
    with ScenesPainter().open("cpu") as session:
        (found,) = session.paint([text], [0])
    assert isinstance(found, Failure)
    assert any(part in found.reason for part in reason.split("|"))


def test_four_groups_without_places_are_painted_with_as_few_relations_as_can_be():
    painted = scene_of(read("a circle, a ring, a cross and a square"), 0)
    assert len(painted.things) == 4
    # four groups in three rows and three columns: a pair shares a row, and another a column
    assert sorted(relation.kind for relation in painted.relations) == ["above", "left"]


def test_the_elements_of_a_text_by_hand():
    with ScenesParser().open("cpu") as session:
        found, refused = session.parse(["Two large circles are right of a red ring.", "a ring on a dog"])
    assert found == Elements(
        ("circle", "ring"),
        (("circle", "two"), ("circle", "large"), ("ring", "one"), ("ring", "red")),
        (("ring", "left of", "circle"),),
    )
    assert refused == Failure("cannot read: on, dog")


def test_relations_follow_from_each_other():
    a, b, c = Relation(0, "left", 1), Relation(1, "left", 2), Relation(1, "above", 2)
    assert closed([a, b]) == {a, b, Relation(0, "left", 2)}
    assert closed([a, c]) == {a, c}
    turned = Relation(1, "left", 0)
    assert closed([a, turned]) == {a, turned, Relation(0, "left", 0), Relation(1, "left", 1)}


def test_a_group_of_which_nothing_is_said_is_one_statement():
    assert dict(statements(Meaning((Group("ring"),)))) == {("object", "ring"): 1}


@pytest.mark.parametrize("backend", [ScenesEncoder(), ScenesPainter(), ScenesParser()])
def test_the_backends_say_who_they_are(backend):
    assert backend.check() is None
    assert backend.fingerprint().startswith(backend.name)
    assert "@" in backend.fingerprint()


@pytest.mark.parametrize(("flaw", "element"), [("no_colour", "colour"), ("no_relation", "place")])
def test_look_alikes_tie_to_the_last_bit_where_what_tells_them_apart_is_not_said(
    samples, pictures, encoder, flaw, element
):
    texts = unit(encoder.texts(captions(samples, flaw)).vectors)
    for start in range(0, len(samples), 7):
        scores = texts[start] @ pictures[start : start + 7].T
        changed = [s.tags["changed"] for s in samples[start : start + 7]]
        if element == "place":
            rows = {len(scene(0, start + i).relations) for i in range(7)}
            if len(rows) > 1:
                continue  # another number of relations gives a vector of another length
        assert [bool(score == scores[0]) for score in scores] == [name in ("", element) for name in changed]


def test_vectors_are_whole_numbers_of_one_length_close_to_the_weights():
    texts = ["a ring", "a dog", "two red circles above a dog", "a circle left of a circle left of a ring. a cat, a cow"]
    for meaning in [*map(read, texts), *(of_scene(scene(0, i)) for i in range(300))]:
        row, raw = vector(meaning).astype(np.float64), weights(meaning)
        assert (row == row.astype(int)).all()
        assert row @ row == GRID * GRID
        assert row @ raw / (GRID * np.sqrt(raw @ raw)) > 0.999


@pytest.mark.parametrize("total", [0, 1, 7, 28, 60, 4**6 * 7, 123_456, 999_999])
def test_four_squares(total):
    assert sum(n * n for n in four_squares(total)) == total
