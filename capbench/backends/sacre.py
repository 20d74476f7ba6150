"""Tokenizers of sacrebleu (Post 2018), for languages that the Penn Treebank rules do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from capbench.errors import MissingPart, UsageError
from capbench.languages import readable
from capbench.protocols import Problem, TokenizerSession

SCHEMES = {"13a": "13a", "char": "char", "intl": "intl", "zh": "zh", "ja-mecab": "ja_mecab", "ko-mecab": "ko_mecab"}
EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}  # scheme -> the extra that brings its program and dictionary


@dataclass(frozen=True, slots=True)
class SchemeTokenizer:
    """A ``TokenizerSession`` over one of sacrebleu's callables."""

    cut: Callable[[str], str]

    def tokenize(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The words of each text; a lone surrogate is U+FFFD, and U+0000, at which MeCab stops reading, a blank."""
        return [tuple(self.cut(readable(text).replace("\0", " ")).split()) for text in texts]


@dataclass(frozen=True, slots=True)
class SacreBleu:
    """``sacrebleu(scheme='zh')``: one of 13a, char, intl, zh, ja-mecab, ko-mecab."""

    name: ClassVar[str] = "sacrebleu"
    kind: ClassVar[str] = "tokenizer"

    scheme: str = "13a"

    def __post_init__(self) -> None:
        """Refuse an unknown scheme."""
        if self.scheme not in SCHEMES:
            raise UsageError(f"sacrebleu has no scheme {self.scheme!r}", f"one of {', '.join(SCHEMES)}")

    def fingerprint(self) -> str:
        """The scheme, and the version of the library that cuts."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"sacrebleu/{self.scheme}/{version('sacrebleu')}"
        except PackageNotFoundError:
            return f"sacrebleu/{self.scheme}/missing"

    def check(self) -> Problem | None:
        """Whether sacrebleu and, for Japanese and Korean, its MeCab are there."""
        try:
            self._callable()
        except (ImportError, RuntimeError, AssertionError) as error:
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            cure = f"pip install 'capbench[{EXTRAS.get(self.scheme, 'lang')}]'"
            more = "; sacrebleu(scheme='char') needs no dictionary" if self.scheme in EXTRAS else ""
            return Problem(f"sacrebleu's tokenizer {self.scheme}: {said}", cure + more)
        return None

    def _callable(self) -> Callable[[str], str]:
        """The library's own function."""
        from importlib import import_module

        names = {
            "13a": "Tokenizer13a",
            "char": "TokenizerChar",
            "intl": "TokenizerV14International",
            "zh": "TokenizerZh",
        }
        names |= {"ja-mecab": "TokenizerJaMecab", "ko-mecab": "TokenizerKoMecab"}
        module = import_module(f"sacrebleu.tokenizers.tokenizer_{SCHEMES[self.scheme]}")
        made: Callable[[str], str] = getattr(module, names[self.scheme])()
        return made

    @contextmanager
    def open(self, device: str) -> Iterator[TokenizerSession]:
        """A session; the device does not matter.

        Raises:
            MissingPart: the library or its dictionary is missing.
        """
        del device
        problem = self.check()
        if problem is not None:
            raise MissingPart(problem.what, problem.cure)
        yield SchemeTokenizer(self._callable())
