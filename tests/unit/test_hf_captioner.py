"""The captioner ``hf``: ten families of transformers through the real code, small and seeded, in folders."""

import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

import capbench
from capbench import plugins
from capbench.captioners.hf import HfCaptioner
from capbench.captioners.sampling import Draws, draws, seed_of
from capbench.errors import CapbenchError, MissingPart, UsageError
from capbench.images import load, reference
from capbench.testing import check_captioner
from capbench.types import Failure, Generation, ImageRef, Request

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # PaliGemma's processor
FAMILIES = (
    "blip", "blip2", "git", "vit_gpt2", "llava", "llava_without_chat", "qwen2_vl", "paligemma", "smolvlm", "florence2",
)  # fmt: skip
SIZES = [(40, 60), (64, 64), (32, 32), (90, 41), (33, 70), (50, 20)]
SHORT = Generation(max_tokens=8)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for i, (width, height) in enumerate(SIZES):
        pixels = noise.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def requests(photos):
    return [Request(path.stem, reference(path)) for path in sorted(photos.iterdir())]


def asked(captioner, requests, params=SHORT, batch=0):
    size = batch or len(requests)
    with captioner.open("cpu") as session:
        return [a for i in range(0, len(requests), size) for a in session.caption(requests[i : i + size], params)]


@pytest.mark.torch
@pytest.mark.parametrize("name", FAMILIES)
def test_one_by_one_and_in_batches_each_family_says_the_same(tiny_captioner, requests, name):
    captioner = HfCaptioner(str(tiny_captioner(name)))
    assert captioner.check() is None
    for params in (SHORT, Generation(max_tokens=8, beams=3), Generation(max_tokens=8, temperature=1.0, seed=5)):
        together = asked(captioner, requests, params)
        assert together == asked(captioner, requests, params, batch=1)
        assert all(isinstance(text, str) for text in together)
        assert len(set(together)) > 2, "an answer depends on the picture"
        assert not any(mark in text for text in together for mark in ("<s>", "</s>", "<pad>", "<image>", "[SEP]"))


