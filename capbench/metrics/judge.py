"""``judge``: a language model that scores captions by a rubric, replayable and accountable.

The rubric, a TOML file, says what is asked, how answers are read and what numbers are made of them
(``capbench.rubrics``); shipped ones follow published protocols in words of our own. An answer that cannot be read has
no number, a refusal is told apart, and what was asked and answered is kept with the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench import rubrics
from capbench.errors import CapbenchError, UsageError
from capbench.judged import Exchange, Judged, Opinion, Settings, plain_exchanges
from capbench.needs import Captions, Ids, Images, Parsed, References
from capbench.protocols import Need, Problem
from capbench.types import Caution, Column

if TYPE_CHECKING:
    from capbench.types import Array

unsigned = {"signed": False}
COUNTED = {
    "asked": Column("questions", better="none", low=0.0),
    "unreadable": Column("unreadable", better="none", low=0.0),
    "refused": Column("refused", better="none", low=0.0),
    "smoothed": Column("smoothed", better="none", low=0.0, high=1.0),
    "tokens_in": Column("tokens in", better="none", low=0.0),
    "tokens_out": Column("tokens out", better="none", low=0.0),
    "seconds": Column("judge s", better="none", low=0.0),
    "cost": Column("judge cost", better="none", low=0.0),
}
MODELS_SHOWN = 4


class OfItsRubric:
    """The columns of a metric's rubric; of the class those of the rubric that it has by default."""

    def __get__(self, metric: Judge | None, kind: type[Judge]) -> Mapping[str, Column]:
        """Name -> column, the rubric's first."""
        rubric = rubrics.load("clair" if metric is None else metric.rubric)
        return {name: rule.column for name, rule in rubric.columns.items()} | COUNTED


@dataclass(frozen=True, slots=True)
class Judge:
    """The columns of a rubric, from the answers of a judge; and what was asked, was no answer, and took how much.

    rubric: a shipped one's name (``capbench.rubrics.shipped``) or the path of a TOML file. model: the judge, a backend
    such as judge_chat(model='NAME', url='...') or judge_hf(model='FOLDER'), or an alias. facts: a file with facts and
    questions, for rubrics that see such. parser: the backend that finds the references' elements, for rubrics that see
    them. temperature, seed: of the judge. repeats: how often each question is asked, with seeds of their own; the mean
    counts. tries: how often an answer is asked for in all where it cannot be read.
    """

    name: ClassVar[str] = "judge"
    version: ClassVar[int] = 1
    columns: ClassVar[Any] = OfItsRubric()

    rubric: str = field(default="clair", metadata=unsigned)  # ``stated`` says which it is
    model: str = "judge"
    facts: str = field(default="", metadata={"signed": "content"})
    parser: str = field(default="scenes_parser", metadata=unsigned)  # in the signature by its fingerprint, where used
    temperature: float = 0.0
    seed: int = 0
    repeats: int = 1
    tries: int = 1

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        rubric = rubrics.load(self.rubric)
        if rubric.pairwise:
            raise UsageError(
                f"the rubric {rubric.name} compares two captions, and a metric scores one",
                "capbench.judging.ask_both_orders takes it, and whatever makes verdicts of pairs",
            )
        if self.repeats < 1 or self.tries < 1 or self.temperature < 0:
            raise UsageError(
                f"judge: repeats={self.repeats}, tries={self.tries}, temperature={self.temperature}",
                "repeats and tries are 1 or more, temperature is 0 or more",
            )
        if self.repeats > 1 and not self.temperature:
            raise UsageError(
                "judge: repeats at temperature 0 give the same answer again", "temperature=0.7, or repeats=1"
            )
        wants = {"facts", "questions"} & {*rubric.sees, *(step.given for step in rubric.steps)}
        if self.facts and not wants:
            raise UsageError(f"the rubric {rubric.name} sees no facts or questions", "leave out facts=")

    @property
    def needs(self) -> Mapping[str, Need]:
        """What the judge says of each caption."""
        rubric = rubrics.load(self.rubric)
        seen: dict[str, Need] = {}
        if "references" in rubric.sees:
            seen["references"] = References()
        if "image" in rubric.sees:
            seen["image"] = Images()
        if "elements" in rubric.sees:
            seen["elements"] = Parsed(References(), self.parser)
        settings = Settings(self.temperature, self.seed, self.repeats, self.tries)
        also = (Ids(), *seen.values())
        return {"opinions": Judged(Captions(), also, tuple(seen), self.model, self.rubric, settings, self.facts)}

    def check(self) -> Problem | None:
        """Whether the rubric's facts or questions are named, and can be read."""
        rubric = rubrics.load(self.rubric)
        missing = [name for name in ("facts", "questions") if name in rubric.sees and not self.facts]
        if missing:
            return Problem(f"the rubric {rubric.name} sees {missing[0]}", "name the file that holds them: facts='FILE'")
        if self.facts:
            from capbench.rubrics.given import read_given

            try:
                read_given(self.facts)
            except CapbenchError as error:
                return Problem(error.message, error.cure)
        return None

    def stated(self) -> Mapping[str, str]:
        """Which rubric it is, the digest of all of it, and that of the words that the judge reads."""
        rubric = rubrics.load(self.rubric)
        return {"rubric": f"{rubric.name}@{rubric.version}", "rubric_digest": rubric.digest, "prompts": rubric.prompts}

    def rows(self, opinions: Sequence[Opinion]) -> Mapping[str, Array]:
        """The columns of each item; those of tokens and cost where the judge says them of every reply."""
        rubric = rubrics.load(self.rubric)
        made = {
            name: np.array([one.columns.get(name, np.nan) for one in opinions], np.float64) for name in rubric.columns
        }
        return made | counted(rubric, opinions)

    def reasons(self, opinions: Sequence[Opinion]) -> list[str]:
        """Why an item has no number, "" where it has one."""
        return [one.reason for one in opinions]

    def details(self, opinions: Sequence[Opinion]) -> list[Mapping[str, Any] | None]:
        """Everything that was asked about each item and what came of it, with the replies; each repeat's columns."""
        names = list(rubrics.load(self.rubric).columns)
        return [
            {
                "exchanges": list(plain_exchanges(one.exchanges)),
                **({"reason": one.reason} if one.reason else {}),
                **({"repeats": {name: repeated(one, name) for name in names}} if one.repeats else {}),
            }
            if one.exchanges
            else None
            for one in opinions
        ]

    def caution(self, opinions: Sequence[Opinion]) -> Caution | None:
        """Answers that are none, and replies of more models than one."""
        states: Counter[str] = Counter(exchange.state for one in opinions for exchange in one.exchanges)
        models = Counter(e.reply.model for one in opinions for e in one.exchanges if e.reply and e.reply.model)
        marks, why = [], []
        for state, words in (
            ("unreadable", "could not be read"),
            ("refused", "were refusals"),
            ("failed", "never came"),
        ):
            if states[state]:
                why.append(f"{states[state]} of {states.total()} answers {words}")
                marks.append(f"{states[state]} {state}")
        if len(models) > 1:
            marks.append(f"{len(models)} models")
            shown = ", ".join(f"{name} ({n})" for name, n in models.most_common(MODELS_SHOWN))
            why.append(f"the replies are of different models: {shown}")
        if not marks:
            return None
        cure = "their texts are in the run's details; what cannot be read has no number"
        return Caution(", ".join(marks), f"judge: {'; '.join(why)}: {cure}")


