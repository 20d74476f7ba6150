"""Encoders of transformers: CLIP, also with a longer context, SigLIP and SigLIP 2, and of pictures alone DINO and ViT.

No code of a model's own is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from capbench.backends.encoding import BATCH, Arrays, Session, Tokens
from capbench.backends.pixels import of_transformers
from capbench.backends.routes import opened, route_problem
from capbench.backends.torch_towers import Loaded, tower
from capbench.errors import BadData, CapbenchError
from capbench.hub_models import folder_of, loading, model_digest, model_name, model_problem
from capbench.protocols import Problem
from capbench.torch_places import precision_problem

LIBRARIES = ("torch", "transformers")
INSTALL = "pip install 'capbench[hf]'"
PICTURES_ONLY = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit")  # their first token is the class token


@dataclass(frozen=True, slots=True)
class Hf:
    """A transformers model with ``get_image_features`` and ``get_text_features``, or of pictures alone.

    Of the latter (DINOv2, DINOv3, DINO and ViT) the vector is the last layer's class token, after its normalisation.

    model: a hub id that is in the hub's cache, or a folder that ``save_pretrained`` wrote, with the tokenizer and
    the image processor in it. precision, runtime, batch, threads: as for ``open_clip``.
    """

    name: ClassVar[str] = "hf"
    kind: ClassVar[str] = "encoder"

    model: str
    precision: str = "fp32"
    runtime: str = field(default="auto", metadata={"signed": False})
    batch: int = field(default=BATCH, metadata={"signed": False})
    threads: int = field(default=0, metadata={"signed": False})

    def fingerprint(self) -> str:
        """hf/MODEL@DIGEST/PRECISION; the digest is of weights, configuration and vocabulary."""
        return f"hf/{model_name(self.model)}@{model_digest(self._folder())}/{self.precision}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        return (
            model_problem(LIBRARIES, INSTALL, self._folder)
            or precision_problem(self.precision)
            or route_problem(self.runtime, self.precision, self.fingerprint)
        )

    def open(self, device: str) -> AbstractContextManager[Session]:
        """Load the model, or the export that stands for it."""
        return opened(self, device)

    def load(self) -> Loaded:
        """The model in memory.

        Raises:
            CapbenchError: in the words of transformers.
        """
        return loaded(self._folder())

    def _folder(self) -> Path:
        """Where the model is.

        Raises:
            MissingPart: nowhere.
        """
        return folder_of(self.model, "hf(model='FOLDER')")


def loaded(folder: Path) -> Loaded:
    """A model in memory, with the library's own preparation of pictures and texts.

    Raises:
        CapbenchError: it cannot be loaded, or it is no dual encoder.
    """
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    cure = "the folder needs the model, its tokenizer and its image processor; SigLIP also: pip install sentencepiece"
    with loading(f"transformers cannot load {folder}", cure) as local:
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, **local)
        pictures_only = model.config.model_type in PICTURES_ONLY
        cut_up = None if pictures_only else AutoTokenizer.from_pretrained(folder, **local)
        shown = AutoImageProcessor.from_pretrained(folder, backend="pil", **local)
    if pictures_only:
        return of_pictures(model, shown)
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise CapbenchError(f"{type(model).__name__} in {folder} does not encode both pictures and texts")
    context = int(model.config.text_config.max_position_embeddings)
    image = tower(model, lambda arrays: pooled(model.get_image_features(**arrays)))
    text = tower(model, lambda arrays: pooled(model.get_text_features(**arrays)))

    def fast() -> tuple[Any, str]:
        from capbench.backends.export import of_fast

        return of_fast(cut_up, context), ""

    return Loaded(image, text, Shower(shown), Cutter(cut_up, context), lambda: of_transformers(shown), fast)


def of_pictures(model: Any, shown: Any) -> Loaded:
    """An encoder of pictures alone; texts are refused in words."""

    def refuse(*_: Any) -> Any:
        raise BadData(f"{type(model).__name__} encodes pictures and no texts", cure="give an encoder of both")

    image = tower(model, lambda arrays: model(**arrays).last_hidden_state[:, 0])
    return Loaded(image, tower(model, refuse), Shower(shown), refuse, lambda: of_transformers(shown), refuse)


class Shower:
    """A transformers image processor: one picture -> its arrays, by the names that the model takes."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __call__(self, picture: Any) -> Arrays:
        """The arrays of one picture."""
        found = self._processor(images=picture, return_tensors="np")
        return {name: np.asarray(found[name])[0] for name in self._processor.model_input_names}


class Cutter:
    """A transformers tokenizer that always fills up to the model's context, so that no batch changes a number."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer, self._context = tokenizer, context

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """The arrays that the tokenizer says its model takes, and which texts were truncated."""
        long = {"padding": False, "truncation": False, "return_attention_mask": False, "verbose": False}
        lengths = [len(ids) for ids in self._tokenizer(list(texts), **long)["input_ids"]]
        found = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self._context, return_tensors="np"
        )
        wanted = [name for name in self._tokenizer.model_input_names if name in ("input_ids", "attention_mask")]
        arrays = {name: np.asarray(found[name], np.int64) for name in wanted}
        return Tokens(arrays, np.array(lengths) > self._context)


def pooled(features: Any) -> Any:
    """The vectors, which most models hand over among others and some by themselves."""
    return getattr(features, "pooler_output", features)
