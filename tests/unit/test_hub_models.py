"""Models of the hub and in folders: all parts that take one name, digest and miss it in the same words."""

import hashlib
import shutil
import warnings

import pytest

from capbench.backends.factual import Factual
from capbench.backends.hf import Hf
from capbench.backends.sentences import Sentences
from capbench.captioners.hf import HfCaptioner
from capbench.captioners.vllm import Vllm
from capbench.errors import CapbenchError
from capbench.hub_models import loading
from capbench.protocols import Problem

PARTS = (Hf, Factual, Sentences, HfCaptioner, Vllm)
VLLM = Problem("vllm is not installed", "pip install vllm (it needs a GPU; without one: hf)")
COMMIT = "c0ffee"


@pytest.fixture
def libraries(monkeypatch):
    """The libraries that are there; what a test takes out is missing."""
    there = {"torch", "transformers", "sentence_transformers", "accelerate", "vllm", "huggingface_hub"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.11.0")
    return there


@pytest.fixture
def folder(tmp_path, libraries):
    """A folder as ``save_pretrained`` leaves it, as far as a name and a digest go."""
    made = tmp_path / "tiny"
    made.mkdir()
    for name, content in (("config.json", "{}"), ("model.safetensors", "weights"), ("vocab.txt", "a\nb\n")):
        (made / name).write_text(content)
    return made


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    """The same model in the hub's cache, as someone/tiny."""
    constants = pytest.importorskip("huggingface_hub", reason="it comes with capbench[hf]").constants
    repo = tmp_path / "hub" / "models--someone--tiny"
    shutil.copytree(folder, repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def digest(folder):
    """The sum of names, sizes and bytes: weights first, then descriptions."""
    state = hashlib.blake2b(digest_size=8)
    for name in ("model.safetensors", "config.json", "vocab.txt"):
        data = (folder / name).read_bytes()
        state.update(f"{name}\n{len(data)}\n".encode() + data)
    return state.hexdigest()


@pytest.mark.parametrize(("part", "lost", "problem"), [
    (Hf, {"torch"}, Problem("torch not installed", "pip install 'capbench[hf]'")),
    (Factual, {"torch", "transformers"}, Problem("torch and transformers not installed", "pip install 'capbench[hf]'")),
    (Sentences, {"sentence_transformers"},
     Problem("sentence_transformers not installed", "pip install 'capbench[sentences]'")),
    (HfCaptioner, {"transformers"}, Problem("transformers not installed", "pip install 'capbench[hf]'")),
    (Vllm, {"vllm"}, VLLM),
])  # fmt: skip
def test_a_missing_library_is_told_before_a_missing_model(part, lost, problem, libraries):
    libraries -= lost
    assert part("no/model").check() == problem


@pytest.mark.parametrize("device_map", ["", "auto"])
def test_accelerate_is_missed_only_where_it_spreads_a_model(device_map, libraries):
    libraries.discard("accelerate")
    captioner = HfCaptioner("no/model", device_map=device_map)
    assert (captioner.check().cure == "pip install accelerate") == bool(device_map)
    libraries.discard("torch")
    assert captioner.check().cure == "pip install 'capbench[hf]'"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("model", ["no/model", "no hub id at all"])
def test_a_missing_model_is_told_with_the_command(part, model, hub):
    if part is Vllm:  # which fetches it
        assert part(model).check() is None
        assert part(model).fingerprint() == f"vllm-0.11.0/{model}@main/auto"
        return
    more = ", and capbench fetches nothing" if part is HfCaptioner else ""
    what = f"no model {model!r}: neither a folder with a config.json nor in the hub's cache{more}"
    assert part(model).check() == Problem(what, f"hf download {model}, or give a folder: {part.name}(model='FOLDER')")
    with pytest.raises(CapbenchError, match="nor in the hub's cache"):
        part(model).fingerprint()


def test_a_missing_revision_is_named(hub):
    problem = HfCaptioner("someone/tiny", revision="v2").check()
    assert problem.what.startswith("no model 'someone/tiny' of revision v2: neither")
    assert problem.cure == "hf download someone/tiny --revision v2, or give a folder: hf(model='FOLDER')"


@pytest.mark.parametrize("part", [Hf, Factual, Sentences, HfCaptioner])
def test_missing_weights_are_told_with_the_folder(part, folder):
    (folder / "model.safetensors").unlink()
    problem = Problem(f"no weights in {folder}", "one of *.safetensors, pytorch_model*.bin belongs there")
    assert part(str(folder)).check() == problem


@pytest.mark.parametrize("part", PARTS)
def test_an_altered_folder_has_another_fingerprint(part, folder, tmp_path):
    model = part(str(folder))
    assert f"/tiny@{digest(folder)}" in model.fingerprint()
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "tiny")
    assert part(str(copy)).fingerprint() == model.fingerprint()
    seen = {model.fingerprint()}
    for name in ("model.safetensors", "config.json", "vocab.txt"):
        (folder / name).write_text((folder / name).read_text() + " ")
        assert f"/tiny@{digest(folder)}" in model.fingerprint()
        seen.add(model.fingerprint())
    assert len(seen) == 4


@pytest.mark.parametrize("part", PARTS)
def test_a_model_of_the_hub_goes_by_its_id(part, folder, hub):
    version = COMMIT if part in (HfCaptioner, Vllm) else digest(folder)
    assert f"/someone/tiny@{version}" in part("someone/tiny").fingerprint()


@pytest.mark.parametrize("part", [HfCaptioner, Vllm])
def test_code_of_a_folder_counts_where_it_is_run(part, folder):
    (folder / "model.py").write_text("code")
    plain = part(str(folder)).fingerprint()
    own = hashlib.blake2b(b"model.py\n4\ncode", digest_size=8).hexdigest()
    trusted = part(str(folder), trust_remote_code=True).fingerprint()
    assert f"@{digest(folder)}+{own}/" in trusted
    assert trusted.endswith("(trust_remote_code=True)")
    assert own not in plain


@pytest.mark.torch
def test_what_a_library_raises_is_told_in_its_words(recwarn):
    def load():
        with loading("x cannot load y"):
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            raise KeyError("z")

    with pytest.raises(CapbenchError) as caught:
        load()
    assert caught.value.message == "x cannot load y: KeyError: 'z'"
    assert not recwarn.list
    with loading("x", "cure", trust=True) as settings:
        assert settings == {"local_files_only": True, "trust_remote_code": True}