def repeated(opinion: Opinion, column: str) -> list[float | None]:
    """A column of each repeat; None where it has no number."""
    values = [one.get(column, np.nan) for one in opinion.repeats]
    return [None if np.isnan(value) else value for value in values]


def counted(rubric: rubrics.Rubric, opinions: Sequence[Opinion]) -> dict[str, Array]:
    """What was asked, was no answer, and what it took, of each item."""
    every = [one.exchanges for one in opinions]
    replies = [exchange.reply for own in every for exchange in own if exchange.reply is not None]

    def total(value: Any) -> Array:
        return np.array([float(sum(map(value, own))) for own in every], np.float64)

    def of_reply(name: str) -> Array:
        return total(lambda exchange: getattr(exchange.reply, name) if exchange.reply is not None else 0)

    made = {
        "asked": total(lambda _: 1),
        "unreadable": total(lambda exchange: exchange.state == "unreadable"),
        "refused": total(lambda exchange: exchange.state == "refused"),
    }
    if any(step.smooth for step in rubric.steps):
        made["smoothed"] = np.array([share_smoothed(own) for own in every], np.float64)
    for name in ("tokens_in", "tokens_out"):
        if replies and all(getattr(reply, name) >= 0 for reply in replies):
            made[name] = of_reply(name)
    for name in ("seconds", "cost"):
        if any(getattr(reply, name) for reply in replies):
            made[name] = of_reply(name)
    return made


def share_smoothed(exchanges: Sequence[Exchange]) -> float:
    """Of an item's numbers that are to be smoothed the share that could be; 0 where there is none."""
    found = [e.said["smoothed"] for e in exchanges if e.state == "read" and "smoothed" in e.said]
    return sum(found) / len(found) if found else 0.0