@pytest.mark.torch
def test_the_words_are_those_of_the_library_asked_by_hand(tiny_captioner, requests):
    """BLIP and LLaVA as their own pages ask them; two sums of the adapter, made without it."""
    import transformers

    pictures = [load(request.image) for request in requests]
    folder = tiny_captioner("blip")
    processor = transformers.BlipProcessor.from_pretrained(folder, backend="pil")  # as the adapter: the same pixels
    model = transformers.BlipForConditionalGeneration.from_pretrained(folder)
    for picture, told in zip(pictures, asked(HfCaptioner(str(folder)), requests), strict=True):
        ids = model.generate(**processor(images=picture, return_tensors="pt"), max_new_tokens=8, do_sample=False)
        assert processor.decode(ids[0], skip_special_tokens=True) == told
    for picture, told in zip(
        pictures, asked(HfCaptioner(str(folder), prompt="a picture of"), requests, batch=2), strict=True
    ):
        inputs = processor(images=picture, text="a picture of", return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        whole = processor.decode(ids[0], skip_special_tokens=True)
        assert whole.startswith("a picture of")
        assert whole.removeprefix("a picture of").strip() == told

    folder = tiny_captioner("llava")
    processor = transformers.LlavaProcessor.from_pretrained(folder, backend="pil")
    model = transformers.LlavaForConditionalGeneration.from_pretrained(folder)
    question = "what does the image describe ?"
    for picture, told in zip(pictures, asked(HfCaptioner(str(folder), prompt=question), requests), strict=True):
        text = f"user : <image>{question} assistant : "
        inputs = processor(images=picture, text=text, return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        assert processor.decode(ids[0][inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip() == told


@pytest.mark.torch
@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("vit_gpt2", "florence2")])
def test_a_prompt_changes_the_answer_and_is_not_in_it(tiny_captioner, requests, name):
    folder = str(tiny_captioner(name))
    mixed = [Request(r.id, r.image, prompt="a dog in the" if int(r.id) % 2 else "two cat") for r in requests]
    told = asked(HfCaptioner(folder), mixed)
    assert told == asked(HfCaptioner(folder), mixed, batch=1)
    assert told != asked(HfCaptioner(folder), requests)
    assert not any(text.startswith(("a dog in the", "two cat")) for text in told)
    own = HfCaptioner(folder, prompt="two cat")
    assert asked(own, mixed)[0] == told[0], "the captioner's own prompt is the one that holds"
    assert asked(own, mixed) == asked(own, requests)


@pytest.mark.torch
def test_florence_is_asked_by_tasks_and_regions(tiny_captioner, requests):
    folder = str(tiny_captioner("florence2"))
    usual = asked(HfCaptioner(folder), requests)
    assert usual == asked(HfCaptioner(folder, prompt="<CAPTION>"), requests)
    assert usual != asked(HfCaptioner(folder, prompt="<MORE_DETAILED_CAPTION>"), requests)
    width, height = SIZES[0]
    boxed = [Request("0", requests[0].image, regions=((width / 4, 0, width / 4, height),))]
    by_box = asked(HfCaptioner(folder, prompt="<REGION_TO_DESCRIPTION>"), boxed)
    by_hand = HfCaptioner(folder, prompt="<REGION_TO_DESCRIPTION><loc_250><loc_0><loc_500><loc_999>")
    assert by_box == asked(by_hand, requests[:1])
    assert "regions" not in HfCaptioner(folder).uses
    assert "regions" in HfCaptioner(folder, prompt="<REGION_TO_DESCRIPTION>").uses
    with pytest.raises(UsageError, match="about a region"):
        asked(HfCaptioner(folder, prompt="<REGION_TO_DESCRIPTION>"), requests)
    with pytest.raises(UsageError, match="<OD>"):
        asked(HfCaptioner(folder, prompt="<OD>"), requests)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["llava", "qwen2_vl", "smolvlm"])
def test_a_chat_sees_the_other_pictures_of_a_bag_if_it_is_to(tiny_captioner, requests, name):
    folder = str(tiny_captioner(name))
    others = tuple(request.image for request in requests)
    bags = [Request(r.id, r.image, context=others[: i % 3]) for i, r in enumerate(requests)]
    seen = HfCaptioner(folder, context=True)
    assert "context" in seen.uses
    assert "context" not in HfCaptioner(folder).uses
    assert asked(HfCaptioner(folder), bags) == asked(HfCaptioner(folder), requests)
    told = asked(seen, bags)
    assert told == asked(seen, bags, batch=1)
    assert [a == b for a, b in zip(told, asked(seen, requests), strict=True)] == [i % 3 == 0 for i in range(6)]


@pytest.mark.torch
def test_what_a_family_cannot_take_is_refused_or_passed_over(tiny_captioner, requests):
    blind = HfCaptioner(str(tiny_captioner("vit_gpt2")))
    assert "prompt" not in blind.uses
    assert asked(blind, [Request(r.id, r.image, prompt=f"say {r.id}") for r in requests]) == asked(blind, requests)
    one = HfCaptioner(str(tiny_captioner("blip")), context=True)
    with pytest.raises(UsageError, match="one picture at a time"), one.open("cpu"):
        pass


@pytest.mark.torch
def test_a_region_is_cut_out(tiny_captioner, requests, photos, tmp_path):
    folder = str(tiny_captioner("blip"))
    boxed = [Request(r.id, r.image, regions=((4, 2, 9, 11.5), (10, 2, 8, 1))) for r in requests]
    for request in requests:
        load(request.image).crop((4, 2, 18, 14)).save(tmp_path / f"{request.id}.png")
    cut = [Request(path.stem, reference(path)) for path in sorted(tmp_path.iterdir())]
    assert asked(HfCaptioner(folder, crop=True), boxed) == asked(HfCaptioner(folder), cut)
    assert asked(HfCaptioner(folder, crop=True), boxed) != asked(HfCaptioner(folder), requests)
    outside = [Request("0", requests[0].image, regions=((500, 0, 9, 9),)), boxed[1]]
    failed, fine = asked(HfCaptioner(folder, crop=True), outside)
    assert "outside the picture" in failed.reason
    assert isinstance(fine, str)


@pytest.mark.torch
def test_a_bad_picture_costs_only_itself(tiny_captioner, requests, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    bad = Request("x", reference(tmp_path / "bad.png"))
    captioner = HfCaptioner(str(tiny_captioner("git")))
    told = asked(captioner, [bad, *requests[:2], Request("none", None), Request("gone", ImageRef("gone.png", "00"))])
    assert told[1:3] == asked(captioner, requests[:2])
    assert [type(told[i]) for i in (0, 3, 4)] == [Failure] * 3
    assert asked(captioner, [bad]) == [told[0]]


@pytest.mark.torch
def test_what_is_announced_is_what_is_answered(tiny_captioner, requests):
    captioner = HfCaptioner(str(tiny_captioner("llava")))
    with captioner.open("cpu") as session:
        told = []
        for i in range(3):
            session.ahead(requests[2 * i + 2 : 2 * i + 4])
            told += session.caption(requests[2 * i : 2 * i + 2], SHORT)
        session.ahead(requests[:1])
        session.caption(requests[1:2], SHORT)
        other = session.caption(requests[4:5], SHORT)  # another batch than was announced
    assert told == asked(captioner, requests)
    assert other == told[4:5]


@pytest.mark.torch
def test_draws_follow_the_probabilities():
    """Of 4,000 draws at temperature 2 from scores ln p, each token has its share p^(1/2) / sum, to 4 deviations."""
    import torch

    p = torch.tensor([0.64, 0.16, 0.16, 0.04])
    shares = (p.sqrt() / p.sqrt().sum()).numpy()  # 0.8, 0.4, 0.4, 0.2 of 1.8
    noise = Draws([seed_of(0, str(i)) for i in range(4000)], "cpu", 2.0, 1.0, 0)
    drawn = noise(None, p.log().expand(4000, 4)).argmax(dim=1).numpy()
    counts = np.bincount(drawn, minlength=4) / 4000
    assert (np.abs(counts - shares) < 4 * np.sqrt(shares * (1 - shares) / 4000)).all()
    two = Draws([seed_of(0, str(i)) for i in range(200)], "cpu", 2.0, 1.0, 1)(None, p.log().expand(200, 4))
    assert (two.argmax(dim=1) == 0).all()
    nucleus = Draws([seed_of(0, str(i)) for i in range(2000)], "cpu", 1.0, 0.7, 0)(None, p.log().expand(2000, 4))
    assert set(nucleus.argmax(dim=1).tolist()) == {0, 1} or set(nucleus.argmax(dim=1).tolist()) == {0, 2}
    with pytest.raises(UsageError, match="beams"):
        draws([Request("a", None)], Generation(temperature=1.0, beams=2), "cpu", 1.0, 0)


@pytest.mark.torch
def test_seeds_and_ids_draw_differently(tiny_captioner, requests):
    captioner = HfCaptioner(str(tiny_captioner("git")))
    same = [Request(str(i), requests[0].image) for i in range(6)]
    drawn = asked(captioner, same, Generation(max_tokens=8, temperature=1.0, seed=1))
    assert len(set(drawn)) > 3
    assert drawn != asked(captioner, same, Generation(max_tokens=8, temperature=1.0, seed=2))
    assert len(set(asked(captioner, same, SHORT))) == 1
    colder = asked(captioner, same, Generation(max_tokens=8, temperature=1e-4, seed=1))
    assert colder == asked(captioner, same, SHORT)


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_is_another_captioner(tiny_captioner, requests, dtype):
    half = HfCaptioner(str(tiny_captioner("blip")), dtype=dtype)
    assert half.fingerprint() != HfCaptioner(str(tiny_captioner("blip"))).fingerprint()
    assert all(isinstance(text, str) for text in asked(half, requests))


@pytest.mark.torch
def test_the_fingerprint_says_what_can_change_a_caption(tiny_captioner, tmp_path):
    folder = tiny_captioner("blip")
    plain = HfCaptioner(str(folder))
    assert plain.fingerprint().startswith("hf/blip@")
    assert plain.fingerprint().endswith("/fp32")
    others = [
        HfCaptioner(str(folder), **values)
        for values in (
            {"prompt": "a"},
            {"dtype": "bf16"},
            {"crop": True},
            {"context": True},
            {"top_p": 0.9},
            {"top_k": 5},
        )
    ]
    assert len({plain.fingerprint(), *(other.fingerprint() for other in others)}) == 7
    assert HfCaptioner(str(folder), batch=3, device_map="auto").fingerprint() == plain.fingerprint()
    shutil.copytree(folder, tmp_path / "blip")
    assert HfCaptioner(str(tmp_path / "blip")).fingerprint() == plain.fingerprint()
    config = json.loads((tmp_path / "blip" / "config.json").read_text())
    (tmp_path / "blip" / "config.json").write_text(json.dumps({**config, "note": 1}))
    assert HfCaptioner(str(tmp_path / "blip")).fingerprint() != plain.fingerprint()


@pytest.mark.torch
def test_a_hub_id_is_found_in_the_cache_by_its_commit(tiny_captioner, requests, tmp_path, monkeypatch):
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    place = tmp_path / "models--some--blip"
    shutil.copytree(tiny_captioner("blip"), place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    (place / "refs" / "v2").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    captioner = HfCaptioner("some/blip")
    assert captioner.check() is None
    assert (
        captioner.fingerprint()
        == f"hf/some/blip@{commit}/fp32"
        == HfCaptioner("some/blip", revision="v2").fingerprint()
    )
    assert asked(captioner, requests) == asked(HfCaptioner(str(tiny_captioner("blip"))), requests)
    problem = HfCaptioner("some/blip", revision="v3").check()
    assert problem.what.startswith("no model 'some/blip' of revision v3")
    assert problem.cure.startswith("hf download some/blip --revision v3")


@pytest.mark.torch
def test_what_is_missing_is_said_before_anything_is_loaded(tiny_captioner, tmp_path):
    assert "fetches nothing" in HfCaptioner("no/such-model").check().what
    with pytest.raises(MissingPart, match="hf download no/such-model"):
        HfCaptioner("no/such-model").fingerprint()
    (tmp_path / "config.json").write_text("{}")
    assert "no weights" in HfCaptioner(str(tmp_path)).check().what
    (tmp_path / "model.safetensors").touch()
    assert "knows no model of the kind ''" in HfCaptioner(str(tmp_path)).check().what
    own = {"model_type": "wild", "auto_map": {"AutoModelForCausalLM": "wild.Wild"}}
    (tmp_path / "config.json").write_text(json.dumps(own))
    problem = HfCaptioner(str(tmp_path)).check()
    assert "only code of its own can run" in problem.what
    assert "trust_remote_code=True" in problem.cure
    assert HfCaptioner(str(tmp_path), trust_remote_code=True).check() is None
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "blip"}))
    assert "precision" in HfCaptioner(str(tmp_path), dtype="int3").check().what
    with pytest.raises(CapbenchError, match="cannot load"), HfCaptioner(str(tmp_path)).open("cpu"):
        pass
    assert "takes no prompt" in HfCaptioner(str(tiny_captioner("vit_gpt2")), prompt="say").check().what
    with pytest.raises(MissingPart, match="device 'nowhere'"), HfCaptioner(str(tiny_captioner("blip"))).open("nowhere"):
        pass


