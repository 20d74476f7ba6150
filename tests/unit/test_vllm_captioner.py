"""The captioner ``vllm`` against a stand-in with the interface that vLLM documents: what it is asked, what comes back."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from capbench.captioners.vllm import Vllm
from capbench.errors import MissingPart, UsageError
from capbench.images import reference
from capbench.types import Failure, Generation, Request


class LLM:
    """Answers with the number and sizes of the pictures, and the words."""

    def __init__(self, **settings):
        self.settings, self.calls = settings, []
        LLM.last = self

    def chat(self, messages, sampling_params=None, use_tqdm=True):
        assert not use_tqdm
        assert len(messages) == len(sampling_params)
        self.calls.append((messages, sampling_params))
        return [SimpleNamespace(outputs=[SimpleNamespace(text=f" {self.told(talk)}\n")]) for talk in messages]

    def told(self, talk):
        (turn,) = talk
        assert turn["role"] == "user"
        *pictures, words = turn["content"]
        assert {part["type"] for part in pictures} == {"image_pil"}
        return f"{[part['image_pil'].size for part in pictures]} {words['text']}"


@pytest.fixture
def installed(monkeypatch):
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("capbench.captioners.vllm.importlib.metadata.version", lambda name: "0.11.0")


@pytest.fixture
def requests(tmp_path):
    for i in range(3):
        Image.new("RGB", (10 + i, 20)).save(tmp_path / f"{i}.png")
    refs = [reference(tmp_path / f"{i}.png") for i in range(3)]
    return [
        Request("a", refs[0], (refs[1],), prompt="say it", regions=((0, 0, 3, 4),), length=7),
        Request("b", None),
        Request("c", refs[2]),
    ]


def asked(captioner, requests, params):
    with captioner.open("cuda") as session:
        return session.caption(requests, params)


def test_what_it_is_asked(installed, requests):
    told = asked(
        Vllm("org/model", revision="v1", gpus=2, context_tokens=4096), requests, Generation(max_tokens=9, seed=3)
    )
    assert told == [
        "[(10, 20)] say it", Failure("there is no picture"), "[(12, 20)] Provide a one-sentence caption for this image.",
    ]  # fmt: skip
    assert LLM.last.settings == {
        "model": "org/model", "revision": "v1", "dtype": "auto", "trust_remote_code": False, "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.9, "max_model_len": 4096,
    }  # fmt: skip
    ((_, ways),) = LLM.last.calls
    assert [(way.temperature, way.max_tokens) for way in ways] == [(0.0, 9)] * 2
    assert not hasattr(ways[0], "top_p")


def test_context_regions_and_prompts(installed, requests):
    own = Vllm("m", prompt="{length} words", crop=True, context=True, dtype="bf16", top_p=0.9)
    assert asked(own, requests[:1], Generation(temperature=0.7)) == ["[(3, 4), (11, 20)] 7 words"]
    assert LLM.last.settings["dtype"] == "bfloat16"
    way = LLM.last.calls[0][1][0]
    assert (way.temperature, way.top_p, way.top_k, way.max_tokens) == (0.7, 0.9, 0, 256)
    assert own.uses == {"max_tokens", "temperature", "seed", "length", "regions", "context"}
    assert Vllm("m").uses == {"max_tokens", "temperature", "seed", "prompt"}


def test_seeds_differ_by_item_and_run(installed, requests):
    seeds = []
    for seed in (1, 2):
        asked(Vllm("m"), [requests[0], requests[2]], Generation(temperature=1.0, seed=seed))
        seeds += [way.seed for way in LLM.last.calls[0][1]]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_fingerprints(installed):
    plain = Vllm("no/where", revision="v1")
    assert plain.fingerprint() == "vllm-0.11.0/no/where@v1/auto"
    assert Vllm("no/where", revision="v1", gpus=4, batch=8).fingerprint() == plain.fingerprint()
    assert Vllm("no/where", revision="v1", prompt="x").fingerprint() == plain.fingerprint() + "(prompt='x')"


def test_without_vllm_the_plan_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert Vllm("m").check().cure.startswith("pip install vllm")
    with pytest.raises(MissingPart, match="vllm is not installed"):
        Vllm("m").fingerprint()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert "config.json is missing" in Vllm(str(tmp_path)).check().what


@pytest.mark.parametrize("values", [{"gpus": 0}, {"memory": 1.5}, {"dtype": "int4"}, {"top_p": 0.0}, {"prompt": "{x}"}])
def test_parameters_that_mean_nothing_are_refused(values):
    with pytest.raises(UsageError):
        Vllm("m", **values)
