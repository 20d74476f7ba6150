"""Vectors of the phrases that elements are, for the soft stage: each phrase is encoded once, whoever says it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from capbench.elements import capture
from capbench.elements.graph import KINDS, graph
from capbench.elements.words import vocabulary
from capbench.needs import Vector, Vectors
from capbench.types import Failure

if TYPE_CHECKING:
    from capbench.types import Floats


class Phrase(NamedTuple):
    """A phrase with its vector."""

    text: str
    vector: Vector


@dataclass(frozen=True, slots=True)
class PhraseVectors(Vectors):
    """dict phrase -> unit vector (float32): every phrase of the elements that ``of`` parses, by this encoder.

    synonyms: whose lemmas the phrases are made of. compat: make them as CAPTURE's authors do.
    """

    kind: ClassVar[str] = "phrases"

    synonyms: str = "auto"
    compat: bool = False

    def inputs(self, item: Any) -> list[Any]:
        """The phrases of a text's elements, each once."""
        if self.compat:
            return list(capture.phrases(item, capture.language()))
        found = graph([item], vocabulary(self.synonyms))
        return list(dict.fromkeys(phrase for kind in KINDS for element in found[kind] for phrase in element.phrases))

    def named(self, item: Any) -> str:
        """What identifies a phrase: itself, so that texts share it."""
        return str(item)

    def compute(self, session: Any, items: Sequence[Any]) -> Sequence[Any]:
        """One Phrase or Failure a phrase."""
        vectors = Vectors.compute(self, session, items)
        return [v if isinstance(v, Failure) else Phrase(text, v) for text, v in zip(items, vectors, strict=True)]

    def pack(self, value: Any) -> bytes:
        """The phrase's length in bytes, the phrase, and its vector."""
        text = str(value.text).encode("utf-8", "surrogatepass")
        return struct.pack("<I", len(text)) + text + Vectors.pack(self, value.vector)

    def unpack(self, data: bytes) -> Any:
        """The same again."""
        end = 4 + struct.unpack("<I", data[:4])[0]
        return Phrase(data[4:end].decode("utf-8", "surrogatepass"), Vectors.unpack(self, data[end:]))

    def gather(self, values: Sequence[Any]) -> Any:
        """All phrases of all texts; those of a text that failed are not there."""
        found: dict[str, Floats] = {}
        for value in values:
            if isinstance(value, Phrase):
                found[value.text] = value.vector.values
        return found
