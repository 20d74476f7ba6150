"""Encoders of open_clip_torch: its models by name, a checkpoint of the user's, a folder, or a model config."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from capbench.backends.encoding import BATCH, Arrays, Session, Tokens
from capbench.backends.pixels import Pixels, of_open_clip
from capbench.backends.routes import opened, route_problem
from capbench.backends.torch_towers import Loaded, tower
from capbench.errors import BadData, CapbenchError
from capbench.openclip_models import INSTALL, Source, made, shown_by, source_of
from capbench.protocols import Problem
from capbench.torch_places import precision_problem
from capbench.weights import files_digest


@dataclass(frozen=True, slots=True)
class OpenClip:
    """An open_clip model.

    model: a name as ``open_clip.list_models()`` has it; a folder with ``open_clip_config.json``, with or without
    ``local-dir:``; or a model config, a JSON file. weights: a pretrained tag, or a checkpoint file (which may stand
    in a folder's weights' place). precision: fp32, bf16 or fp16. runtime: 'auto' lets an export in the cache compute
    on the CPU if it was found equal; 'torch' never does; 'onnx' insists on it. batch, threads: items a forward pass,
    and threads that decode pictures (0: as many as cores).
    """

    name: ClassVar[str] = "open_clip"
    kind: ClassVar[str] = "encoder"

    model: str = "ViT-B-32-quickgelu"
    weights: str = "openai"
    precision: str = "fp32"
    runtime: str = field(default="auto", metadata={"signed": False})
    batch: int = field(default=BATCH, metadata={"signed": False})
    threads: int = field(default=0, metadata={"signed": False})

    def fingerprint(self) -> str:
        """open_clip/MODEL/WEIGHTS@DIGEST/PRECISION; the digest is of the files' content, wherever they lie."""
        source = self._source()
        return f"open_clip/{source.name}/{source.title}@{files_digest(source.digested)}/{self.precision}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        if importlib.util.find_spec("open_clip") is None:
            return Problem("the library open_clip_torch is not installed", INSTALL)
        try:
            self._source()
        except CapbenchError as error:
            return Problem(error.message, error.cure)
        return precision_problem(self.precision) or route_problem(self.runtime, self.precision, self.fingerprint)

    def open(self, device: str) -> AbstractContextManager[Session]:
        """Load the model, or the export that stands for it."""
        return opened(self, device)

    def load(self) -> Loaded:
        """The model in memory.

        Raises:
            CapbenchError: open_clip cannot build it, or the weights are not its own.
        """
        return loaded(self._source())

    def _source(self) -> Source:
        """Where the model is.

        Raises:
            CapbenchError: something is not there, with its cure.
        """
        return source_of(self.model, self.weights)


def loaded(source: Source) -> Loaded:
    """A model in memory, with open_clip's own preparation of pictures and texts."""
    model, cut_up = made(source)
    shown = shown_by(model)
    image = tower(model, lambda arrays: model.encode_image(arrays["pixel_values"]))
    text = tower(model, lambda arrays: model.encode_text(arrays["input_ids"]))

    def prepare(picture: Any) -> Arrays:
        return {"pixel_values": shown(picture).numpy()}

    def pixels() -> Pixels:
        return of_open_clip(model.visual.preprocess_cfg)

    return Loaded(image, text, prepare, Cutter(cut_up), pixels, lambda: exportable(cut_up))


class Cutter:
    """open_clip's tokenizer, asked for one token more than the model reads: that shows what is cut off."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._empty = self._longer([""])[0, -1]

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """The ids, and which texts were truncated."""
        ids = self._tokenizer(list(texts)).numpy()
        longer = self._longer(texts)
        cut = (longer[:, -1] != self._empty) | (longer[:, :-1] != ids).any(axis=1)
        return Tokens({"input_ids": ids}, np.asarray(cut, bool))

    def _longer(self, texts: Sequence[str]) -> Any:
        """The ids with room for one more."""
        return self._tokenizer(list(texts), context_length=self._tokenizer.context_length + 1).numpy()


def exportable(cut_up: Any) -> tuple[Any, str]:
    """The tokenizer as the ``tokenizers`` library has it, and the name of its cleaning.

    Raises:
        BadData: it does something that an export cannot.
    """
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    from capbench.backends.export import of_fast, of_merges

    clean = getattr(cut_up.clean_fn, "__name__", "").removeprefix("_clean_") if hasattr(cut_up, "clean_fn") else ""
    if isinstance(cut_up, SimpleTokenizer):
        if cut_up.reduction_fn is not None:
            raise BadData("a tokenizer that leaves words out cannot be exported")
        return of_merges(cut_up.encoder, list(cut_up.bpe_ranks), cut_up.all_special_ids, cut_up.context_length), clean
    if isinstance(cut_up, HFTokenizer) and not cut_up.strip_sep_token and not cut_up.tokenizer_mode:
        return of_fast(cut_up.tokenizer, cut_up.context_length), clean
    raise BadData(f"the tokenizer {type(cut_up).__name__} cannot be exported in its mode")
