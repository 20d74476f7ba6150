"""The kinds of need. A need is a frozen value; equality is sharing, and nesting is the dependency graph.

Facts (``Ids`` to ``Bags``) come from the benchmark and the captioner; ``Frequencies`` come from neither; the
others are derived, item by item, by a backend. The engine hands each need's value to ``rows`` under the name
the metric gave it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from capbench.errors import CapbenchError
from capbench.protocols import Elements, Need
from capbench.ragged import Chosen, Words
from capbench.types import Failure, ImageRef


@dataclass(frozen=True, slots=True)
class Ids:
    """list[str]: the ids of the items, in the benchmark's order."""

    kind: ClassVar[str] = "ids"


@dataclass(frozen=True, slots=True)
class Images:
    """list[ImageRef]: the items' pictures."""

    kind: ClassVar[str] = "images"


@dataclass(frozen=True, slots=True)
class Captions:
    """list[str]: one caption an item, of several the first ("" where it failed; such items end unscored)."""

    kind: ClassVar[str] = "captions"


@dataclass(frozen=True, slots=True)
class AllCaptions:
    """Ragged[list[str]]: all captions of each item, as many for each, two or more; one that failed fails its item."""

    kind: ClassVar[str] = "all captions"


@dataclass(frozen=True, slots=True)
class References:
    """Ragged[list[str]]: the references of each item."""

    kind: ClassVar[str] = "references"


@dataclass(frozen=True, slots=True)
class Tags:
    """list[Mapping[str, str]]: the dataset's tags of each item."""

    kind: ClassVar[str] = "tags"


@dataclass(frozen=True, slots=True)
class Bags:
    """Galleries: a bag set, by its name in the benchmark or by a recipe such as ``blocks(size=100)``."""

    kind: ClassVar[str] = "bags"
    name: str


FACTS = (Ids, Images, Captions, AllCaptions, References, Tags, Bags)
FROZEN = ("coco-val",)
FILE = "file:"


@dataclass(frozen=True, slots=True)
class Frequencies:
    """DocumentFrequencies of another set of references, cut into words by this tokenizer.

    source: 'coco-val' or 'file:PATH'. It is one table for all items, and its digest stands in the source's
    place in signatures.
    """

    kind: ClassVar[str] = "frequencies"
    backend_kind: ClassVar[str] = "tokenizer"

    source: str
    tokenizer: str = "ptb"

    @property
    def backend(self) -> str:
        """The tokenizer."""
        return self.tokenizer


@dataclass(frozen=True, slots=True)
class Tokens:
    """Words of each text (Ragged[Words] over references), by this tokenizer."""

    kind: ClassVar[str] = "tokens"
    backend_kind: ClassVar[str] = "tokenizer"
    cached: ClassVar[bool] = False  # cheaper to make than to fetch

    of: Need
    tokenizer: str = "ptb"

    @property
    def backend(self) -> str:
        """The tokenizer."""
        return self.tokenizer

    def inputs(self, item: Any) -> list[Any]:
        """The text itself."""
        return [item]

    def compute(self, session: Any, items: Sequence[Any]) -> Sequence[Any]:
        """One tuple of words a text; as ``Words`` where the session has a method ``words`` for it."""
        tokens: Sequence[Any] = session.words(items) if hasattr(session, "words") else session.tokenize(items)
        return tokens

    def gather(self, values: Sequence[Any]) -> Words:
        """All texts as integer words; a failed text has none."""
        if isinstance(values, Words):
            return values
        if isinstance(values, Chosen):
            return values.words.take(values.index)
        return Words.of([() if isinstance(value, Failure) else value for value in values])


def words_of_both(tokenizer: str) -> dict[str, Need]:
    """What metrics of word overlap need: the words of the captions and of the references."""
    return {"candidates": Tokens(Captions(), tokenizer), "references": Tokens(References(), tokenizer)}


