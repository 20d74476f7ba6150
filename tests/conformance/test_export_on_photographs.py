"""A trained encoder of open_clip, exported, on 500 photographs and captions: the same cosines."""

import gzip
import json
import zipfile

import numpy as np
import pytest

from capbench import exporting
from capbench.backends.onnx import Onnx
from capbench.backends.openclip import OpenClip
from capbench.images import reference
from capbench.needs import Vector

COUNT = 500


@pytest.fixture(scope="module")
def photographs(shared, tmp_path_factory):
    """Photographs as files, and the first caption of each."""
    folder = tmp_path_factory.mktemp("photographs")
    with gzip.open(shared / "flickr8k" / "photos.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["set"] == "dev"][:COUNT]
    for archive in sorted((shared / "flickr8k").glob("photos_dev-*.zip")):
        with zipfile.ZipFile(archive) as photos:
            for name in {row["image"] for row in rows} & set(photos.namelist()):
                (folder / name).write_bytes(photos.read(name))
    return [reference(folder / row["image"]) for row in rows], [row["captions"][0] for row in rows]


@pytest.mark.slow
@pytest.mark.torch
def test_the_export_of_a_trained_encoder_gives_its_cosines(tiny, shared, photographs, tmp_path):
    tiny("open_clip_folder")
    model = shared.parent / "models" / "mini-baseline"
    if not model.is_dir():
        pytest.skip("no shared/models beside the checkout: this test loads a trained encoder from there")
    encoder = OpenClip(model=str(model), runtime="torch")
    folder, _ = exporting.export(f"open_clip(model={str(model)!r})", str(tmp_path / "export"))
    pictures, captions = photographs
    sides = [exporting.vectors(part, pictures, captions) for part in (encoder, Onnx(str(folder)))]
    assert all(isinstance(value, Vector) for seen, said in sides for value in (*seen, *said))
    first, second = (exporting.stack(seen) @ exporting.stack(said).T for seen, said in sides)
    assert first.shape == (COUNT, COUNT)
    np.testing.assert_allclose(second, first, rtol=0, atol=1e-4)
    assert np.abs(second - first).max() < 1e-5  # what lets it stand for its original unasked
    # the encoder has learnt something, so that equality is not that of noise: a caption is nearest its own photograph
    # far more often than by chance (1 in 500)
    assert np.mean(first.argmax(axis=0) == np.arange(COUNT)) > 0.1
