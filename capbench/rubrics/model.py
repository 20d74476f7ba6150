"""What a rubric is made of, as its TOML file has it. docs/judges.md explains every key with examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from capbench.types import Column

Sight = Literal["caption", "other", "references", "image", "elements", "facts", "questions"]
Answer = Literal["number", "choice", "fields", "list", "questions", "numbers", "choices", "text", "match"]
Fold = Literal["mean", "f1", "fact_recall"]


@dataclass(frozen=True, slots=True)
class Read:
    """How one value is read: a number between two bounds, or one of some words, each of which stands for a number."""

    low: float = 0.0
    high: float = 1.0
    choices: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One question to the judge.

    prompt, system: templates. ``{caption}``, ``{references}`` and the other things that the rubric sees stand for
    themselves, ``{NAME}`` for the answer of an earlier step, ``{each}`` for the entry that is asked about and
    ``{each.question}`` for a part of it. shows: "image" where the picture goes with the words.
    each: a list (of an earlier step, or ``facts`` or ``questions``) for each of whose entries it is asked.
    given: what stands in this step's place where the data have it: it is then not asked.

    answer: the form. number: key (of a JSON object), low, high. choice: choices, word -> number. fields: some of both,
    by their names in a JSON object. list: texts. questions: objects with question and answer. numbers, choices: a JSON
    list with one for each entry of ``aligned``. text: as it is. match: a text that is compared with the answers of
    ``each``. smooth: the number is smoothed over the likelihoods of its digits. probability: the likelihood of each
    choice at the answer's first word, in ``p.WORD``, and its share among the choices, in ``share.WORD``.
    likely: how many likeliest tokens are asked for. tokens: the longest answer.
    """

    name: str
    prompt: str
    answer: Answer
    system: str = ""
    shows: tuple[Literal["image"], ...] = ()
    each: str = ""
    given: str = ""
    aligned: str = ""
    key: str = "score"
    low: float = 0.0
    high: float = 1.0
    choices: Mapping[str, float] = field(default_factory=dict)
    fields: Mapping[str, Read] = field(default_factory=dict)
    smooth: bool = False
    probability: bool = False
    likely: int = 20
    tokens: int = 256

    @property
    def places(self) -> int:
        """How many likeliest tokens are asked for at each place of the answer (0: none)."""
        return self.likely if self.smooth or self.probability else 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A column: what it is called and what it is made of.

    of: values as STEP or STEP.FIELD; the steps that ``fold`` takes. fold: mean (of all answers of a step); f1 (of two
    columns); fact_recall (of matches, verdicts and ``facts``; ``capbench.rubrics.folds``). times: a factor.
    empty: the value where there is nothing to take a mean of (none: unscored).
    """

    label: str
    of: tuple[str, ...]
    fold: Fold = "mean"
    times: float = 1.0
    empty: float | None = None
    better: Literal["high", "low", "none"] = "high"
    low: float | None = None
    high: float | None = None

    @property
    def column(self) -> Column:
        """As tables know it."""
        return Column(self.label, self.better, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a judge is asked and what is made of it.

    name: in signatures and messages. about, source: for people. sees: what of an item it needs. version: raised when
    its numbers change (its digest changes with every letter). columns: the first is the rubric's own number.
    """

    name: str
    version: int
    about: str
    sees: tuple[Sight, ...]
    steps: tuple[Step, ...]
    columns: Mapping[str, Rule] = field(default_factory=dict)
    source: str = ""
    digest: str = ""
    prompts: str = ""

    @property
    def pairwise(self) -> bool:
        """Whether it compares two captions, and is no metric of one."""
        return "other" in self.sees

    def before(self, step: Step) -> Iterator[Step]:
        """The steps before one."""
        for one in self.steps:
            if one is step:
                return
            yield one
