"""The session that all dual encoders share, over towers whose numbers are plain to see."""

import threading

import numpy as np
import pytest
from PIL import Image

from capbench.backends.encoding import Tokens, Towers, session
from capbench.images import reference
from capbench.types import ImageRef


def towers(log=None, prepare=None, whole=False):
    """A picture's vector is (red, 1), a text's (its length, 1); ``log`` gets the rows of each batch."""

    def red(image):
        return {"pixels": np.float32(np.asarray(image)[0, 0, 0])}

    def vectors(arrays):
        values = next(iter(arrays.values())).astype(np.float64)
        if log is not None:
            log.append(len(values))
        return np.stack([values, np.ones_like(values)], axis=1)

    def tokenize(texts):
        lengths = np.array([len(text) for text in texts])
        return Tokens({"input_ids": lengths}, lengths > 5)

    return Towers(prepare or red, vectors, tokenize, vectors, whole)


@pytest.fixture
def photos(tmp_path):
    paths = []
    for i in range(11):
        Image.new("RGB", (4, 4), (20 * i, 0, 0)).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    return [reference(path) for path in paths]


def test_pictures_keep_their_order_in_batches(photos):
    log = []
    with session(towers(log), batch=4, threads=3) as opened:
        found = opened.images(photos)
    assert found.vectors[:, 0].tolist() == [20 * i for i in range(11)]
    assert found.vectors.dtype == np.float32
    assert log == [4, 4, 3]
    assert dict(found.failures) == {}


def test_a_picture_that_cannot_be_shown_costs_itself_only(photos, tmp_path):
    Image.new("RGB", (2000, 2)).save(tmp_path / "narrow.png")
    (tmp_path / "text.png").write_text("no picture")
    bad = [ImageRef("no such file", "0"), reference(tmp_path / "narrow.png"), reference(tmp_path / "text.png")]
    log = []
    with session(towers(log), batch=2) as opened:
        found = opened.images([bad[0], *photos[:3], bad[1], bad[2]])
    assert sorted(found.failures) == [0, 4, 5]
    assert "missing" in found.failures[0]
    assert "too narrow to be shown to a model: 2000 x 2" in found.failures[4]
    assert "not a picture" in found.failures[5]
    assert found.vectors[1:4, 0].tolist() == [0, 20, 40]
    assert np.isnan(found.vectors[[0, 4, 5]]).all()
    assert log == [2, 1]


def test_nothing_but_failures_and_nothing_at_all():
    with session(towers(), batch=2) as opened:
        found = opened.images([ImageRef("no such file", "0")])
        assert found.vectors.shape == (1, 1)
        assert list(found.failures) == [0]
        assert len(opened.images([]).vectors) == len(opened.texts([]).vectors) == 0


def test_texts_say_which_were_cut_and_lone_surrogates_are_read():
    log = []
    with session(towers(log), batch=2) as opened:
        found = opened.texts(["a", "long text", "", "x\ud800y", "12345"])
    assert found.vectors[:, 0].tolist() == [1, 9, 0, 3, 5]
    assert found.cut.tolist() == [False, True, False, False, False]
    assert log == [2, 2, 1]


def test_whole_batches_are_filled_up_and_cut_back(photos):
    log = []
    with session(towers(log, whole=True), batch=4) as opened:
        assert opened.images(photos[:6]).vectors[:, 0].tolist() == [0, 20, 40, 60, 80, 100]
        assert opened.texts(["a"]).vectors.tolist() == [[1, 1]]
    assert log == [4, 4, 4]


def test_pictures_are_decoded_while_the_model_works(photos):
    """The forward pass of the first batch ends only when a picture of the second one is being prepared."""
    second = threading.Event()
    seen = []

    def prepare(image):
        red = int(np.asarray(image)[0, 0, 0])
        if red >= 40:
            second.set()
        return {"pixels": np.float32(red)}

    parts = towers(prepare=prepare)

    def slow(arrays):
        seen.append(second.wait(timeout=20))
        return parts.see(arrays)

    with session(Towers(parts.prepare, slow, parts.tokenize, parts.read), batch=2, threads=2) as opened:
        assert len(opened.images(photos[:4]).vectors) == 4
    assert seen == [True, True]


def test_the_threads_end_with_the_session(photos):
    with session(towers(), batch=2, threads=2) as opened:
        opened.images(photos)
        assert any(thread.name.startswith("pictures") for thread in threading.enumerate())
    assert not any(thread.name.startswith("pictures") for thread in threading.enumerate())
