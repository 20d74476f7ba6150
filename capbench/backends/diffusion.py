"""``diffusers``: any text-to-image pipeline of the library diffusers, deterministic for a text and a seed.

Each picture has a random generator of its own, on the CPU, so that neither the batch nor the device changes the noise.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench.errors import CapbenchError, MissingPart
from capbench.hub_models import loading
from capbench.languages import readable
from capbench.libraries import libraries_problem
from capbench.protocols import Problem
from capbench.torch_places import PRECISIONS, full_precision, precision_problem, usable
from capbench.types import Failure
from capbench.weights import files_digest, hub_file

if TYPE_CHECKING:
    from PIL.Image import Image

LIBRARIES = ("torch", "diffusers", "transformers", "accelerate")
INSTALL = "pip install 'capbench[paint]'"
INDEX = "model_index.json"
OFFLOADS = ("", "model", "sequential")
WEIGHTS = ("safetensors", "bin")
KNOWN = ("*.json", "*.txt", "*.model", "*.safetensors", "*.bin")
DEFAULT = -1.0  # of guidance, where 0 is a value


@dataclass(frozen=True, slots=True)
class Diffusers:
    """A text-to-image pipeline: Stable Diffusion 1.5, 2.1, XL and Turbo, PixArt, FLUX and others.

    model: a hub id that is in the hub's cache, or a folder that ``save_pretrained`` wrote. revision: of the hub, a
    commit or branch. variant: of the weights' files, such as ``fp16``. steps, guidance, size: 0, -1 and 0 are the
    pipeline's own; size is the side in pixels. negative: what not to paint. precision: fp32, bf16 or fp16.
    offload: ``model`` or ``sequential`` keeps what is not computed in the processor's memory. batch: pictures at once.
    """

    name: ClassVar[str] = "diffusers"
    kind: ClassVar[str] = "generator"

    model: str
    revision: str = ""
    variant: str = ""
    steps: int = 0
    guidance: float = DEFAULT
    size: int = 0
    negative: str = ""
    precision: str = "fp32"
    offload: str = field(default="", metadata={"signed": False})
    batch: int = field(default=1, metadata={"signed": False})

    @property
    def chunk(self) -> int:
        """Pictures that are made before they are kept: one batch."""
        return self.batch

    def fingerprint(self) -> str:
        """diffusers/MODEL@DIGEST/settings; of the hub's models the commit stands for the digest.

        In half precision numbers depend on how many are computed together, so the batch is among the settings.
        """
        folder = self._folder()
        own = (Path(self.model) / INDEX).is_file()
        name = folder.resolve().name if own else self.model
        digest = files_digest(sorted(p for kind in KNOWN for p in folder.rglob(kind))) if own else folder.name
        settings = [
            f"{key}={value}"
            for key, value, usual in (
                ("variant", self.variant, ""), ("steps", self.steps, 0), ("guidance", self.guidance, DEFAULT),
                ("size", self.size, 0), ("negative", self.negative, ""),
                ("batch", self.batch, self.batch if self.precision == "fp32" else 0),
            )
            if value != usual
        ]  # fmt: skip
        return f"diffusers/{name}@{digest}/{','.join([self.precision, *settings])}"

    def check(self) -> Problem | None:
        """The first thing that is missing or wrong, if any."""
        if (problem := libraries_problem(LIBRARIES, INSTALL)) is not None:
            return problem
        if self.offload not in OFFLOADS:
            return Problem(
                f"offload is one of {', '.join(filter(None, OFFLOADS))}, not {self.offload!r}", "leave it out"
            )
        if self.batch < 1 or self.steps < 0 or self.size < 0:
            return Problem("batch is at least 1, steps and size are at least 0", "leave them out for the usual ones")
        if (problem := precision_problem(self.precision)) is not None:
            return problem
        try:
            folder = self._folder()
        except MissingPart as error:
            return Problem(error.message, error.cure)
        absent = parts_without_weights(folder, self.variant)
        return Problem(f"no weights of {', '.join(absent)} in {folder}", self._get()) if absent else None

    @contextmanager
    def open(self, device: str) -> Iterator[Painter]:
        """Load the pipeline, and give the session.

        Raises:
            CapbenchError: in the words of diffusers. MissingPart: the device is not there.
        """
        place = usable(device)
        if self.offload and place.type == "cpu":
            raise CapbenchError("offload moves a model off a GPU, and the device is the CPU", "leave it out")
        pipe = loaded(self._folder(), self.precision, self.variant)
        if self.offload == "model":
            pipe.enable_model_cpu_offload(device=place)
        elif self.offload == "sequential":
            pipe.enable_sequential_cpu_offload(device=place)
        else:
            pipe.to(place)
        asked = {
            "num_inference_steps": self.steps or None, "guidance_scale": None if self.guidance < 0 else self.guidance,
            "height": self.size or None, "width": self.size or None, "negative_prompt": self.negative or None,
        }  # fmt: skip
        settings = {name: value for name, value in asked.items() if value is not None}
        yield Painter(pipe, settings, self.batch, place, self.precision)

    def _folder(self) -> Path:
        """Where the pipeline is.

        Raises:
            MissingPart: nowhere.
        """
        if (Path(self.model) / INDEX).is_file():
            return Path(self.model)
        found = hub_file(self.model, INDEX, self.revision)
        if found is None:
            raise MissingPart(
                f"no pipeline {self.model!r}: neither a folder with a {INDEX} nor in the hub's cache",
                f"{self._get()}, or give a folder: diffusers(model='FOLDER')",
            )
        return found.parent

    def _get(self) -> str:
        """The command that gets it."""
        return f"hf download {self.model}" + (f" --revision {self.revision}" if self.revision else "")


def parts_without_weights(folder: Path, variant: str) -> list[str]:
    """The parts that the index names and that have a configuration of a model, or nothing, and no weights."""
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    named = [name for name, value in index.items() if isinstance(value, list) and value and value[0] is not None]
    absent = []
    for name in named:
        place = folder / name
        model = (place / "config.json").is_file() or not place.is_dir()
        ending = f".{variant}" if variant else ""
        if model and not any(list(place.glob(f"*{e}.{kind}")) for kind in WEIGHTS for e in {ending, ""}):
            absent.append(name)
    return absent


def loaded(folder: Path, precision: str, variant: str) -> Any:
    """A pipeline in memory that takes a prompt and nothing else that must be given.

    Raises:
        CapbenchError: it cannot be loaded, or is no text-to-image pipeline.
    """
    import torch
    from diffusers import DiffusionPipeline
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with loading(f"diffusers cannot load {folder}") as local:
        pipe = DiffusionPipeline.from_pretrained(
            folder, torch_dtype=getattr(torch, PRECISIONS[precision]), variant=variant or None, **local
        )
    pipe.set_progress_bar_config(disable=True)
    takes = inspect.signature(pipe.__call__).parameters
    others = [name for name, p in takes.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if "prompt" not in takes or set(others) - {"prompt"}:
        raise CapbenchError(f"{type(pipe).__name__} in {folder} does not paint from a text alone")
    return pipe


class Painter:
    """Paints batch by batch; in half precision every batch is filled up. settings: arguments of the pipeline."""

    def __init__(self, pipe: Any, settings: dict[str, Any], batch: int, place: Any, precision: str) -> None:
        takes = inspect.signature(pipe.__call__).parameters
        strange = [name for name in settings if name not in takes]
        if strange:
            raise CapbenchError(f"{type(pipe).__name__} takes no {' and no '.join(strange)}", "leave it out")
        self._pipe, self._settings, self._batch, self._place, self._precision = pipe, settings, batch, place, precision
        self._windows = windows(pipe, takes)

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[Image | Failure]:
        """One RGB picture a prompt, or a Failure where a safety checker or the arithmetic has blacked it out."""
        made: list[Image | Failure] = []
        for start in range(0, len(prompts), self._batch):
            part = slice(start, start + self._batch)
            made += self._paint([readable(prompt) for prompt in prompts[part]], list(seeds[part]))
        return made

    def cut(self, prompts: Sequence[str]) -> list[bool]:
        """Which prompts are longer than any of the pipeline's text encoders reads."""
        return [
            bool(self._windows)
            and all(length(tokenizer, readable(prompt)) > window for tokenizer, window in self._windows)
            for prompt in prompts
        ]

    def _paint(self, prompts: list[str], seeds: list[int]) -> list[Image | Failure]:
        """One batch."""
        import torch

        wanted = len(prompts)
        if self._precision != "fp32":
            filling = self._batch - wanted
            prompts, seeds = prompts + prompts[-1:] * filling, seeds + seeds[-1:] * filling
        settings = dict(self._settings)
        if "negative_prompt" in settings:
            settings["negative_prompt"] = [settings["negative_prompt"]] * len(prompts)
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        kind = getattr(torch, PRECISIONS[self._precision])
        with warnings.catch_warnings(), torch.inference_mode(), full_precision(self._place, kind):
            warnings.simplefilter("ignore")  # of deprecations inside the libraries
            found = self._pipe(prompt=prompts, generator=generators, output_type="np", **settings)
        flags = getattr(found, "nsfw_content_detected", None) or [False] * len(prompts)
        return [picture(pixels, flagged=bool(flag)) for pixels, flag in zip(found.images, flags, strict=True)][:wanted]


