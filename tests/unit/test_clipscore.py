"""CLIPScore and RefCLIPScore on vectors whose cosines are known."""

import numpy as np
import pytest

from capbench.metrics.clipscore import ClipCosine, ClipScore, PacScore, RefClipScore, RefPacScore
from capbench.needs import Captions, Images, References, Vectors
from capbench.ragged import Ragged

IMAGE = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
TEXT = np.array([[0.6, 0.8], [0, 1], [-0.6, 0.8], [0, 1]], np.float32)  # cosines 0.6, 0, -0.6, 1


def ref(image, text, counts, references, **fields):
    values = np.array(references, np.float32).reshape(-1, 2)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    rows = RefClipScore(**fields).rows(np.array(image, np.float32), np.array(text, np.float32), Ragged(values, offsets))
    return rows["refclipscore"]


def test_clipscore_is_two_and_a_half_cosines_and_never_below_zero():
    found = ClipScore().rows(IMAGE, TEXT)["clipscore"]
    assert found == pytest.approx([1.5, 0, 0, 2.5], abs=1e-6)
    assert found.dtype == np.float64
    assert ClipScore(weight=1.0).rows(IMAGE, TEXT)["clipscore"] == pytest.approx([0.6, 0, 0, 1], abs=1e-6)


def test_cosines_are_summed_in_float64():
    a = np.full((1, 4096), 1 / 64, np.float32)
    assert ClipScore().rows(a, a)["clipscore"].tolist() == [2.5]


def test_no_vector_no_score():
    image = IMAGE.copy()
    image[1] = np.nan
    assert np.isnan(ClipScore().rows(image, TEXT)["clipscore"]).tolist() == [False, True, False, False]


def test_refclipscore_is_the_harmonic_mean_with_the_best_reference():
    # CLIPScore 1.5; references at cosine 0.6 and 0.8: 2 * 1.5 * 0.8 / (1.5 + 0.8)
    assert ref([[1, 0]], [[0.6, 0.8]], [2], [[1, 0], [0, 1]]) == pytest.approx([2.4 / 2.3], abs=1e-6)
    # the weight is on the picture's cosine alone: 2 * 0.6 * 0.8 / 1.4
    assert ref([[1, 0]], [[0.6, 0.8]], [2], [[1, 0], [0, 1]], weight=1.0) == pytest.approx([0.96 / 1.4], abs=1e-6)


def test_references_that_point_away_floor_at_zero():
    assert ref([[1, 0]], [[1, 0]], [2], [[-1, 0], [-0.6, 0.8]]).tolist() == [0]
    assert ref([[-1, 0]], [[1, 0]], [1], [[1, 0]]).tolist() == [0]
    assert ref([[-1, 0]], [[1, 0]], [1], [[-1, 0]]).tolist() == [0]  # 0 and 0


def test_each_item_has_its_own_references_and_none_is_unscored():
    found = ref([[1, 0]] * 4, [[0.6, 0.8]] * 4, [1, 0, 2, 1], [[0.6, 0.8], [1, 0], [-1, 0], [0, 1]])
    one = 2 * 1.5 * 1 / 2.5
    assert found == pytest.approx([one, np.nan, 2 * 1.5 * 0.6 / 2.1, 2.4 / 2.3], abs=1e-6, nan_ok=True)


def test_no_reference_anywhere():
    assert np.isnan(ref([[1, 0]], [[1, 0]], [0], [])).tolist() == [True]


def test_a_nan_reference_does_not_pass_for_a_score():
    assert np.isnan(ref([[1, 0]], [[1, 0]], [2], [[np.nan, 0], [1, 0]])).tolist() == [True]


def test_the_prefix_is_put_before_captions_and_references_and_not_before_pictures():
    needs = RefClipScore(encoder="e", prefix="P ").needs
    assert needs == {
        "image": Vectors(Images(), "e"),
        "text": Vectors(Captions(), "e", "P "),
        "references": Vectors(References(), "e", "P "),
    }
    assert needs["text"].inputs("dog") == ["P dog"]
    assert ClipScore().needs["text"].inputs("a dog") == ["A photo depicts a dog"]
    assert ClipScore().needs["text"] in RefClipScore().needs.values()


def test_pacscore_is_clipscore_with_weight_two_on_an_encoder_of_its_own():
    assert PacScore().rows(IMAGE, TEXT)["pacscore"] == pytest.approx([1.2, 0, 0, 2], abs=1e-6)
    assert PacScore().needs == {
        "image": Vectors(Images(), "pac"),
        "text": Vectors(Captions(), "pac", "A photo depicts "),
    }
    # PAC-S 1.2; the best reference at cosine 0.8, which has no weight: 2 * 1.2 * 0.8 / 2.0
    rows = RefPacScore().rows(
        np.array([[1, 0]], np.float32), np.array([[0.6, 0.8]], np.float32),
        Ragged(np.array([[1, 0], [0, 1]], np.float32), np.array([0, 2])),
    )  # fmt: skip
    assert rows["refpacscore"] == pytest.approx([0.96], abs=1e-6)


def test_the_cosine_is_neither_weighed_nor_floored():
    assert ClipCosine().rows(IMAGE, TEXT)["clip_cosine"] == pytest.approx([0.6, 0, -0.6, 1], abs=1e-6)
    assert ClipCosine().needs["text"].inputs("a dog") == ["a dog"]