@pytest.mark.torch
def test_a_models_own_code_runs_only_when_it_is_trusted(tiny_captioner, requests, tmp_path):
    folder = tmp_path / "wild"
    shutil.copytree(tiny_captioner("git"), folder)
    (folder / "wild.py").write_text(
        "from transformers import GitConfig, GitForCausalLM\n"
        "class WildConfig(GitConfig):\n    model_type = 'wild'\n"
        "class Wild(GitForCausalLM):\n    config_class = WildConfig\n"
    )
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "wild", "auto_map": {"AutoConfig": "wild.WildConfig", "AutoModelForCausalLM": "wild.Wild"}}
    (folder / "config.json").write_text(json.dumps(config))
    assert HfCaptioner(str(folder)).check() is not None
    trusted = HfCaptioner(str(folder), trust_remote_code=True)
    assert trusted.check() is None
    assert asked(trusted, requests) == asked(HfCaptioner(str(tiny_captioner("git"))), requests)
    before = trusted.fingerprint()
    (folder / "wild.py").write_text((folder / "wild.py").read_text() + "# changed\n")
    assert trusted.fingerprint() != before


@pytest.mark.torch
def test_it_keeps_the_promises_of_captioners(tiny_captioner):
    assert "the same requests get the same answers" in check_captioner(HfCaptioner(str(tiny_captioner("blip"))))


