"""``mini``: the encoder for photographs that is part of the package (docs/mini.md is its model card).

Two ONNX graphs and a list of words, run by ONNX Runtime on the processor, without torch. Each picture and each
text goes through its graph alone, so no result depends on what else is in the batch; pictures are decoded and
encoded on all cores at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench.backends.mini.words import Reader
from capbench.errors import CapbenchError, MissingPart
from capbench.images import load
from capbench.protocols import Encoded, Problem
from capbench.types import ImageRef

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from capbench.types import Floats

VERSION = 1  # raised when a picture or a text can get another vector from the same files
FOLDER = Path(__file__).with_name("model")
PICTURES, TEXTS, WORDS = "pictures.onnx", "texts.onnx", "words.txt"
SIDE = 224  # pixels
WIDTH = 512


@dataclass(frozen=True, slots=True)
class Mini:
    """Photographs and English captions in one space of 512 numbers.

    It is small and weak: it finds look-alikes apart by what ImageNet and 28,000 captions teach, and its scores
    are no CLIPScores. The device is always the processor.
    """

    name: ClassVar[str] = "mini"
    kind: ClassVar[str] = "encoder"

    def fingerprint(self) -> str:
        """mini/version@digest of the model's files."""
        return f"mini/{VERSION}@{digest(FOLDER)}"

    def check(self) -> Problem | None:
        """Whether ONNX Runtime and the model's files are there; nothing is imported for it."""
        if find_spec("onnxruntime") is None:
            return Problem("onnxruntime is not installed", "pip install 'capbench[mini]'")
        missing = [name for name in (PICTURES, TEXTS, WORDS) if not (FOLDER / name).is_file()]
        if missing:
            return Problem(f"the installation lacks {', '.join(missing)}", "pip install --force-reinstall capbench")
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[EncoderSession]:
        """A session on the processor, whatever the device.

        Raises:
            MissingPart: onnxruntime or a file of the model is missing.
        """
        del device
        problem = self.check()
        if problem is not None:
            raise MissingPart(problem.what, problem.cure)
        reader = Reader((FOLDER / WORDS).read_text("utf-8").split("\n"))
        with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
            yield EncoderSession(graph(FOLDER / PICTURES), graph(FOLDER / TEXTS), reader, workers)


@cache
def digest(folder: Path) -> str:
    """16 hex digits that stand for the model's files, or "missing"."""
    state = hashlib.blake2b(digest_size=8)
    for name in (PICTURES, TEXTS, WORDS):
        try:
            state.update((folder / name).read_bytes())
        except OSError:
            return "missing"
    return state.hexdigest()


def graph(path: Path) -> Any:
    """A graph that is safe to run from many threads; each run keeps to its own thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def pixels(ref: ImageRef) -> NDArray[np.uint8]:
    """1 x 224 x 224 x 3, squashed; mean and deviation are the graph's.

    Raises:
        ImageFault: the picture cannot be shown to a model.
    """
    from PIL.Image import Resampling

    return np.asarray(load(ref).resize((SIDE, SIDE), Resampling.BILINEAR))[None]


@dataclass(frozen=True, slots=True)
class EncoderSession:
    """An ``EncoderSession`` over two graphs."""

    pictures: Any
    writing: Any
    reader: Reader
    workers: ThreadPoolExecutor

    def images(self, refs: Sequence[ImageRef]) -> Encoded:
        """len(refs) x WIDTH, of length 1; a picture that cannot be opened is a failure that says why."""
        rows = np.full((len(refs), WIDTH), np.nan, np.float32)
        failures: dict[int, str] = {}
        for i, answer in enumerate(self.workers.map(self._picture, refs)):
            if isinstance(answer, str):
                failures[i] = answer
            else:
                rows[i] = answer
        return Encoded(rows, None, failures)

    def texts(self, texts: Sequence[str]) -> Encoded:
        """len(texts) x WIDTH, of length 1; cut: texts of more than 64 words and pieces."""
        rows = np.empty((len(texts), WIDTH), np.float32)
        cut = np.zeros(len(texts), bool)
        for i, text in enumerate(texts):
            numbers, cut[i] = self.reader.read(text)
            rows[i] = self.writing.run(None, {"words": np.array([numbers], np.int64)})[0][0]
        return Encoded(rows, cut)

    def _picture(self, ref: ImageRef) -> Floats | str:
        """One vector, or why there is none."""
        try:
            shown = pixels(ref)
        except CapbenchError as error:
            return error.message
        vector: Floats = self.pictures.run(None, {"pixels": shown})[0][0]
        return vector
