"""Pairs of captions put before a judge in both orders: what an arena of systems is made from.

    with opened("judge_chat(model='gpt-4o')") as judge:
        verdicts = ask_both_orders(judge, [Contest("42", "a dog", "two cats", references=("a brown dog",))])

The judge's replies are kept and found again as those of a run are: the same contests again ask nothing, and the two
captions of a contest may come in any order, since both orders are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from capbench.types import ImageRef

RUBRIC = "pairwise"
Choice = Literal["first", "second", "tie"]
Outcome = Literal["first", "second", "tie", "contradictory", "unscored"]


@dataclass(frozen=True, slots=True)
class Contest:
    """Two captions of one image, and what the judge may see beside them: references, the picture, or both."""

    id: str
    first: str
    second: str
    references: tuple[str, ...] = ()
    image: ImageRef | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said of a contest in both orders, always of the contest's own first and second caption.

    shown: the choice where ``first`` stood first; swapped: where it stood second; None for an answer that is none.
    outcome: their common choice; "tie" where both say so or one does and the other chooses ("first" and "tie" make
    "first" with ``lenient``); "contradictory" where each order favours another; "unscored" where an answer is missing.
    reason: why it is unscored. replies: both texts as the judge wrote them ("" where there is none).
    """

    id: str
    outcome: Outcome
    shown: Choice | None
    swapped: Choice | None
    reason: str = ""
    replies: tuple[str, str] = ("", "")


@contextmanager
def opened(
    spec: str, *, backends: Mapping[str, str] | None = None, replay: str = "", device: str = "cpu"
) -> Iterator[Any]:
    """A judge by its spec, ready to be asked, with the cache of replies.

    backends: aliases, as ``--backend`` gives them. replay: a file of recorded replies that is asked in the judge's place.

    Raises:
        UsageError: no such judge. MissingPart: something that it needs is missing.
    """
    raise NotImplementedError
    yield


def ask_both_orders(
    judge: Any, contests: Sequence[Contest], rubric: str = RUBRIC, *, seed: int = 0, temperature: float = 0.0
) -> list[Verdict]:
    """One verdict a contest, in order. rubric: a shipped one's name or a TOML file that sees ``caption`` and ``other``.

    Raises:
        UsageError: the rubric is not of two captions, or a contest lacks everything that it sees.
        MissingPart: a recorded reply is missing.
    """
    raise NotImplementedError
