"""Captioners of transformers: BLIP, GIT, encoder-decoders, Florence-2, PaliGemma, and all that chat about pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from capbench import prompts
from capbench.captioners.hf_models import NO_PROMPT, REGION_TASKS, Asked, Family, loaded
from capbench.captioners.pictures import Ahead, Pictures, ahead
from capbench.captioners.sampling import draws
from capbench.errors import UsageError
from capbench.hub_models import folder_of, found, model_name, model_problem, model_version
from capbench.libraries import missing
from capbench.protocols import Problem
from capbench.signature import set_besides
from capbench.torch_places import PRECISIONS, full_precision, precision_problem, usable
from capbench.types import Failure, Generation, Request

LIBRARIES = ("torch", "transformers")
INSTALL = "pip install 'capbench[hf]'"
BATCH = 16


@dataclass(frozen=True, slots=True)
class HfCaptioner:
    """A transformers model that describes pictures.

    model: a hub id that is in the hub's cache, or a folder that ``save_pretrained`` wrote, with the processor in it.
    prompt: what it is asked, in place of the command's or the benchmark's; a task token for Florence-2.
    revision: of a hub id: a branch, tag or commit. dtype: fp32, bf16 or fp16.
    device_map: "" puts the model on ``--device``; "auto" lets accelerate spread it over what there is.
    batch: requests a forward pass. crop: show only the region that an item is about.
    context: show the other pictures of a bag or pair behind the item's own (models that chat).
    top_p, top_k: what is left to draw from when ``--temperature`` is above 0 (1 and 0: everything).
    trust_remote_code: run the code that comes with the model, which can do anything that you can.

    Raises:
        UsageError: values that mean nothing.
    """

    name: ClassVar[str] = "hf"

    model: str
    prompt: str = ""
    revision: str = ""
    dtype: str = "fp32"
    device_map: str = field(default="", metadata={"signed": False})
    batch: int = field(default=BATCH, metadata={"signed": False})
    crop: bool = False
    context: bool = False
    top_p: float = 1.0
    top_k: int = 0
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        if self.batch < 1 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise UsageError(
                f"hf: batch={self.batch}, top_p={self.top_p}, top_k={self.top_k}",
                "batch is 1 or more, top_p above 0 and at most 1, top_k 0 or more",
            )
        prompts.context_in(self.prompt)

    @property
    def uses(self) -> frozenset[str]:
        """What of a request it can use; for a model that is not there, what such models can."""
        folder = found(self.model, self.revision)
        kind = config_of(folder).get("model_type", "") if folder else ""
        used = {"max_tokens", "temperature", "beams", "seed"} | prompts.context_in(self.prompt)
        if kind not in NO_PROMPT and not self.prompt:
            used.add("prompt")
        if self.crop or (kind == "florence2" and self.prompt.startswith(REGION_TASKS)):
            used.add("regions")
        return frozenset(used | ({"context"} if self.context else set()))

    def fingerprint(self) -> str:
        """hf/MODEL@DIGEST/DTYPE and what else was set: the hub's commit, or of a folder weights and vocabulary."""
        folder = self.folder()
        version = model_version(self.model, folder, code=self.trust_remote_code)
        plain = type(self)(self.model, dtype=self.dtype, revision=self.revision)
        return f"hf/{model_name(self.model)}@{version}/{self.dtype}{set_besides(self, plain)}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        wanted = (*LIBRARIES, "accelerate") if self.device_map else LIBRARIES
        install = INSTALL if missing(LIBRARIES) else "pip install accelerate"
        if (problem := model_problem(wanted, install, self.folder)) is not None:
            return problem
        config = config_of(self.folder())
        kind = config.get("model_type", "")
        if self.prompt and kind in NO_PROMPT:
            return Problem(f"a model of the kind {kind} takes no prompt", "leave out prompt=")
        return code_problem(kind, config, trusted=self.trust_remote_code) or precision_problem(self.dtype)

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Load the model.

        Raises:
            CapbenchError: in the words of transformers. MissingPart: there is no such device.
            UsageError: other pictures are to be shown to a model that takes one.
        """
        import torch

        place = usable(device)
        family = loaded(self.folder(), PRECISIONS[self.dtype], self.device_map, trust=self.trust_remote_code)
        if self.context and family.kind != "chat":
            raise UsageError(f"{self.model} is shown one picture at a time", "leave out context=True")
        if not self.device_map:
            family.model.to(place)
        asker = Asker(family, self.prompt)
        with ahead(asker.asked, crop=self.crop, context=self.context) as batches:
            yield Session(self, asker, batches, getattr(torch, PRECISIONS[self.dtype]))

    def folder(self) -> Path:
        """Where the model is.

        Raises:
            MissingPart: nowhere.
        """
        return folder_of(self.model, "hf(model='FOLDER')", self.revision, ", and capbench fetches nothing")


def config_of(folder: Path) -> dict[str, Any]:
    """A model's config.json; {} where it cannot be read, which loading will say."""
    try:
        value = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def code_problem(kind: str, config: dict[str, Any], *, trusted: bool) -> Problem | None:
    """Whether transformers has no model of this kind; then it may have code of its own."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if kind in CONFIG_MAPPING_NAMES or (trusted and config.get("auto_map")):
        return None
    if config.get("auto_map"):
        return Problem(
            f"the model is of the kind {kind!r}, which only code of its own can run",
            "trust_remote_code=True runs that code, which can do anything that you can: read it first",
        )
    from importlib.metadata import version

    return Problem(
        f"transformers {version('transformers')} knows no model of the kind {kind!r}",
        "pip install -U transformers, or take another model",
    )


@dataclass(frozen=True, slots=True)
class Asker:
    """From requests to what the model takes."""

    family: Family
    prompt: str

    def asked(self, requests: Sequence[Request], pictures: Pictures) -> tuple[Pictures, list[Asked]]:
        """The pictures, which may be failures, and the tensors of the others."""
        words = [self.words(request) for request in requests]
        return pictures, self.family.asked(requests, pictures, words)

    def words(self, request: Request) -> str:
        """The captioner's own prompt, else the command's or the benchmark's, else the family's."""
        return prompts.rendered(self.prompt, request) if self.prompt else request.prompt or self.family.usual_prompt


@dataclass(frozen=True, slots=True)
class Session:
    """A CaptionSession over a loaded model."""

    captioner: HfCaptioner
    asker: Asker
    batches: Ahead[tuple[Pictures, list[Asked]]]
    dtype: Any

    def ahead(self, requests: Sequence[Request]) -> None:
        """The batch that comes next: its pictures are opened and prepared meanwhile."""
        self.batches.announce(requests)

    def caption(self, requests: Sequence[Request], params: Generation) -> list[str | Failure]:
        """One text a request, or a Failure for a picture that cannot be shown."""
        pictures, parts = self.batches.get(requests)
        answers: list[str | Failure] = [shown if isinstance(shown, Failure) else "" for shown in pictures]
        for part in parts:
            texts = self.generated(part, [requests[i] for i in part.places], params)
            for i, text in zip(part.places, texts, strict=True):
                answers[i] = text
        return answers

    def generated(self, part: Asked, requests: Sequence[Request], params: Generation) -> list[str]:
        """The answers of one forward pass. Drawing depends on the seed, the id and the device, not on the batch."""
        import torch

        family = self.asker.family
        place = family.model.device
        noise = draws(requests, params, place, self.captioner.top_p, self.captioner.top_k)
        with torch.inference_mode(), full_precision(place, self.dtype):
            answer = family.model.generate(
                **part.inputs.to(place, dtype=self.dtype),
                do_sample=False,
                num_beams=params.beams,
                max_new_tokens=params.max_tokens or family.usual_tokens,
                **({"logits_processor": noise} if noise else {}),
            )
        return family.texts(part, answer.cpu())


__all__ = ["HfCaptioner"]