@pytest.mark.torch
def test_a_run_from_a_spec(tiny_captioner, photos, tmp_path):
    spec = f"hf(model={str(tiny_captioner('vit_gpt2'))!r}, batch=4)"
    assert isinstance(plugins.load("captioners", spec).value, HfCaptioner)
    run = capbench.run(spec, f"folder(images={str(photos)!r})", runs=tmp_path, generation=SHORT)
    direct = asked(
        plugins.load("captioners", spec).value, [Request(f"{i}.png", reference(photos / f"{i}.png")) for i in range(6)]
    )
    assert [caption.text for caption in run.captions] == direct


@pytest.mark.torch
def test_the_command_line_captions_and_scores_photographs(tiny_captioner, shared, tmp_path):
    """Eight photographs, in batches of 3, with a bad one among them; the same again computes nothing."""
    with zipfile.ZipFile(next((shared / "flickr8k").glob("photos_dev-*.zip"))) as archive:
        names = sorted(archive.namelist())[:8]
        archive.extractall(tmp_path / "photos", names)
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"\xff\xd8 no picture")
    rows = [{"file_name": name, "captions": ["a dog runs", "two dogs run on grass"]} for name in [*names, "bad.jpg"]]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = f"hf(model={str(tiny_captioner('qwen2_vl'))!r}, batch=3)"
    words = ["run", spec, "-b", "folder(captions='captions.jsonl', images='photos')", "-m", "bleu", "--max-tokens", "6"]
    words += ["--max-missing", "0.2", "--prompt", "what is in this picture ?"]

    def capbench_says():
        done = subprocess.run(
            [sys.executable, "-m", "capbench", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = capbench_says()
    assert code == 0, err
    assert "BLEU" in out
    assert "9 captions, 1 metrics" in err
    (lines,) = (tmp_path / "runs").glob("*/*/captions.jsonl")
    captions = {row["id"]: row for row in map(json.loads, lines.read_text().splitlines())}
    assert [captions[name]["status"] for name in names] == ["ok"] * 8
    assert "cannot be" in captions["bad.jpg"]["reason"] or "not a picture" in captions["bad.jpg"]["reason"]
    assert "0 captions, 0 metrics" in capbench_says()[2]


def test_without_the_libraries_the_plan_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert HfCaptioner("m").check().cure == "pip install 'capbench[hf]'"
    assert HfCaptioner("m").uses == {"max_tokens", "temperature", "beams", "seed", "prompt"}


@pytest.mark.parametrize("values", [{"batch": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"prompt": "{size}"}])
def test_parameters_that_mean_nothing_are_refused(values):
    with pytest.raises(UsageError):
        HfCaptioner("m", **values)
