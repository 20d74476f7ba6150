"""Painters and similarities of torch, on small seeded models: nothing is fetched, and the real code runs."""

import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

import capbench
from capbench.backends.diffusion import Diffusers
from capbench.backends.hf import Hf
from capbench.backends.perceptual import Lpips
from capbench.datasets.scenes import Scenes
from capbench.errors import CapbenchError, MissingPart
from capbench.images import reference
from capbench.types import Failure, ImageRef

PROMPTS = ["a dog", "two cats run", "", "a dog", "the red dogs sleep"]
SEEDS = [0, 0, 1, 1, 2]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))


def painted(backend, prompts=PROMPTS, seeds=SEEDS):
    with backend.open("cpu") as session:
        return [np.asarray(picture) for picture in session.paint(prompts, seeds)]


@pytest.mark.torch
def test_a_text_and_a_seed_have_one_picture_in_every_batch(tiny):
    folder = str(tiny("painter_folder"))
    alone, four = (painted(Diffusers(folder, steps=3, batch=batch)) for batch in (1, 4))
    for a, b in zip(alone, four, strict=True):
        assert a.shape == (32, 32, 3)
        assert a.dtype == np.uint8
        np.testing.assert_array_equal(a, b)
    back = painted(Diffusers(folder, steps=3, batch=4), PROMPTS[::-1], SEEDS[::-1])
    for a, b in zip(alone, back[::-1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (alone[0] != alone[3]).any()  # another seed
    assert (alone[0] != alone[1]).any()  # another text


@pytest.mark.torch
def test_the_picture_is_the_pipeline_s_own(tiny):
    import torch
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(tiny("painter_folder"), safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    found = pipe(
        "two cats run", num_inference_steps=4, guidance_scale=3, negative_prompt="a dog", height=48, width=48,
        generator=torch.Generator().manual_seed(5), output_type="pil",
    )  # fmt: skip
    backend = Diffusers(str(tiny("painter_folder")), steps=4, guidance=3, negative="a dog", size=48, batch=2)
    ours = painted(backend, ["the dog", "two cats run"], [1, 5])
    np.testing.assert_array_equal(ours[1], np.asarray(found.images[0]))


@pytest.mark.torch
def test_half_precision_fills_its_batches_up(tiny):
    folder = str(tiny("painter_folder"))
    backend = Diffusers(folder, steps=2, precision="bf16", batch=3)
    together = painted(backend)
    with backend.open("cpu") as session:
        for picture, prompt, seed in zip(together, PROMPTS, SEEDS, strict=True):
            alone = np.asarray(session.paint([prompt], [seed])[0], int)
            assert np.abs(picture - alone).max() <= 2  # of 255: the place in a batch can change a last bit
    assert "batch=3" in backend.fingerprint()  # which its numbers depend on
    assert "batch" not in Diffusers(folder, batch=3).fingerprint()


@pytest.mark.torch
def test_a_prompt_beyond_77_tokens_is_cut_and_said(tiny, own_cache, tmp_path):
    folder = str(tiny("painter_folder"))
    with Diffusers(folder).open("cpu") as session:  # one token a letter, and two at the ends
        assert session.cut(["a " * 75, "a " * 76, "\ud800", ""]) == [False, True, False, False]
    (tmp_path / "c.jsonl").write_text(
        "".join(f'{{"id": "scene-0000{i}", "caption": "{"a " * n}"}}\n' for i, n in enumerate((5, 80, 90)))
    )
    run = capbench.run(
        str(tmp_path / "c.jsonl"), "scenes(n=3)", ["reconstruction(seeds=2, similarity='psnr')"], runs=None,
        backends={"painter": f"diffusers(model={folder!r}, steps=1, batch=2)"},
    )  # fmt: skip
    assert {s.cut for s in run.summaries} == {2}
    assert {s.mark for s in run.summaries} == {"2 prompts cut"}
    assert any("2 of 3 captions are longer than the painter reads" in note for note in run.record.notes)
    assert 0 < run.value("reconstruction_psnr") < 100


@pytest.mark.torch
def test_what_the_safety_checker_blacks_out_is_no_picture(tiny):
    with Diffusers(str(tiny("guarded_painter_folder")), steps=1).open("cpu") as session:
        (failure,) = session.paint(["a dog"], [0])
    assert isinstance(failure, Failure)
    assert "safety checker" in failure.reason


@pytest.mark.torch
def test_pictures_that_are_none():
    from capbench.backends.diffusion import picture

    assert "ran over" in picture(np.full((4, 4, 3), np.nan), flagged=False).reason
    assert "black all over" in picture(np.zeros((4, 4, 3)), flagged=False).reason
    assert picture(np.full((4, 4, 3), 0.5), flagged=False).getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.torch
def test_a_pipeline_is_known_by_its_content_and_settings(tiny, tmp_path):
    folder = tiny("painter_folder")
    there = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, there)
    mark = Diffusers(str(folder)).fingerprint()
    assert Diffusers(str(there), offload="model", batch=7).fingerprint() == mark
    others = [{"steps": 2}, {"guidance": 0.0}, {"size": 8}, {"negative": "x"}, {"precision": "bf16"}, {"variant": "v"}]
    assert len({Diffusers(str(folder), **other).fingerprint() for other in others} | {mark}) == len(others) + 1
    weights = there / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert Diffusers(str(there)).fingerprint() != mark
    weights.unlink()
    assert "no weights of unet" in Diffusers(str(there)).check().what


@pytest.mark.torch
def test_what_a_painter_lacks_is_said_before_any_work(tiny, tmp_path):
    folder = str(tiny("painter_folder"))
    assert Diffusers(folder).check() is None
    problem = Diffusers("no/model", revision="v2").check()
    assert "neither a folder" in problem.what
    assert problem.cure.startswith("hf download no/model --revision v2")
    for words, other in (
        ("offload is one of model, sequential", {"offload": "disk"}),
        ("batch is at least 1", {"batch": 0}),
        ("precision is one of", {"precision": "fp8"}),
    ):
        assert words in Diffusers(folder, **other).check().what
    with (
        pytest.raises(CapbenchError, match="offload moves a model off a GPU"),
        Diffusers(folder, offload="model").open("cpu"),
    ):
        pass
    with pytest.raises(MissingPart, match="torch cannot use the device"), Diffusers(folder).open("nowhere"):
        pass
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "unet" / "config.json").write_text("{")
    with pytest.raises(CapbenchError, match="diffusers cannot load"), Diffusers(str(broken)).open("cpu"):
        pass


@pytest.mark.torch
def test_dino_encodes_pictures_alone(tiny, own_cache):
    import torch
    from transformers import AutoImageProcessor, Dinov2Model

    folder = tiny("dino_folder")
    refs = [sample.image for sample in Scenes(n=5).load()]
    with Hf(str(folder), batch=2).open("cpu") as session:
        found = session.images(refs).vectors
        with pytest.raises(CapbenchError, match="Dinov2Model encodes pictures and no texts"):
            session.texts(["a dog"])
    shown = AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.inference_mode():
        pixels = shown(images=[Image.open(ref.path) for ref in refs], return_tensors="pt")
        expected = Dinov2Model.from_pretrained(folder).eval()(**pixels).pooler_output.numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.01


@pytest.mark.torch
def test_a_caption_reconstructed_with_models_of_torch(tiny, own_cache):
    """The cosine by hand with numpy, of the very pictures that were kept."""
    run = capbench.run(
        "speaker", "scenes(n=3)", ["reconstruction(seeds=2, similarity='dino')"], runs=None,
        backends={"painter": f"diffusers(model={str(tiny('painter_folder'))!r}, steps=2, batch=4)",
                  "dino": f"hf(model={str(tiny('dino_folder'))!r})"},
    )  # fmt: skip
    from capbench.paths import cache_root

    samples = Scenes(n=3).load()
    with Hf(str(tiny("dino_folder"))).open("cpu") as session:
        for i, details in enumerate(run.scored[0].details.values()):
            files = [ImageRef(str(cache_root() / painting["file"])) for painting in details["paintings"]]
            a, *both = session.images([samples[i].image, *files]).vectors.astype(float)
            cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for b in both]
            assert [painting["seed"] for painting in details["paintings"]] == [0, 1]
            assert [painting["value"] for painting in details["paintings"]] == pytest.approx(cosines, abs=1e-6)
            rows = run.scored[0].rows.columns
            assert rows["reconstruction"][i] == pytest.approx(np.mean(cosines), abs=1e-6)
            assert rows["reconstruction_spread"][i] == pytest.approx(np.std(cosines, ddof=1), abs=1e-6)


