"""An exported encoder on ONNX Runtime: no torch at run time.

``capbench export-encoder`` writes the folder: the two towers, the tokenizer, and ``encoder.json``, which says how
pictures are prepared, what it was made from and how closely it agrees with that.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench import codec
from capbench.backends.encoding import BATCH, Arrays, Session, Tokens, Towers, session
from capbench.backends.pixels import Pixels
from capbench.errors import BadData, CapbenchError, MissingPart
from capbench.libraries import libraries_problem
from capbench.protocols import Problem
from capbench.weights import files, files_digest

if TYPE_CHECKING:
    from capbench.types import Floats

LIBRARIES = ("onnxruntime", "tokenizers", "ftfy")
INSTALL = "pip install 'capbench[onnx]'"
CARD, IMAGE, TEXT, TOKENIZER = "encoder.json", "image.onnx", "text.onnx", "tokenizer.json"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How an export was compared with its original: by which ONNX Runtime, on how much, and what differed most.

    cosine: of a picture and a text, between the two. vector: 1 - cosine of one item's two vectors.
    """

    onnxruntime: str
    pictures: int
    texts: int
    cosine: float
    vector: float


@dataclass(frozen=True, slots=True)
class Card:
    """``encoder.json``. source: the original's fingerprint; clean: what is done to a text before it is cut up."""

    source: str
    clean: str
    pixels: Pixels
    format: int = 1
    agreement: Agreement | None = None


@dataclass(frozen=True, slots=True)
class Onnx:
    """An encoder that ``capbench export-encoder`` wrote to ``folder``."""

    name: ClassVar[str] = "onnx"
    kind: ClassVar[str] = "encoder"

    folder: str
    batch: int = field(default=BATCH, metadata={"signed": False})
    threads: int = field(default=0, metadata={"signed": False})

    def fingerprint(self) -> str:
        """onnx/SOURCE@DIGEST: what it was made from, and a hash of the towers, the tokenizer and the card."""
        folder = Path(self.folder)
        return f"onnx/{read_card(folder).source}@{files_digest(parts(folder))}"

    def check(self) -> Problem | None:
        """Libraries and files."""
        if (problem := libraries_problem(LIBRARIES, INSTALL)) is not None:
            return problem
        folder = Path(self.folder)
        absent = [name for name in (CARD, IMAGE, TEXT, TOKENIZER) if not (folder / name).is_file()]
        if absent:
            return Problem(
                f"no exported encoder in {folder}: {absent[0]} is missing", "capbench export-encoder SPEC DIR"
            )
        try:
            read_card(folder)
        except BadData as error:
            return Problem(error.message, "export it again: capbench export-encoder SPEC DIR")
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """Load both towers.

        Raises:
            MissingPart: this ONNX Runtime cannot use the device.
        """
        with session(towers(Path(self.folder), device), self.batch, self.threads) as opened:
            yield opened


def parts(folder: Path) -> list[Path]:
    """The files that an export consists of; large towers keep their numbers in files beside them."""
    return files(folder, (CARD, TOKENIZER, "*.onnx", "*.onnx.data"))


def read_card(folder: Path) -> Card:
    """An export's card.

    Raises:
        BadData: it is none, or of another format.
    """
    card = codec.read_json(folder / CARD, Card)
    if card.format != 1:
        raise BadData(f"{folder / CARD} is of format {card.format}, and this version reads format 1")
    cleaner(card.clean)
    return card


def towers(folder: Path, device: str) -> Towers:
    """The towers of an export."""
    card = read_card(folder)
    return Towers(
        prepare=lambda image: {"pixel_values": card.pixels.array(image)},
        see=tower(folder / IMAGE, device),
        tokenize=tokenizer(folder / TOKENIZER, card.clean),
        read=tower(folder / TEXT, device),
    )


def tower(path: Path, device: str) -> Callable[[Arrays], Floats]:
    """One tower: arrays by the names of its inputs -> vectors.

    Raises:
        MissingPart: this ONNX Runtime cannot use the device.
        CapbenchError: it cannot read the file.
    """
    import onnxruntime

    provider = PROVIDERS.get(device.partition(":")[0])
    if provider not in onnxruntime.get_available_providers():
        raise MissingPart(
            f"this ONNX Runtime does not run on {device}", "use --device cpu, or pip install onnxruntime-gpu"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # threads that spin while they wait take the processor from those that decode pictures
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        made = onnxruntime.InferenceSession(path, options, providers=[provider])
    except Exception as error:  # the library has an exception class for each of its codes
        raise CapbenchError(f"ONNX Runtime cannot load {path}: {error}") from error
    names = {value.name for value in made.get_inputs()}

    def run(arrays: Arrays) -> Floats:
        found: Floats = made.run(None, {name: array for name, array in arrays.items() if name in names})[0]
        return found

    return run


def tokenizer(path: Path, clean: str) -> Callable[[Sequence[str]], Tokens]:
    """Texts -> ids and mask; truncation and padding are the file's own."""
    from tokenizers import Tokenizer

    cut_up = Tokenizer.from_file(str(path))
    cleaned = cleaner(clean)

    def tokenize(texts: Sequence[str]) -> Tokens:
        found = cut_up.encode_batch([cleaned(text) for text in texts])
        arrays = {
            "input_ids": np.array([one.ids for one in found], np.int64),
            "attention_mask": np.array([one.attention_mask for one in found], np.int64),
        }
        return Tokens(arrays, np.array([bool(one.overflowing) for one in found]))

    return tokenize


def cleaner(name: str) -> Callable[[str], str]:
    """What is done to a text first: '' nothing, the others as open_clip does by these names.

    Raises:
        BadData: an unknown name.
    """
    known: dict[str, Callable[[str], str]] = {
        "": lambda text: text,
        "whitespace": spaced,
        "lower": lambda text: spaced(text).lower(),
        "canonicalize": lambda text: bare(mended(text)),
    }
    if name not in known:
        raise BadData(f"a text is cleaned by one of {', '.join(filter(None, known))}, not {name!r}")
    return known[name]


def mended(text: str) -> str:
    """A text without mistakes of encoding and without HTML entities, which some are encoded in twice."""
    import ftfy

    fixed: Any = ftfy.fix_text(text)
    return html.unescape(html.unescape(fixed)).strip()


def spaced(text: str) -> str:
    """A mended text with single blanks."""
    return " ".join(mended(text).split())


def bare(text: str) -> str:
    """A text in lower case without punctuation."""
    return " ".join(text.replace("_", " ").translate(str.maketrans("", "", string.punctuation)).lower().split())
