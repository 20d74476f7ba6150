"""open_clip, transformers and ONNX Runtime through the real code, with small seeded models in folders."""

import importlib.metadata
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import capbench
from capbench import codec, exporting, plugins
from capbench.backends import onnx, routes
from capbench.backends.hf import Hf
from capbench.backends.onnx import CARD, Onnx
from capbench.backends.openclip import OpenClip
from capbench.errors import CapbenchError, CheckFailed, MissingPart, UsageError
from capbench.images import reference
from capbench.testing import check_backend

TEXTS = ["a dog runs", "two cats sleep on a red mat", "", "A PHOTO, of 3 caf\u00e9s &amp; a dog!", "a " * 40]
KINDS = {"clip_folder": Hf, "siglip_folder": Hf, "siglip2_folder": Hf, "open_clip_folder": OpenClip}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for i, (width, height) in enumerate([(40, 60), (64, 32), (32, 32), (90, 41)]):
        pixels = noise.integers(0, 256, (height, width, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(folder / f"{i}.png")
    return [reference(path) for path in sorted(folder.iterdir())]


def encoded(backend, photos, texts=TEXTS):
    with backend.open("cpu") as session:
        return session.images(photos), session.texts(texts)


def test_without_the_libraries_the_plan_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert OpenClip().check().cure == "pip install 'capbench[clip]'"
    assert Hf("m").check().cure == "pip install 'capbench[hf]'"
    assert Onnx("m").check().cure == "pip install 'capbench[onnx]'"
    with pytest.raises(MissingPart, match=r"capbench\[clip\]"):
        capbench.run("constant", "scenes(n=7)", ["clipscore"], backends={"clip": "open_clip"}, runs=None)


@pytest.mark.torch
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_each_is_a_good_backend_in_each_precision(tiny, name, precision):
    backend = KINDS[name](model=str(tiny(name)), precision=precision, batch=4)
    passed = check_backend(backend)
    assert {"images does not depend on the batch", "texts does not depend on the batch"} <= set(passed)


@pytest.mark.torch
@pytest.mark.parametrize("name", KINDS)
def test_half_precision_is_near_and_comes_back_as_float32(tiny, name, photos):
    full, half = (encoded(KINDS[name](model=str(tiny(name)), precision=p), photos) for p in ("fp32", "bf16"))
    for a, b in zip(full, half, strict=True):
        assert b.vectors.dtype == np.float32
        unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a.vectors, b.vectors)]
        cosines = (unit[0] * unit[1]).sum(axis=1)
        assert cosines.min() > 0.99
        assert (a.vectors != b.vectors).any()


@pytest.mark.torch
def test_open_clip_s_vectors_are_its_own(tiny, photos):
    import open_clip
    import torch

    folder = tiny("open_clip_folder")
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    with torch.inference_mode():
        pictures = torch.stack([prepare(Image.open(photo.path)) for photo in photos])
        expected = [model.eval().encode_image(pictures).numpy(), model.encode_text(tokenizer(TEXTS)).numpy()]
    found = encoded(OpenClip(model=f"local-dir:{folder}", batch=3), photos)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.vectors, theirs, rtol=0, atol=1e-5)
        assert np.ptp(theirs, axis=0).max() > 0.1  # different items have different vectors
    assert found[1].cut.tolist() == [False, False, False, False, True]


@pytest.mark.torch
def test_a_text_is_cut_from_the_first_token_that_does_not_fit(tiny):
    backend = OpenClip(model=str(tiny("open_clip_folder")))  # it reads 20 tokens, two of which are its own
    with backend.open("cpu") as session:
        found = session.texts(["dog " * 17, "dog " * 18, "dog " * 19, "dog " * 30])
    assert found.cut.tolist() == [False, False, True, True]
    np.testing.assert_allclose(found.vectors[2], found.vectors[1], atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["clip_folder", "siglip_folder", "siglip2_folder"])
def test_transformers_vectors_are_its_own(tiny, name, photos):
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    folder = tiny(name)
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    shown = AutoImageProcessor.from_pretrained(folder, backend="pil")
    context = model.config.text_config.max_position_embeddings
    with torch.inference_mode():
        words = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=context, return_tensors="pt")
        words = {k: v for k, v in words.items() if k in tokenizer.model_input_names and k != "token_type_ids"}
        pictures = shown(images=[Image.open(photo.path) for photo in photos], return_tensors="pt")
        expected = [model.get_image_features(**pictures), model.get_text_features(**words)]
    found = encoded(Hf(model=str(folder), batch=3), photos)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.vectors, theirs.pooler_output.numpy(), rtol=0, atol=1e-5)
        assert np.ptp(ours.vectors, axis=0).max() > 0.01
    assert found[1].cut[-1]
    assert not found[1].cut[:1].any()


