"""Pairs of captions put before a judge in both orders: what an arena of systems is made from.

    with opened("judge_chat(model='gpt-4o')") as judge:
        verdicts = ask_both_orders(judge, [Contest("42", "a dog", "two cats", references=("a brown dog",))])

The judge's replies are kept and found again as those of a run are: the same contests again ask nothing, and the two
captions of a contest may come in any order, since both orders are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from capbench.cache import Shelf, open_cache
from capbench.errors import UsageError, cannot_start
from capbench.judged import Case, Judged, Settings, cases_of, plain_exchanges
from capbench.needs import Captions
from capbench.resolve import RECORDED, bind
from capbench.rubrics import Rubric, load
from capbench.stage import Lazy
from capbench.types import ImageRef

RUBRIC = "pairwise"
Choice = Literal["first", "second", "tie"]
Outcome = Literal["first", "second", "tie", "contradictory", "unscored"]
FIRST: Final = "first"
SECOND: Final = "second"
TIE: Final = "tie"


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

    shown: the choice where ``first`` stood first; swapped: where it stood second; None where there is no answer.
    outcome: the caption that is chosen in both orders; "tie" where one or both answers say so; "contradictory" where
    each order favours another; "unscored" where an answer is missing. reason: why it is unscored. replies: both texts
    as the judge wrote them ("" where there is none). exchanges: all that was asked, as details of a run have it.
    """

    id: str
    outcome: Outcome
    shown: Choice | None
    swapped: Choice | None
    reason: str = ""
    replies: tuple[str, str] = ("", "")
    exchanges: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class OpenJudge:
    """A judge that is ready to be asked.

    name: the spec or alias it was opened by. fingerprint: its identity. ``shelf.made``: how many replies it gave.
    """

    name: str
    fingerprint: str
    door: Lazy
    shelf: Shelf


@contextmanager
def opened(
    spec: str, *, backends: Mapping[str, str] | None = None, replay: str = "", device: str = "cpu"
) -> Iterator[OpenJudge]:
    """A judge by its spec, ready to be asked, with the cache of replies.

    backends: aliases, as ``--backend`` gives them. replay: a file of recorded replies that is asked in the judge's
    place.

    Raises:
        UsageError: no such judge. MissingPart: something that it needs is missing.
    """
    aliases = dict(backends or {})
    if replay:
        aliases[spec] = f"{RECORDED}(path={replay!r}, judge={spec!r})"
    bound, problems = bind([Judged(Captions(), judge=spec)], aliases)
    if problems:
        raise cannot_start(problems)
    with ExitStack() as stack:
        cache = stack.enter_context(open_cache())
        fingerprint = bound[spec].fingerprint
        yield OpenJudge(spec, fingerprint, Lazy(bound[spec].backend, device, stack), Shelf(cache, fingerprint))


def ask_both_orders(
    judge: OpenJudge, contests: Sequence[Contest], rubric: str = RUBRIC, settings: Settings | None = None
) -> list[Verdict]:
    """One verdict a contest, in order. rubric: a shipped one's name or a TOML file that sees ``caption`` and ``other``.

    Raises:
        UsageError: the rubric is not of two captions, or a contest has nothing that the rubric sees beside them.
        CapbenchError: the judge answers no more; the replies until then are kept.
        MissingPart: a recorded reply is missing.
    """
    asked = load(rubric)
    if not asked.pairwise:
        raise UsageError(f"the rubric {asked.name} is not of two captions", "pairwise is")
    told = [seen for contest in contests for seen in (order(asked, contest), order(asked, contest, swapped=True))]
    cases = [case for case, *_ in cases_of(asked, told, settings or Settings(), judge.door, judge.shelf)]
    return [
        verdict(contest.id, one, other) for contest, one, other in zip(contests, cases[::2], cases[1::2], strict=True)
    ]


def order(rubric: Rubric, contest: Contest, *, swapped: bool = False) -> dict[str, Any]:
    """What the judge's prompt is filled with in one of the two orders.

    Raises:
        UsageError: it would see nothing but the captions.
    """
    references = list(contest.references) if "references" in rubric.sees else []
    image = contest.image if "image" in rubric.sees else None
    if not references and image is None and {"references", "image"} & set(rubric.sees):
        raise UsageError(
            f"{contest.id}: the judge would see two captions and nothing of the image",
            "give references, or the picture",
        )
    first, second = (contest.second, contest.first) if swapped else (contest.first, contest.second)
    return {
        "caption": first, "other": second, "references": references, "image": image, "id": contest.id, "facts": [],
        "questions": [],
    }  # fmt: skip


def verdict(name: str, shown: Case, swapped: Case) -> Verdict:
    """The answers in both orders as one verdict."""
    choices: list[Choice | None] = []
    texts = []
    first_shown: dict[str, Choice] = {"1": FIRST, "2": SECOND}
    second_shown: dict[str, Choice] = {"1": SECOND, "2": FIRST}
    for case, meant in ((shown, first_shown), (swapped, second_shown)):
        answer = next(iter(case.answers.values()), None)
        choices.append(None if answer is None else meant.get(answer["word"], TIE))
        texts.append(case.exchanges[-1].reply.text if case.exchanges and case.exchanges[-1].reply else "")
    one, other = choices
    reason = next((case.ended[0] for case in (shown, swapped) if case.ended), "")
    outcome: Outcome
    if one is None or other is None:
        outcome = "unscored"
    elif one == other:
        outcome = one
    else:
        outcome = TIE if TIE in (one, other) else "contradictory"
    exchanges = tuple(plain_exchanges([*shown.exchanges, *swapped.exchanges]))
    return Verdict(name, outcome, one, other, reason, (texts[0], texts[1]), exchanges)