@dataclass(frozen=True, slots=True)
class Vector:
    """One unit vector (float32) and whether its text was truncated."""

    values: np.ndarray[Any, np.dtype[np.float32]]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Vectors:
    """float32 matrix of unit rows (Ragged over references): pictures or texts by this encoder.

    ``prefix`` is put before every text. Features are cast to float32 before they are normalised,
    so that half precision on a GPU cannot change the norm (jmhessel/clipscore issue 2).
    """

    kind: ClassVar[str] = "vectors"
    backend_kind: ClassVar[str] = "encoder"
    cached: ClassVar[bool] = True

    of: Need
    encoder: str = "clip"
    prefix: str = ""

    @property
    def backend(self) -> str:
        """The encoder."""
        return self.encoder

    def inputs(self, item: Any) -> list[Any]:
        """The picture, or the prefixed text."""
        return [self.prefix + item if isinstance(item, str) else item]

    def compute(self, session: Any, items: Sequence[Any]) -> Sequence[Any]:
        """One Vector or Failure an item."""
        pictures = bool(items) and isinstance(items[0], ImageRef)
        encoded = session.images(items) if pictures else session.texts(items)
        matrix = np.asarray(encoded.vectors, np.float32)
        if matrix.ndim != 2 or len(matrix) != len(items):
            raise CapbenchError(f"the encoder gave vectors of shape {matrix.shape} for {len(items)} items")
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        unit = matrix / np.where(norms == 0, 1, norms)
        cut = np.zeros(len(items), bool) if encoded.cut is None else encoded.cut
        return [
            Failure(encoded.failures[i]) if i in encoded.failures
            else Vector(unit[i], bool(cut[i])) if np.isfinite(unit[i]).all()
            else Failure("the encoder gave a vector that is not finite")
            for i in range(len(items))
        ]  # fmt: skip

    def pack(self, value: Any) -> bytes:
        """One byte for the cut, then the floats."""
        floats: bytes = value.values.astype("<f4").tobytes()
        return struct.pack("?", value.cut) + floats

    def unpack(self, data: bytes) -> Vector:
        """The same floats."""
        return Vector(np.frombuffer(data, "<f4", offset=1).astype(np.float32), bool(data[0]))

    def gather(self, values: Sequence[Any]) -> np.ndarray[Any, Any]:
        """float32, one row an item; NaN rows for failures."""
        width = next((len(v.values) for v in values if isinstance(v, Vector)), 1)
        matrix = np.full((len(values), width), np.nan, np.float32)
        for i, value in enumerate(values):
            if isinstance(value, Vector):
                matrix[i] = value.values
        return matrix


@dataclass(frozen=True, slots=True)
class Cut(Vectors):
    """bool an item: whether the encoder truncated the text. The same cached values as ``Vectors``, read otherwise."""

    def gather(self, values: Sequence[Any]) -> np.ndarray[Any, Any]:
        """One flag an item; False for failures."""
        return np.array([isinstance(value, Vector) and value.cut for value in values], np.bool_)


@dataclass(frozen=True, slots=True)
class Parsed:
    """list[Elements] of each text, by this parser (Ragged over references)."""

    kind: ClassVar[str] = "elements"
    backend_kind: ClassVar[str] = "parser"
    cached: ClassVar[bool] = True

    of: Need
    parser: str = "parser"

    @property
    def backend(self) -> str:
        """The parser."""
        return self.parser

    def inputs(self, item: Any) -> list[Any]:
        """The text itself."""
        return [item]

    def compute(self, session: Any, items: Sequence[Any]) -> Sequence[Any]:
        """One Elements or Failure a text."""
        parsed: Sequence[Any] = session.parse(items)
        return parsed

    def pack(self, value: Any) -> bytes:
        """JSON of the three lists."""
        import json

        return json.dumps([value.objects, value.attributes, value.relations]).encode()

    def unpack(self, data: bytes) -> Elements:
        """The elements again."""
        import json

        objects, attributes, relations = json.loads(data)
        return Elements(tuple(objects), tuple(map(tuple, attributes)), tuple(map(tuple, relations)))

    def gather(self, values: Sequence[Any]) -> list[Elements]:
        """One Elements an item; empty ones for failures."""
        return [Elements() if isinstance(value, Failure) else value for value in values]
