"""Models that chat about pictures, run by vLLM in this process.

Written against vLLM's documented offline interface (``LLM.chat`` with ``image_pil`` parts, from 0.10 on); tests run it
against a stand-in with that interface, since vLLM needs a GPU.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from capbench import prompts
from capbench.captioners.hf_models import CHAT_PROMPT, LONG
from capbench.captioners.pictures import Ahead, Pictures, ahead
from capbench.captioners.sampling import seed_of
from capbench.errors import MissingPart, UsageError
from capbench.hub_models import found, is_folder, model_name, model_version
from capbench.libraries import missing
from capbench.protocols import Problem
from capbench.signature import set_besides
from capbench.types import Failure, Generation, Request

BATCH = 64  # vLLM makes its own batches of what it is handed
SEEDS = 1 << 31
DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, slots=True)
class Vllm:
    """A model of vLLM that describes pictures.

    model: a hub id or a folder. Unlike ``hf``, vLLM fetches an id that is not in the hub's cache; it is then known by
    its name and revision only. prompt, revision, crop, context, top_p, top_k, trust_remote_code: as for ``hf``.
    dtype: auto (the model's own), fp32, bf16 or fp16. gpus: over how many the model is spread. memory: the share of
    each that vLLM takes. context_tokens: the longest request with its answer (0: the model's own). batch: requests
    that are handed over at a time.

    Raises:
        UsageError: values that mean nothing.
    """

    name: ClassVar[str] = "vllm"

    model: str
    prompt: str = ""
    revision: str = ""
    dtype: str = "auto"
    batch: int = field(default=BATCH, metadata={"signed": False})
    crop: bool = False
    context: bool = False
    top_p: float = 1.0
    top_k: int = 0
    trust_remote_code: bool = False
    gpus: int = field(default=1, metadata={"signed": False})
    memory: float = field(default=0.9, metadata={"signed": False})
    context_tokens: int = 0

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if self.batch < 1 or self.gpus < 1 or not 0 < self.memory <= 1 or self.context_tokens < 0:
            raise UsageError(
                f"vllm: batch={self.batch}, gpus={self.gpus}, memory={self.memory}, "
                f"context_tokens={self.context_tokens}",
                "batch and gpus are 1 or more, memory above 0 and at most 1, context_tokens 0 or more",
            )
        if not 0 < self.top_p <= 1 or self.top_k < 0 or self.dtype not in DTYPES:
            raise UsageError(
                f"vllm: top_p={self.top_p}, top_k={self.top_k}, dtype={self.dtype!r}",
                f"top_p is above 0 and at most 1, top_k 0 or more, dtype one of {', '.join(DTYPES)}",
            )
        prompts.context_in(self.prompt)

    @property
    def uses(self) -> frozenset[str]:
        """What of a request can change its answers; it has no beams."""
        used = {"max_tokens", "temperature", "seed", *prompts.context_in(self.prompt)}
        used |= {name for name, on in (("regions", self.crop), ("context", self.context)) if on}
        return frozenset(used if self.prompt else {*used, "prompt"})

    def fingerprint(self) -> str:
        """vllm-VERSION/MODEL@DIGEST/DTYPE and what else was set; another version of vLLM may say other words.

        Raises:
            MissingPart: vLLM is not installed.
        """
        try:
            version = importlib.metadata.version("vllm")
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingPart("vllm is not installed", "pip install vllm") from error
        folder = found(self.model, self.revision)
        content = model_version(self.model, folder, code=self.trust_remote_code) if folder else self.revision or "main"
        plain = type(self)(self.model, dtype=self.dtype, revision=self.revision)
        return f"vllm-{version}/{model_name(self.model)}@{content}/{self.dtype}{set_besides(self, plain)}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        if missing(["vllm"]):
            return Problem("vllm is not installed", "pip install vllm (it needs a GPU; without one: hf)")
        if Path(self.model).exists() and not is_folder(self.model):
            return Problem(f"no model in {self.model}: config.json is missing", "give a folder of a transformers model")
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:  # noqa: ARG002 -- vLLM chooses its devices (CUDA_VISIBLE_DEVICES)
        """Load the model."""
        import vllm

        model = vllm.LLM(
            model=self.model,
            revision=self.revision or None,
            dtype=DTYPES[self.dtype],
            trust_remote_code=self.trust_remote_code,
            tensor_parallel_size=self.gpus,
            gpu_memory_utilization=self.memory,
            **({"max_model_len": self.context_tokens} if self.context_tokens else {}),
        )
        try:
            with ahead(lambda _, pictures: pictures, crop=self.crop, context=self.context) as batches:
                yield Session(self, model, vllm.SamplingParams, batches)
        finally:
            del model


@dataclass(frozen=True, slots=True)
class Session:
    """A CaptionSession over vLLM."""

    captioner: Vllm
    model: Any
    sampling: Any
    batches: Ahead[Pictures]

    def ahead(self, requests: Sequence[Request]) -> None:
        """The batch that comes next: its pictures are opened meanwhile."""
        self.batches.announce(requests)

    def caption(self, requests: Sequence[Request], params: Generation) -> list[str | Failure]:
        """One text a request, or a Failure for a picture that cannot be shown."""
        pictures = self.batches.get(requests)
        talks, ways = [], []
        for request, shown in zip(requests, pictures, strict=True):
            if not isinstance(shown, Failure):
                parts: list[dict[str, Any]] = [{"type": "image_pil", "image_pil": picture} for picture in shown]
                parts.append({"type": "text", "text": self.words(request)})
                talks.append([{"role": "user", "content": parts}])
                ways.append(self.way(request, params))
        told = iter(self.model.chat(talks, ways, use_tqdm=False) if talks else [])
        return [shown if isinstance(shown, Failure) else next(told).outputs[0].text.strip() for shown in pictures]

    def words(self, request: Request) -> str:
        """The captioner's own prompt, else the command's or the benchmark's, else the usual one."""
        own = self.captioner.prompt
        return prompts.rendered(own, request) if own else request.prompt or CHAT_PROMPT

    def way(self, request: Request, params: Generation) -> Any:
        """How the words of one answer are chosen, with a seed of its own."""
        drawn = {"top_p": self.captioner.top_p, "top_k": self.captioner.top_k} if params.temperature > 0 else {}
        return self.sampling(
            temperature=params.temperature,
            max_tokens=params.max_tokens or LONG,
            seed=seed_of(params.seed, request.id) % SEEDS,
            **drawn,
        )


__all__ = ["Vllm"]