def picture(pixels: Any, *, flagged: bool) -> Image | Failure:
    """Numbers of 0..1, height x width x 3, as a picture, unless it is none."""
    from PIL.Image import fromarray

    if flagged:
        return Failure("the pipeline's safety checker has blacked the picture out")
    if not np.isfinite(pixels).all():
        return Failure("the pipeline's numbers ran over: try precision='bf16' or 'fp32'")
    if not pixels.any():
        return Failure("the picture is black all over, as safety checkers and numbers that run over leave it")
    return fromarray((np.clip(pixels, 0, 1) * 255).round().astype(np.uint8))


def windows(pipe: Any, takes: Any) -> list[tuple[Any, int]]:
    """The pipeline's tokenizers, and how many tokens of each its text encoder reads.

    CLIP's is what the tokenizer says; of the longer ones (T5 and others) the pipeline may read less.
    """
    found = []
    longest = takes["max_sequence_length"].default if "max_sequence_length" in takes else None
    for name in ("tokenizer", "tokenizer_2", "tokenizer_3"):
        tokenizer = getattr(pipe, name, None)
        if tokenizer is None:
            continue
        own = int(tokenizer.model_max_length)
        is_clip = type(tokenizer).__name__.startswith("CLIP")
        found.append((tokenizer, min(own, longest) if isinstance(longest, int) and not is_clip else own))
    return found


def length(tokenizer: Any, text: str) -> int:
    """How many tokens a text has, with those at its ends."""
    return len(tokenizer(text, padding=False, truncation=False, verbose=False)["input_ids"])