@pytest.mark.torch
def test_a_longer_context_is_the_model_s_not_the_tokenizer_s(tiny):
    """As Long-CLIP's conversions have it: 248 positions, and a tokenizer that still says 77."""
    backend = Hf(model=str(tiny("long_clip_folder")))
    with backend.open("cpu") as session:
        found = session.texts(["d " * 70, "d " * 100, "d " * 99 + "g", "d " * 300])
    assert found.cut.tolist() == [False, False, False, True]
    assert np.abs(found.vectors[1] - found.vectors[2]).max() > 1e-4  # the hundredth word is read


@pytest.mark.torch
def test_a_model_stands_by_its_content_and_not_by_its_path(tiny, tmp_path):
    for name, kind in (("open_clip_folder", OpenClip), ("clip_folder", Hf)):
        here = tiny(name)
        there = tmp_path / "elsewhere" / here.name
        shutil.copytree(here, there)
        mark = kind(model=str(here)).fingerprint()
        assert kind(model=str(there)).fingerprint() == mark
        assert kind(model=str(here), precision="bf16").fingerprint() == mark.replace("fp32", "bf16")
        assert kind(model=str(here), batch=1, threads=1, runtime="torch").fingerprint() == mark
        weights = next(there.glob("*model.safetensors"))
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(bytes(data))
        assert kind(model=str(there)).fingerprint() != mark


@pytest.mark.torch
def test_a_config_of_the_user_s_with_a_checkpoint(tiny, tmp_path, photos):
    """As PAC-S's authors save theirs: a pickle with the weights under ``state_dict``."""
    import torch
    from safetensors.torch import load_file

    folder = tiny("open_clip_folder")
    config = json.loads((folder / "open_clip_config.json").read_text())
    (tmp_path / "mine.json").write_text(json.dumps(config["model_cfg"]))
    (tmp_path / "whole.json").write_text(json.dumps(config))
    state = load_file(folder / "open_clip_model.safetensors")
    torch.save({"state_dict": state}, tmp_path / "mine.pth")
    expected = encoded(OpenClip(model=str(folder)), photos)
    found = encoded(OpenClip(model=str(tmp_path / "whole.json"), weights=str(tmp_path / "mine.pth")), photos)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a.vectors, b.vectors)
    bare = OpenClip(model=str(tmp_path / "mine.json"), weights=str(tmp_path / "mine.pth"))
    assert bare.fingerprint().startswith("open_clip/mine/mine.pth@")
    np.testing.assert_array_equal(encoded(bare, photos)[1].vectors, expected[1].vectors)
    # a checkpoint may stand in a folder's weights' place
    livelier = {name: 2 * tensor if name == "text_projection" else tensor for name, tensor in state.items()}
    torch.save(livelier, tmp_path / "other.pt")
    other = encoded(OpenClip(model=str(folder), weights=str(tmp_path / "other.pt")), photos)
    np.testing.assert_allclose(other[1].vectors, 2 * expected[1].vectors, rtol=1e-5)


@pytest.mark.torch
def test_what_is_missing_or_wrong_is_said_before_any_work(tiny, tmp_path):
    folder = tiny("open_clip_folder")
    (tmp_path / "empty").mkdir()
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(folder / "open_clip_config.json", bare)
    config = bare / "open_clip_config.json"

    def says(part):
        problem = part.check()
        return f"{problem.what} -> {problem.cure}"

    assert "open_clip_config.json is missing" in says(OpenClip(model=str(tmp_path / "empty")))
    assert "no weights in" in says(OpenClip(model=f"local-dir:{bare}"))
    assert "there is no file no.json" in says(OpenClip(model="no.json"))
    assert "needs weights" in says(OpenClip(model=str(config)))
    assert "has no model 'ViT-B-33'" in says(OpenClip(model="ViT-B-33"))
    assert "has no weights 'opennai'" in says(OpenClip(model="ViT-B-32", weights="opennai"))
    assert "openai" in OpenClip(model="ViT-B-32", weights="opennai").check().cure
    assert "precision is one of fp32, bf16, fp16" in says(OpenClip(model=str(folder), precision="int8"))
    assert "runtime is one of" in says(OpenClip(model=str(folder), runtime="jax"))
    assert "capbench export-encoder" in says(OpenClip(model=str(folder), runtime="onnx"))
    assert "hf download no/model" in says(Hf("no/model"))
    assert "neither a folder" in says(Hf("not a hub id at all"))
    assert "encoder.json is missing" in says(Onnx(str(bare)))
    shutil.copy(tiny("clip_folder") / "config.json", tmp_path / "empty")
    assert "no weights in" in says(Hf(str(tmp_path / "empty")))


