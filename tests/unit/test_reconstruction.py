"""Reconstruction on drawn scenes, where what a caption's picture must show can be worked out by hand."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

import capbench
from capbench.cache import open_cache
from capbench.datasets.scenes import Scenes
from capbench.errors import MissingPart, UsageError
from capbench.images import load, reference
from capbench.metrics.reconstruction import Reconstruction
from capbench.metrics.reconstruction_presets import PRESETS
from capbench.paintings import Painting
from capbench.ragged import Ragged
from capbench.scenes.draw import see
from capbench.types import ImageRef

N = 49  # seven families
COLOURS = 8
SPECS = {"clip": "scenes", "painter": "scenes_painter"}


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made(flaw="none", metric="reconstruction", n=N, runs=None, **backends):
    return capbench.run(f"speaker(flaw={flaw!r})", f"scenes(n={n})", [metric], backends=SPECS | backends, runs=runs)


def values(run, column="reconstruction"):
    frame = run.frame()
    return frame[frame.column == column].value.to_numpy()


def squares():
    """Of each scene: its groups, and the squared length of what is true of it, as docs/scenes.md weighs it.

    A group is an object (7), a colour (5), a count (4) and a size (2): 49 + 25 + 16 + 4 = 94. A relation is 6.
    """
    scenes = [see(load(sample.image)) for sample in Scenes(n=N).load()]
    assert all(len({t.shape for t in s.things}) == len(s.things) for s in scenes)
    groups = np.array([len(s.things) for s in scenes])
    return groups, 94 * groups + 36 * np.array([len(s.relations) for s in scenes])


EXPECTED = {
    "none": lambda groups, whole: np.ones(N),
    "repeat": lambda groups, whole: np.ones(N),
    # as long as the truth, and so much of it is wrong
    "wrong_colour": lambda groups, whole: (whole - 25 * groups) / whole,
    "miscount": lambda groups, whole: (whole - 16 * groups) / whole,
    "swap_relation": lambda groups, whole: 94 * groups / whole,
    # nothing wrong, and so much is missing: the cosine of a part and the whole is the root of its share
    "no_relation": lambda groups, whole: np.sqrt(94 * groups / whole),
    "short": lambda groups, whole: np.sqrt(94 / whole),
}


@pytest.mark.parametrize("flaw", EXPECTED)
def test_a_flaw_costs_what_it_leaves_out_of_the_picture(flaw, own_cache):
    found = values(made(flaw))
    np.testing.assert_allclose(found, EXPECTED[flaw](*squares()), rtol=0, atol=0.003)  # the grid of the space
    assert (found == 1).all() == (flaw in ("none", "repeat"))


def test_an_invented_thing_is_painted_and_costs(own_cache):
    found = values(made("invent"))
    _, whole = squares()
    free, tied = (np.sqrt(whole / (whole + 94 + 36 * relations)) for relations in (0, 6))
    assert (found <= free + 0.003).all()
    assert (found >= tied - 0.003).all()


def test_what_is_not_said_is_drawn_so_the_mean_is_between_right_and_wrong(own_cache):
    seeds = 40
    run = made("no_colour", f"reconstruction(seeds={seeds})", n=14)
    groups, whole = (part[:14] for part in squares())
    each = [own["paintings"] for own in run.scored[0].details.values()]
    chance = (whole - 25 * groups * (COLOURS - 1) / COLOURS) / whole  # seven colours in eight are wrong
    error = 25 * np.sqrt(groups * 7 / 64 / seeds) / whole
    assert (np.abs(values(run) - chance) < 4.5 * error + 0.003).all()
    assert (values(run, "reconstruction_spread") > 0).all()
    assert {len(own) for own in each} == {seeds}


def test_mean_and_spread_by_hand():
    paintings = [Painting("x", "d", seed) for seed in (3, 4, 5, 3, 4, 5)]
    numbers = np.array([0.1, 0.2, 0.6, 0.5, 0.5, 0.5])
    rows = Reconstruction(similarity="ssim", seeds=3, seed=3).rows(
        [ImageRef("a"), ImageRef("b")],
        Ragged(paintings, np.array([0, 3, 6])),
        compared=Ragged(numbers, np.array([0, 3, 6])),
    )
    # (0.1 + 0.2 + 0.6) / 3 = 0.3; squares 0.04 + 0.01 + 0.09 = 0.14, over 2
    np.testing.assert_allclose(rows["reconstruction"], [0.3, 0.5], rtol=1e-15)
    np.testing.assert_allclose(rows["reconstruction_spread"], [math.sqrt(0.07), 0], rtol=1e-12, atol=1e-15)


def test_cosines_by_hand():
    whole = Ragged([Painting("x", "d")] * 2, np.array([0, 1, 2]))
    original = np.array([[1, 0], [0.6, 0.8]], np.float32)
    painted = np.array([[0.8, 0.6], [-0.8, 0.6]], np.float32)
    rows = Reconstruction().rows([ImageRef("a"), ImageRef("b")], whole, original, Ragged(painted, np.array([0, 1, 2])))
    assert list(rows) == ["reconstruction"]  # one seed has no spread
    np.testing.assert_allclose(rows["reconstruction"], [0.8, 0], atol=1e-7)  # -0.48 + 0.48


def test_pixels_are_compared_as_scikit_image_does(own_cache):
    run = made("wrong_colour", "reconstruction(similarity='ssim')", n=7)
    other = made("wrong_colour", "reconstruction(similarity='psnr')", n=7)
    samples = Scenes(n=7).load()
    for i, details in enumerate(run.scored[0].details.values()):
        (painting,) = details["paintings"]
        painted = np.asarray(Image.open(own_cache / painting["file"]).convert("RGB"))
        original = np.asarray(Image.open(samples[i].image.path).convert("RGB"))
        expected = structural_similarity(
            original, painted, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert values(run)[i] == pytest.approx(expected, abs=1e-12)
        error = np.mean((painted.astype(float) - original) ** 2)
        assert values(other, "reconstruction_psnr")[i] == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)


def test_one_painting_costs_one_paint_whatever_asks_for_it(own_cache):
    first = made(metric="reconstruction(seeds=2)")
    files = {path: path.stat().st_mtime_ns for path in own_cache.glob("painted/??/*.png")}
    assert files
    again = made(metric="reconstruction(seeds=2, similarity='ssim')")
    assert {path: path.stat().st_mtime_ns for path in own_cache.glob("painted/??/*.png")} == files
    assert values(first).tolist() == [1.0] * N
    assert len(values(again)) == N
    with open_cache() as cache:
        lines = {line.kind: line for line in cache.stats()}
    assert lines["painted"].entries == 2 * len({c.text for c in first.captions})
    assert lines["painted"].bytes > sum(path.stat().st_size for path in files)


def test_a_painting_that_is_gone_or_damaged_is_painted_again(own_cache):
    before = values(made(metric="reconstruction(similarity='ssim')", n=7))
    gone, damaged, *_ = sorted(own_cache.glob("painted/??/*.png"))
    content = gone.read_bytes(), damaged.read_bytes()
    gone.unlink()
    damaged.write_bytes(content[1][:-1] + b"!")
    with open_cache() as cache:
        bad = list(cache.damaged())
        assert len(bad) == 2
        cache.drop(bad)
    assert values(made(metric="reconstruction(similarity='psnr')", n=7), "reconstruction_psnr").shape == (7,)
    assert (gone.read_bytes(), damaged.read_bytes()) == content
    assert values(made(metric="reconstruction(similarity='ssim')", n=7)).tolist() == before.tolist()


def test_pruning_takes_the_files_too(own_cache):
    made(n=7)
    with open_cache() as cache:
        cache.prune(1)
        assert list(own_cache.glob("painted/??/*.png"))
        cache.prune(0)
    assert not list(own_cache.glob("painted/??/*"))


def test_a_caption_that_cannot_be_painted_is_unscored_and_costs_no_other(own_cache, tmp_path):
    lines = [json.dumps({"id": f"scene-0000{i}", "caption": "a dog" if i == 1 else "one red circle"}) for i in range(3)]
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    run = capbench.run(str(tmp_path / "c.jsonl"), "scenes(n=3)", ["reconstruction(seeds=2)"], backends=SPECS, runs=None)
    assert np.isnan(values(run)).tolist() == [False, True, False]
    assert run.scored[0].reasons == {1: "cannot read: dog"}


def test_a_gallery_gives_the_nearest_of_other_pictures(own_cache, tmp_path):
    """The scenes of another seed: of each caption the picture with the highest cosine, found by numpy alone."""
    from capbench.backends.scenes import ScenesEncoder

    others = Scenes(n=60, seed=5).load()
    folder = others[0].image.path.rpartition("/")[0]
    run = made("wrong_colour", n=14, painter=f"gallery(folder={folder!r}, encoder='scenes')")
    with ScenesEncoder().open("cpu") as session:
        gallery = session.images([s.image for s in others]).vectors.astype(float)
        own = session.images([s.image for s in Scenes(n=14).load()]).vectors.astype(float)
        texts = session.texts([c.text for c in run.captions]).vectors.astype(float)
    best = (texts @ gallery.T / 4096**2).argmax(axis=1)
    expected = np.einsum("nd,nd->n", own, gallery[best]) / 4096**2
    np.testing.assert_allclose(values(run), expected, rtol=1e-12)
    found = [own["paintings"][0]["digest"] for own in run.scored[0].details.values()]
    assert found == [others[i].image.digest for i in best]
    assert run.summaries[0].mark == ""


def test_a_gallery_with_the_originals_says_so(own_cache):
    folder = Scenes(n=7).load()[0].image.path.rpartition("/")[0]
    run = made(n=7, painter=f"gallery(folder={folder!r}, encoder='scenes')")
    assert run.value("reconstruction") == 1
    assert run.summaries[0].mark == "7 originals in the gallery"


def test_a_gallery_is_known_by_its_pictures(tmp_path):
    from capbench.backends.gallery import Gallery

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), (9, 9, 9)).save(tmp_path / name / "a.png")
    mark = Gallery(str(tmp_path / "one"), "scenes").fingerprint()
    assert Gallery(str(tmp_path / "two"), "scenes").fingerprint() == mark
    assert Gallery(str(tmp_path / "one"), "scenes", "a photo of ").fingerprint() != mark
    assert Gallery(str(tmp_path / "one"), "mini").fingerprint() != mark
    (tmp_path / "two" / "b.txt").write_text("no picture")
    assert Gallery(str(tmp_path / "two"), "scenes").fingerprint() == mark
    Image.new("RGB", (20, 20)).save(tmp_path / "two" / "b.png")
    assert Gallery(str(tmp_path / "two"), "scenes").fingerprint() != mark
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in Gallery(str(tmp_path / "empty")).check().what
    assert "does not exist" in Gallery(str(tmp_path / "none")).check().what
    assert "is a tokenizer" in Gallery(str(tmp_path / "one"), "ptb").check().what
    assert "no backend is called" in Gallery(str(tmp_path / "one"), "nothing").check().what


@pytest.mark.parametrize("name", PRESETS)
def test_a_protocol_has_its_name_only_as_published(name):
    preset = PRESETS[name]
    metric = Reconstruction(preset=name)
    assert metric.column == preset.column
    assert {key: getattr(metric, key) for key in preset.values} == dict(preset.values)
    assert metric.column == Reconstruction(**preset.values).column  # spelt out it is the same number
    for other in ({"seeds": 3}, {"seed": 7}, {"similarity": "scenes"}, {"generator": "scenes_painter"}):
        assert Reconstruction(preset=name, **other).column == "reconstruction"
    assert preset.column in Reconstruction.columns


def test_what_cannot_be_is_refused_in_words():
    with pytest.raises(UsageError, match="no preset 'd2i'"):
        Reconstruction(preset="d2i")
    with pytest.raises(UsageError, match="seeds is at least 1"):
        Reconstruction(seeds=-1)


def test_what_is_missing_is_said_before_any_captioning(tmp_path, own_cache):
    started = tmp_path / "started"
    program = f"{sys.executable} -c 'open({str(started)!r}, \"w\")'"
    with pytest.raises(MissingPart) as caught:
        capbench.run(
            f"command(program={program!r})", "scenes(n=3)",
            ["reconstruction(generator='gallery(folder=\"none\")', similarity='ssim(size=3)')"], runs=None,
        )  # fmt: skip
    assert "the folder of pictures none does not exist" in str(caught.value)
    assert "size is 0 or at least 11, not 3" in str(caught.value)
    with pytest.raises(MissingPart, match="--backend painter=scenes_painter"):
        capbench.run("speaker", "scenes(n=3)", ["reconstruction"], runs=None)
    assert not started.exists()


PROGRAM = """
import sys
import capbench
run = capbench.run("speaker(flaw='no_colour')", "scenes(n=21)", ["reconstruction(seeds=3)", "reconstruction(similarity='ssim')"],
                   backends={"clip": "scenes", "painter": "scenes_painter"}, runs=None)
