"""``factual``: the FACTUAL parser (Li et al. 2023, Findings of ACL), a T5 that writes scene graphs, by transformers.

Prompt, lengths and beams are those of the authors' own program (zhuang-li/FactualSceneGraph, ``SceneGraphParser``):
"Generate Scene Graph: " before the text, 64 pieces in, 128 out, 5 beams. It was trained on captions of one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from capbench.errors import MissingPart, UsageError
from capbench.hub_models import folder_of, loading, model_digest, model_name, model_problem
from capbench.languages import readable
from capbench.protocols import Elements, Problem
from capbench.types import Failure

LIBRARIES = ("torch", "transformers")
INSTALL = "pip install 'capbench[hf]'"
PROMPT = "Generate Scene Graph: "
LONGEST_IN, LONGEST_OUT, BEAMS = 64, 128, 5
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
FACT = re.compile(r"\(([^()]*)\)")
MARKS = re.compile(r"\bp?v:|:\d+")  # of models trained on FACTUAL-MR: "v:sit on", "dog:1"
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Factual:
    """Texts into elements, sentence by sentence; what the model writes for a text's sentences is put together.

    model: a hub id that is in the hub's cache, or a folder that ``save_pretrained`` wrote. precision: fp32, bf16 or
    fp16. beams: fewer are faster, and other graphs. batch: sentences that go through it together.
    """

    name: ClassVar[str] = "factual"
    kind: ClassVar[str] = "parser"

    model: str = "lizhuang144/flan-t5-base-VG-factual-sg"
    precision: str = "fp32"
    beams: int = BEAMS
    batch: int = field(default=32, metadata={"signed": False})

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        if self.precision not in PRECISIONS:
            raise UsageError(f"no precision {self.precision!r}", f"one of {', '.join(PRECISIONS)}")
        if self.beams < 1 or self.batch < 1:
            raise UsageError("beams and batch are at least 1", "leave them out, or give 1 or more")

    def fingerprint(self) -> str:
        """factual/MODEL@DIGEST/PRECISION/BEAMS; the digest is of weights, configuration and vocabulary."""
        return f"factual/{model_name(self.model)}@{model_digest(self._folder())}/{self.precision}/beams{self.beams}"

    def check(self) -> Problem | None:
        """The first thing that is missing, if any."""
        return model_problem(LIBRARIES, INSTALL, self._folder)

    @contextmanager
    def open(self, device: str) -> Iterator[ParserSession]:
        """The model in memory, on a device.

        Raises:
            MissingPart: something is missing.
            CapbenchError: it cannot be loaded, in the words of transformers.
        """
        problem = self.check()
        if problem is not None:
            raise MissingPart(problem.what, problem.cure)
        tokenizer, model = loaded(self._folder(), PRECISIONS[self.precision], device)
        yield ParserSession(tokenizer, model, self.beams, self.batch)

    def _folder(self) -> Path:
        """Where the model is.

        Raises:
            MissingPart: nowhere.
        """
        return folder_of(self.model, "factual(model='FOLDER')")


def loaded(folder: Path, precision: str, device: str) -> tuple[Any, Any]:
    """A tokenizer and a sequence-to-sequence model.

    Raises:
        CapbenchError: the folder does not hold both.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    cure = "the folder needs a T5 and its tokenizer, as in lizhuang144/flan-t5-base-VG-factual-sg"
    with loading(f"transformers cannot load a parser from {folder}", cure) as local:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=getattr(torch, precision), **local)
    return tokenizer, model.to(device).eval()


@dataclass(frozen=True, slots=True)
class ParserSession:
    """A ``ParserSession`` over one model; equal sentences of a call go through it once."""

    tokenizer: Any
    model: Any
    beams: int
    batch: int

    def parse(self, texts: Sequence[str]) -> list[Elements | Failure]:
        """One Elements a text; a text with a sentence for which the model wrote no graph is a Failure."""
        cut = [sentences(text) for text in texts]
        wanted = sorted({sentence for own in cut for sentence in own}, key=lambda one: (len(one), one))
        known: dict[str, str] = {}
        for start in range(0, len(wanted), self.batch):
            part = wanted[start : start + self.batch]
            known |= dict(zip(part, self._written(part), strict=True))
        return [together([known[sentence] for sentence in own]) for own in cut]

    def _written(self, part: Sequence[str]) -> list[str]:
        """What the model writes for each of these sentences."""
        import torch

        prompts = [PROMPT + sentence for sentence in part]
        cut = {"padding": True, "truncation": True, "max_length": LONGEST_IN, "return_tensors": "pt"}
        inputs = self.tokenizer(prompts, **cut).to(self.model.device)
        with torch.inference_mode():
            made = self.model.generate(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_length=LONGEST_OUT,
                num_beams=self.beams, early_stopping=self.beams > 1, do_sample=False,
                decoder_start_token_id=self.tokenizer.pad_token_id,
            )  # fmt: skip
        written: list[str] = self.tokenizer.batch_decode(made, skip_special_tokens=True)
        return written


def sentences(text: str) -> list[str]:
    """A text at its full stops, question and exclamation marks and line ends; blanks are one blank."""
    plain = readable(text).replace("\0", " ")
    return [one for one in (" ".join(part.split()) for part in SENTENCE.split(plain)) if any(map(str.isalnum, one))]


def together(written: Sequence[str]) -> Elements | Failure:
    """The elements of all sentences, each once; a Failure where a sentence has no fact that can be read."""
    objects: dict[str, None] = {}
    attributes: dict[tuple[str, str], None] = {}
    relations: dict[tuple[str, str, str], None] = {}
    for graph in written:
        facts = facts_of(graph)
        if not facts:
            return Failure(f"the parser wrote no scene graph: {graph[:80]!r}")
        for fact in facts:
            ends = fact[:1] if len(fact) < 3 or fact[1] == "is" else (fact[0], fact[2])
            objects |= dict.fromkeys(ends)
            if len(fact) == 3 and fact[1] == "is":
                attributes[fact[0], fact[2]] = None
            elif len(fact) == 3:
                relations[fact[0], fact[1], fact[2]] = None
    return Elements(tuple(objects), tuple(attributes), tuple(relations))


def facts_of(graph: str) -> list[tuple[str, ...]]:
    """The facts "( subject , relation , object )" of a graph as it is written, and lone objects "( object )".

    A fact of another shape, or one that the model's limit cut off before its ")", is left out; if nothing else
    is there, its first word group is an object, as in the authors' program.
    """
    plain = MARKS.sub("", graph.replace(PROMPT.strip(), "")).lower()
    facts = [tuple(" ".join(part.split()) for part in fact.split(",")) for fact in FACT.findall(plain)]
    whole = [fact for fact in facts if len(fact) in (1, 3) and all(fact)]
    if whole:
        return whole
    first = " ".join(plain.strip().strip("(").split(")")[0].split(",")[0].split())
    return [(first,)] if plain.strip().startswith("(") and first else []
