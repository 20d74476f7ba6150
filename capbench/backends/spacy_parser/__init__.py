"""``spacy``: texts into objects, attributes and relations by rules over spaCy's dependency trees (docs/parsers.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from capbench.backends.spacy_parser import pipeline, words
from capbench.backends.spacy_parser.lemmas import Lemmas, lemmas_of
from capbench.backends.spacy_parser.prose import prose
from capbench.backends.spacy_parser.rules import elements
from capbench.backends.spacy_parser.trees import Trees
from capbench.backends.spacy_parser.workers import MOST, Workers, cores
from capbench.errors import MissingPart, UsageError
from capbench.libraries import libraries_problem
from capbench.protocols import Elements, Problem
from capbench.types import Failure

RULES = 2  # raised when the same text can give other elements
BATCH = 256
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class SpacyParser:
    """English texts of any length, many at a time, on the processor.

    pipeline: an installed package with an English pipeline of spaCy, or a folder that ``nlp.to_disk`` wrote; it
    needs a tagger, a dependency parser and the rule lemmatizer. batch: texts that go through it together.
    workers: processes that share the texts of a call which is long enough to be worth their start, 1 for this one
    alone, 0 for one a core and at most 8. Neither can change an element.
    """

    name: ClassVar[str] = "spacy"
    kind: ClassVar[str] = "parser"

    pipeline: str = pipeline.DEFAULT
    batch: int = field(default=BATCH, metadata={"signed": False})
    workers: int = field(default=0, metadata={"signed": False})

    def __post_init__(self) -> None:
        if self.batch < 1 or self.workers < 0:
            raise UsageError(
                f"spacy(batch={self.batch}, workers={self.workers}): neither may be negative, and a batch has a text",
                "leave them out: spacy()",
            )

    @property
    def chunk(self) -> int:
        """Texts a cache commit: a few seconds of work, so that they can be shared."""
        return CHUNK

    def fingerprint(self) -> str:
        """spacy/LIBRARY/PIPELINE-VERSION@DIGEST/RULES; the digest is of weights, tables and tokenizer."""
        found = pipeline.find(self.pipeline)
        return f"spacy/{pipeline.library()}/{found.name}-{found.version}@{found.digest()}/rules{RULES}"

    def check(self) -> Problem | None:
        """Whether spaCy and the pipeline are there, and the pipeline is what its name and version say."""
        lacking = libraries_problem(["spacy", "threadpoolctl"], pipeline.INSTALL)
        if lacking is not None:
            return lacking
        try:
            found = pipeline.find(self.pipeline)
        except MissingPart as error:
            return Problem(error.message, error.cure)
        if found.is_altered():
            return Problem(
                f"the files of {found.name} {found.version} are not those that were published: digest {found.digest()}",
                f"pip install --force-reinstall {found.name.replace('_', '-')}=={found.version}; a pipeline of your "
                "own needs a name of its own: spacy(pipeline='FOLDER')",
            )
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[ParserSession]:
        """A session on the processor, whatever the device.

        Raises:
            MissingPart: spaCy or the pipeline is missing or altered.
        """
        del device
        problem = self.check()
        if problem is not None:
            raise MissingPart(problem.what, problem.cure)
        found = pipeline.find(self.pipeline)
        nlp = found.load()
        trees, lemmas = Trees(nlp), lemmas_of(nlp, words.PLURALS)
        count = self.workers or min(cores(), MOST)
        if count == 1:
            yield ParserSession(trees, lemmas, self.batch)
            return
        with closing(Workers(count - 1, [str(found.folder.resolve()), str(self.batch)])) as workers:
            yield ParserSession(trees, lemmas, self.batch, workers)


@dataclass(frozen=True, slots=True)
class ParserSession:
    """A ``ParserSession`` over one pipeline; equal texts of a call are parsed once."""

    trees: Trees
    lemmas: Lemmas
    batch: int
    workers: Workers | None = None

    def parse(self, texts: Sequence[str]) -> list[Elements | Failure]:
        """One Elements a text; a text without words has none, one that spaCy cannot hold is a Failure."""
        read = [prose(text) for text in texts]
        known: dict[str, Elements | Failure] = {"": Elements()}
        longest = self.trees.nlp.max_length
        for text in read:
            if len(text) > longest:
                known[text] = Failure(f"a text of {len(text)} characters; spaCy reads at most {longest}")
        missing = [text for text in dict.fromkeys(read) if text not in known]
        made = self._made(missing) if self.workers is None else self.workers.parse(missing, self._made)
        known |= dict(zip(missing, made, strict=True))
        return [known[text] for text in read]

    def _made(self, texts: Sequence[str]) -> list[Elements]:
        """The elements of texts in this process."""
        return [elements(tree, self.lemmas) for tree in self.trees.read(texts, self.batch)]