@pytest.mark.torch
def test_lpips_is_the_package_s_own(random_alexnet, tmp_path, own_cache):
    import lpips
    import torch

    rng = np.random.default_rng(0)
    refs = []
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (80, 96, 3), np.uint8)).save(tmp_path / f"{i}.png")
        refs.append(reference(tmp_path / f"{i}.png"))
    assert Lpips().check() is None
    with Lpips().open("cpu") as session:
        found = session.compare(refs, [refs[0]] * 3)
        assert session.compare(refs[2:], refs[:1]) == found[2:]
        Image.new("RGB", (20, 90)).save(tmp_path / "small.png")
        assert "smaller than" in session.compare(refs[:1], [reference(tmp_path / "small.png")])[0].reason
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchvision's older way to name weights
        network = lpips.LPIPS(net="alex", verbose=False).eval()
    with torch.inference_mode():
        tensors = [lpips.im2tensor(np.asarray(Image.open(ref.path))) for ref in refs]
        expected = [float(network(tensor, tensors[0])) for tensor in tensors]
    assert found == pytest.approx(expected, abs=1e-6)
    assert found[0] == 0
    assert min(found[1:]) > 0.001


@pytest.mark.torch
def test_lpips_in_a_run_has_a_column_in_which_less_is_better(random_alexnet, own_cache):
    run = capbench.run("speaker", "scenes(n=3)", ["reconstruction(similarity='lpips(size=64)')"], runs=None,
                       backends={"painter": "scenes_painter"})  # fmt: skip
    (summary,) = run.summaries
    assert (summary.column, summary.better) == ("reconstruction_lpips", "low")
    assert summary.value > 0
    assert "lpips/" in summary.signature


@pytest.mark.torch
def test_lpips_s_weights_are_not_fetched_but_asked_for(random_alexnet):
    assert "torchvision.models.vgg16" in Lpips(net="vgg").check().cure
    assert "net is one of" in Lpips(net="resnet").check().what
    assert "at least 64" in Lpips(size=32).check().what
