"""What every test stands on: own cache, no plugins of others, and the shared data if it is there."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from capbench.metrics.spice import WANTED, Spice

ROOT = Path(__file__).resolve().parent.parent
BESIDE_OTHERS = "PYTEST_XDIST_WORKER" in os.environ  # one of several processes that share the test files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes begin with the files that take long, so that none is at one alone in the end."""
    if BESIDE_OTHERS:
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests of the second environment say what they miss in the first."""
    if item.get_closest_marker("torch") is not None and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: make test-torch VENV=... runs this test")


@pytest.fixture(scope="session", autouse=True)
def own_world(tmp_path_factory):
    """A cache that only this test run uses; set for child processes too."""
    before = dict(os.environ)
    cache = tmp_path_factory.mktemp("cache")
    for name in ("meteor", "idf") if BESIDE_OTHERS else ():  # from installed files, whoever makes them first
        common = tmp_path_factory.getbasetemp().parent / name
        common.mkdir(exist_ok=True)
        (cache / name).symlink_to(common)
    os.environ["CAPBENCH_CACHE"] = str(cache)
    os.environ["CAPBENCH_PLUGINS"] = "off"
    os.environ.pop("CAPBENCH_DATA", None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside the checkout: this test reads real captions from there")
    return folder


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory):
    """The environment of a new virtual environment, in which ``pip install capbench`` installs this checkout.

    What capbench needs is there already (links to this environment's packages); pip asks no index.
    """
    place = tmp_path_factory.mktemp("clean")
    wheels, packages, venv = place / "wheels", place / "packages", place / "venv"
    words = ["wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True)
    packages.mkdir()
    for folder in dict.fromkeys(Path(p) for p in sys.path if p.endswith("site-packages") and Path(p).is_dir()):
        for entry in folder.iterdir():
            kept = not re.match(r"_?_?(editable_*|impl_)?_?capbench|pip\b|setuptools\b|.*\.pth$", entry.name)
            if kept and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    (own,) = (venv / "lib").glob("python*/site-packages")
    (own / "links.pth").write_text(f"{packages}\n")
    settings = {
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(venv), "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "HOME": str(place),
        "CAPBENCH_CACHE": str(place / "cache"), "LANG": "C.UTF-8",
    }  # fmt: skip
    done = subprocess.run(["pip", "--version"], env=settings, capture_output=True, text=True, check=True)
    assert str(venv) in done.stdout
    return settings


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


# It answers backwards, with the number of words that caption and references share; no reference of an
# item says a colour, so that kind is NaN, as the jar writes it.
STAND_IN = """#!{python}
import json, pathlib, sys
words = sys.argv[1:]
pathlib.Path({log!r}).write_text(json.dumps(words))
at = words.index("edu.anu.spice.SpiceScorer")
source, out = words[at + 1], words[words.index("-out") + 1]
answers = []
for item in reversed(json.load(open(source))):
    shared = set(item["test"].split()) & set(" ".join(item["refs"]).split())
    answers.append({{"image_id": item["image_id"], "scores": {{"All": {{"f": min(1, len(shared) / 10)}}, "Color": {{"f": "NaN"}}}}}})
{change}
pathlib.Path(out).write_text(json.dumps(answers))
"""


@pytest.fixture
def spice_program(tmp_path, monkeypatch):
    """spice_program(change) -> (metric, log): java is the stand-in, the CoreNLP jars are empty files."""
    for name in WANTED:
        (tmp_path / name).touch()
    log = tmp_path / "words.json"

    def make(change=""):
        java = tmp_path / "bin" / "java"
        java.parent.mkdir(exist_ok=True)
        java.write_text(STAND_IN.format(python=sys.executable, log=str(log), change=change))
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(java.parent))
        return Spice(jars=str(tmp_path), memory="3G", seconds=20), log

    return make


WORDS = "a an the cat cats dog dogs runs run red on two ##s ##ing sleep . , ! e b d r s t"


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    """A folder with a BERT of three layers, seeded, with a vocabulary of its own: what a user's folder has."""
    torch = pytest.importorskip("torch", reason="pip install 'capbench[bert]': this test loads a small model")
    transformers = pytest.importorskip("transformers", reason="pip install 'capbench[bert]'")
    pytest.importorskip("bert_score", reason="pip install 'capbench[bert]'")
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    torch.manual_seed(0)
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()])}
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """tiny(NAME) -> the folder of a small seeded dual encoder; the names are the functions of tiny_models.py."""
    return maker("tiny_models", tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_captioner(tmp_path_factory):
    """tiny_captioner(NAME) -> the folder of a small seeded captioner; the names are those of tiny_captioners.py."""
    return maker("tiny_captioners", tmp_path_factory)


def maker(module, tmp_path_factory):
    """name -> the folder that the function of that name in a file of this folder makes, once."""
    needed = (
        ("torch", "clip"),
        ("open_clip", "clip"),
        ("transformers", "hf"),
        ("onnxscript", "export"),
    )
    for name, extra in needed:
        pytest.importorskip(name, reason=f"pip install 'capbench[{extra}]': this test loads a small model")
    if module == "tiny_captioners" and importlib.util.find_spec("num2words") is None:
        # of SmolVLM; painters and encoders go without. A skip would go unseen where all else is there
        pytest.fail("SmolVLM's processor needs num2words: pip install 'capbench[hf]'", pytrace=False)
    found = importlib.util.spec_from_file_location(module, ROOT / "tests" / f"{module}.py")
    models = importlib.util.module_from_spec(found)
    found.loader.exec_module(models)
    made = {}

    def make(name):
        if name not in made:
            importlib.import_module("torch").manual_seed(0)  # for what a model draws itself when it is built
            made[name] = getattr(models, name)(tmp_path_factory.mktemp("models") / name.replace("_", "-"))
        return made[name]

    return make


@pytest.fixture
def random_alexnet(tmp_path, monkeypatch) -> Path:
    """Random weights of AlexNet where torch's hub would have put the real ones, which LPIPS looks at pictures with."""
    torch = pytest.importorskip("torch", reason="pip install 'capbench[lpips]': this test loads a small model")
    torchvision = pytest.importorskip("torchvision", reason="pip install 'capbench[lpips]'")
    pytest.importorskip("lpips", reason="pip install 'capbench[lpips]'")
    place = tmp_path / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(torchvision.models.alexnet(weights=None).state_dict(), place / "alexnet-owt-7be5be79.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return place


@pytest.fixture(scope="session")
def loopback():
    """The module of tests/loopback.py: a chat server that misbehaves as it is told."""
    found = importlib.util.spec_from_file_location("loopback", ROOT / "tests" / "loopback.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module
