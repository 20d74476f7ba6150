"""The baseline without a painter on real photographs: captions of 951 dev photographs, a gallery of 500 others.

The gallery's photographs are of the train split, and neither they nor the dev photographs were shown to ``mini`` when it was
trained. So its number says how well a caption finds a picture like its own among strangers: a floor for painters.
"""

import gzip
import json
import zipfile

import numpy as np
import pytest

import capbench
from capbench.backends import mini
from capbench.images import reference

pytestmark = pytest.mark.slow
TOML = """
name = "flickr8k-dev"
version = 1
[dataset]
use = "folder(captions='dev.jsonl', images='photos', ids='outputs.jsonl.gz')"
[backends]
clip = "mini()"
painter = "gallery(folder='{gallery}', encoder='mini')"
[[metrics]]
use = "reconstruction()"
"""
SYSTEMS = ("blip2_zero_shot", "blip2_lora")


@pytest.fixture(scope="module")
def world(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("flickr8k")
    for kind, place in (("dev", "photos"), ("bags", "gallery")):
        for part in sorted((shared / "flickr8k").glob(f"photos_{kind}-*.zip")):
            zipfile.ZipFile(part).extractall(folder / place)
    rows = [json.loads(line) for line in gzip.open(shared / "flickr8k" / "photos.jsonl.gz", "rt", encoding="utf-8")]
    (folder / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows if row["set"] == "dev"))
    (folder / "outputs.jsonl.gz").write_bytes((shared / "flickr8k" / "system_outputs.jsonl.gz").read_bytes())
    (folder / "bench.toml").write_text(TOML.format(gallery=folder / "gallery"))
    return folder


def unit(vectors):
    return vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)


@pytest.fixture
def seen(monkeypatch):
    """Digest -> the vector of each photograph, as the encoder gave it; it is encoded once, not anew in each run."""
    kept = {}
    plain = mini.EncoderSession._picture

    def once(session, ref):
        if ref.digest not in kept:
            kept[ref.digest] = plain(session, ref)
        return kept[ref.digest]

    monkeypatch.setattr(mini.EncoderSession, "_picture", once)
    return kept


def test_the_gallery_s_numbers_are_those_of_numpy_and_captions_beat_strangers(world, seen):
    captioners = [*(f"file(path={str(world / 'outputs.jsonl.gz')!r}, field='outputs.{name}')" for name in SYSTEMS),
                  "human", "shuffled"]  # fmt: skip
    runs = [capbench.run(captioner, str(world / "bench.toml"), runs=None) for captioner in captioners]
    names = runs[0].ids
    gallery = unit(np.array([seen[reference(path).digest] for path in sorted((world / "gallery").iterdir())]))
    own = unit(np.array([seen[reference(world / "photos" / name).digest] for name in names]))
    assert (len(gallery), len(seen)) == (500, 951 + 500)
    with mini.Mini().open("cpu") as session:
        for run in runs:
            texts = unit(session.texts([caption.text for caption in run.captions]).vectors)
            expected = (own * gallery[(texts @ gallery.T).argmax(axis=1)]).sum(axis=1)
            np.testing.assert_allclose(run.frame().value, expected, atol=1e-6)
    assert len(names) == 951
    lora, zero_shot, human, shuffled = (run.summaries[0] for run in (runs[1], runs[0], *runs[2:]))
    for summary in (zero_shot, lora, human, shuffled):
        print(f"{summary.value:.4f} [{summary.low:.4f}, {summary.high:.4f}]")
    assert {summary.mark for summary in (zero_shot, lora, human, shuffled)} == {""}  # no original is in the gallery
    for system in (zero_shot, lora, human):
        assert system.low > shuffled.high