print(run.frame().value.map(float.hex).tolist())
"""


def test_every_process_gives_the_same_bits(tmp_path):
    answers = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "CAPBENCH_CACHE": str(tmp_path / seed)},
        ).stdout
        for seed in ("0", "7")
    }  # fmt: skip
    assert len(answers) == 1


def test_equal_pictures_and_sizes_that_differ(tmp_path, own_cache):
    from capbench.backends.pixel_similarity import Psnr, Ssim

    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    Image.fromarray(noise).resize((30, 30)).save(tmp_path / "b.png")
    Image.new("RGB", (5, 5)).save(tmp_path / "small.png")
    a, b, small = (reference(tmp_path / name) for name in ("a.png", "b.png", "small.png"))
    with Ssim().open("cpu") as session:
        assert session.compare([a], [a]) == [1.0]
        (number,) = session.compare([b], [a])
        stretched = np.asarray(Image.open(b.path).resize((60, 40), Image.Resampling.BICUBIC))
        assert number == pytest.approx(
            structural_similarity(
                stretched, noise, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            ),
            abs=1e-12,
        )
        too_small, missing = session.compare([a, ImageRef(str(tmp_path / "no"))], [small, a])
        assert "smaller than SSIM's window" in too_small.reason
        assert "missing" in missing.reason
    with Psnr().open("cpu") as session:
        assert session.compare([a], [a]) == [100.0]
    with Ssim(size=16).open("cpu") as session:
        assert session.compare([a, b], [a, b]) == [1.0, 1.0]
        assert session.compare([a], [b]) == session.compare([a, b], [b, b])[:1]