@pytest.mark.torch
def test_a_tag_is_looked_for_where_open_clip_puts_it_and_nothing_is_fetched(tiny, tmp_path, monkeypatch):
    tiny("open_clip_folder")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("capbench.openclip_models.hub_file", lambda repository, name: None)
    problem = OpenClip(model="ViT-B-32", weights="openai").check()
    assert "are not on this machine" in problem.what
    assert "open_clip.create_model('ViT-B-32', pretrained='openai')" in problem.cure
    asked = []

    def hub(repository, name):
        asked.append((repository, name))
        return None if name.endswith(".bin") else place

    place = tmp_path / "open_clip_model.safetensors"
    place.write_bytes(b"weights")
    monkeypatch.setattr("capbench.openclip_models.hub_file", hub)
    mark = OpenClip(model="ViT-B-32", weights="openai").fingerprint()
    assert asked == [("timm/vit_base_patch32_clip_224.openai", "open_clip_model.safetensors")]
    # the tag wants QuickGELU, which open_clip only warns of: the model has it, and one name for both spellings
    assert mark.startswith("open_clip/ViT-B-32-quickgelu/openai@")
    assert mark == OpenClip(model="ViT-B-32-quickgelu", weights="openai").fingerprint()
    problem = OpenClip(model="ViT-B-32-quickgelu", weights="laion2b_s34b_b79k").check()
    assert problem is not None


@pytest.mark.torch
def test_weights_of_another_model_are_refused_in_words(tiny, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny("open_clip_folder"), other)
    config = json.loads((other / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 8
    (other / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(CapbenchError, match="open_clip cannot load other"), OpenClip(model=str(other)).open("cpu"):
        pass
    backend = OpenClip(model=str(tiny("open_clip_folder")))
    with pytest.raises(MissingPart, match="torch cannot use the device 'nowhere'"), backend.open("nowhere"):
        pass


@pytest.mark.torch
@pytest.mark.parametrize("name", ["open_clip_folder", "clip_folder", "siglip_folder"])
def test_an_export_gives_the_original_s_cosines(tiny, name, tmp_path, photos):
    spec = f"{KINDS[name].name}(model={str(tiny(name))!r})"
    folder, found = exporting.export(spec, str(tmp_path / "out"))
    assert max(found.cosine, found.vector) < 1e-5
    assert found.pictures == 28
    a, b = (encoded(part, photos) for part in (plugins.load("backends", spec).value, Onnx(str(folder))))
    for ours, theirs in zip(a, b, strict=True):
        np.testing.assert_allclose(ours.vectors, theirs.vectors, rtol=0, atol=1e-5)
    assert a[1].cut.tolist() == b[1].cut.tolist()
    card = onnx.read_card(folder)
    assert card.source == plugins.load("backends", spec).value.fingerprint()
    assert card.agreement.onnxruntime == importlib.metadata.version("onnxruntime")
    assert Onnx(str(folder)).fingerprint().startswith(f"onnx/{card.source}@")


@pytest.mark.torch
def test_an_export_runs_without_torch(tiny, photos):
    code = f"""
import sys
sys.modules["torch"] = sys.modules["open_clip"] = sys.modules["transformers"] = None
from capbench.backends.onnx import Onnx
from capbench.images import reference
with Onnx({str(tiny("export_folder"))!r}).open("cpu") as session:
    print(session.images([reference({photos[0].path!r})]).vectors.shape, session.texts(["a dog"]).vectors.shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["(1,", "24)", "(1,", "24)"], done.stderr


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.torch
def test_an_export_in_the_cache_computes_in_the_encoder_s_name(tiny, own_cache, monkeypatch):
    spec = f"open_clip(model={str(tiny('open_clip_folder'))!r})"
    encoder = plugins.load("backends", spec).value
    mark = encoder.fingerprint()
    assert routes.route("auto", "fp32", "cpu", lambda: mark) is None
    folder, _ = exporting.export(spec)
    assert folder == routes.cached_folder(mark)
    assert routes.route("auto", "fp32", "cpu", lambda: mark) == folder
    for runtime, precision, device in (("torch", "fp32", "cpu"), ("auto", "bf16", "cpu"), ("auto", "fp32", "cuda")):
        assert routes.route(runtime, precision, device, lambda: mark) is None
    assert encoder.fingerprint() == mark  # the route is not in it
    assert OpenClip(model=encoder.model, runtime="onnx").check() is None
    # the export is what is opened, and torch is not
    monkeypatch.setattr(OpenClip, "load", lambda _: pytest.fail("torch was asked"))
    assert check_backend(encoder)
    with pytest.raises(UsageError, match="--fresh"):
        exporting.export(spec)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("source", "open_clip/other@0/fp32"),
        ("cosine", 5e-5),
        ("vector", 5e-5),
        ("onnxruntime", "1.0"),
        ("agreement", None),
    ],
)
def test_an_export_that_was_not_found_equal_here_does_not(tiny, own_cache, change, value):
    spec = f"open_clip(model={str(tiny('open_clip_folder'))!r})"
    mark = plugins.load("backends", spec).value.fingerprint()
    folder = routes.cached_folder(mark)
    folder.parent.mkdir(parents=True)
    shutil.copytree(tiny("export_folder"), folder)
    card = json.loads((folder / CARD).read_text())
    card["source"] = mark
    (folder / CARD).write_text(json.dumps(card))
    assert routes.stand_in(mark) == folder
    (card if change in card else card["agreement"])[change] = value
    (folder / CARD).write_text(json.dumps(card))
    assert routes.stand_in(mark) is None
    with pytest.raises(MissingPart, match="no export"):
        routes.route("onnx", "fp32", "cpu", lambda: mark)


@pytest.mark.torch
def test_an_export_that_differs_is_not_kept(tiny, tmp_path, monkeypatch):
    from capbench.backends import export

    spec = f"open_clip(model={str(tiny('open_clip_folder'))!r})"
    honest = export.of_merges
    monkeypatch.setattr(export, "of_merges", lambda v, m, s, context: honest(v, m[:1000], s, context))
    with pytest.raises(CheckFailed, match=r"the export is not|cut different texts"):
        exporting.export(spec, str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.torch
def test_what_cannot_be_exported_is_refused(tiny, tmp_path):
    cases = {
        "scenes": "scenes cannot be exported",
        f"open_clip(model={str(tiny('open_clip_folder'))!r}, precision='bf16')": "in fp32 can be",
        f"hf(model={str(tiny('siglip2_folder'))!r})": "no rule for size",
        "hf(model='no/model')": "hf download no/model",
    }
    for spec, words in cases.items():
        with pytest.raises(CapbenchError) as caught:
            exporting.export(spec, str(tmp_path / "out"))
        assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.torch
def test_a_damaged_export_is_named(tiny, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(tiny("export_folder"), folder)
    card = json.loads((folder / CARD).read_text())
    for change, words in (
        ({"format": 2}, "of format 2"),
        ({"clean": "stem"}, "cleaned by one of"),
        ({"more": 1}, "more"),
    ):
        (folder / CARD).write_text(json.dumps(card | change))
        assert words in Onnx(str(folder)).check().what
    (folder / CARD).write_text(codec.to_json(card))
    (folder / "text.onnx").write_bytes(b"nothing")
    with pytest.raises(CapbenchError, match=r"cannot load .*text\.onnx"), Onnx(str(folder)).open("cpu"):
        pass
    with pytest.raises(MissingPart, match="does not run on mps"), Onnx(str(folder)).open("mps"):
        pass


@pytest.mark.torch
@pytest.mark.parametrize("name", ["lower", "whitespace", "canonicalize"])
def test_texts_are_cleaned_as_open_clip_does(tiny, name):
    tiny("open_clip_folder")
    from open_clip.tokenizer import get_clean_fn

    texts = [
        *exporting.AWKWARD,
        *TEXTS,
        "under_score's \u201cquotes\u201d -- dash",
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ]
    ours, theirs = onnx.cleaner(name), get_clean_fn(name)
    assert [ours(text) for text in texts] == [theirs(text) for text in texts]


@pytest.mark.torch
def test_a_run_on_photographs_counts_the_texts_that_were_cut(tiny, photos, tmp_path):
    folder = photos[0].path.rpartition("/")[0]
    lines = [{"id": f"{i}.png", "caption": "a dog " * (20 if i == 1 else 1)} for i in range(4)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = capbench.run(
        str(tmp_path / "c.jsonl"), f"folder(images={folder!r})", ["clip_cosine", "clipscore"], runs=None,
        backends={"clip": f"open_clip(model={str(tiny('open_clip_folder'))!r})"},
    )  # fmt: skip
    assert {s.cut for s in run.summaries} == {1}
    assert all("open_clip/open-clip-folder/open_clip_model.safetensors@" in s.signature for s in run.summaries)
    assert -1 <= run.value("clip_cosine") <= 1
