"""The need of judges: captions and what is to be seen beside them, asked about step by step as a rubric says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple

from capbench import replies, rubrics
from capbench.needs import Ids
from capbench.protocols import Elements, JudgePrompt, JudgeReply, Need
from capbench.rubrics import answers, folds, matching, templates
from capbench.rubrics.model import Rubric, Step
from capbench.types import Failure

State = Literal["read", "unreadable", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a judge is asked. repeats: how often for each number, with seeds seed, seed + 1, ...; the mean counts.

    tries: how often in all, where an answer cannot be read; a further one has a seed of its own.
    """

    temperature: float = 0.0
    seed: int = 0
    repeats: int = 1
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Given:
    """What data beyond the benchmark say of an item: facts, and questions with their answers."""

    facts: tuple[str, ...] = ()
    questions: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question to the judge and what came of it.

    step, entry: what was asked (of the entries of a list the number, else -1). repeat, attempt: from 0.
    said: the value that was read, or why there is none.
    """

    step: str
    entry: int
    repeat: int
    attempt: int
    key: str
    state: State
    said: Any
    reply: JudgeReply | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge says of an item: the rubric's columns (none where a number is missing: ``reason`` says why).

    repeats: where it was asked several times, the columns of each time (none where that has no answer).
    """

    columns: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    exchanges: tuple[Exchange, ...] = ()
    repeats: tuple[Mapping[str, float], ...] = ()


class Case(NamedTuple):
    """One item once asked: what its prompts are filled with, the answers until now, and why it ended, if it did."""

    values: dict[str, Any]
    answers: dict[str, Any]
    exchanges: list[Exchange]
    ended: list[str]
    repeat: int


class Spot(NamedTuple):
    """One place of a prompt: the case, the entry's number and the entry (-1 and None where it is not of a list)."""

    case: Case
    entry: int
    each: Any


@dataclass(frozen=True, slots=True)
class Judged:
    """list[Opinion]: what a judge says of each caption by a rubric.

    also: the ids first, then what the rubric sees, as ``sights`` names it. given: facts and questions by id, as pairs,
    with the digest of the file they are from in their place in identities.
    """

    kind: ClassVar[str] = "judged"
    backend_kind: ClassVar[str] = "judge"
    cached: ClassVar[bool] = False  # the replies are, one by one
    replies: ClassVar[bool] = True

    of: Need
    also: tuple[Need, ...] = (Ids(),)
    sights: tuple[str, ...] = ()
    judge: str = "judge"
    rubric: str = "clair"
    settings: Settings = Settings()
    given: str = ""

    @property
    def backend(self) -> str:
        """The judge."""
        return self.judge

    def inputs(self, item: Any) -> list[Any]:
        """The item itself."""
        return [item]

    def compute(self, door: Any, items: Sequence[Any], shelf: Any) -> list[Opinion]:
        """One opinion an item.

        Raises:
            CapbenchError: the judge answers no more; the replies until then are kept.
        """
        known = data_of(self.given) if self.given else {}
        told = []
        for caption, name, *seen in items:
            own = known.get(name, Given())
            values = {"caption": caption, "facts": list(own.facts), "questions": list(own.questions), "id": name}
            told.append(values | {sight: shown(value) for sight, value in zip(self.sights, seen, strict=True)})
        return opinions(rubrics.load(self.rubric), told, self.settings, door, shelf)

    def gather(self, values: Sequence[Any]) -> list[Opinion]:
        """One opinion an item, without columns for a failure."""
        return [Opinion(reason=value.reason) if isinstance(value, Failure) else value for value in values]


def shown(value: Any) -> Any:
    """What a need gives, as prompts are filled with it: elements as lines."""
    if isinstance(value, list):
        parts = [shown(entry) for entry in value]
        lines = [line for part in parts for line in (part if isinstance(part, list) else [part])]
        return list(dict.fromkeys(lines)) if lines != parts else lines
    if not isinstance(value, Elements):
        return value
    owners = [f"{word} {thing}" for thing, word in value.attributes]
    return list(dict.fromkeys([*value.objects, *owners, *(" ".join(relation) for relation in value.relations)]))


def opinions(
    rubric: Rubric, told: Sequence[dict[str, Any]], settings: Settings, door: Any, shelf: Any
) -> list[Opinion]:
    """The rubric's columns of all items. told: by item, what prompts are filled with."""
    return [opinion_of(rubric, own) for own in cases_of(rubric, told, settings, door, shelf)]


def cases_of(
    rubric: Rubric, told: Sequence[dict[str, Any]], settings: Settings, door: Any, shelf: Any
) -> list[list[Case]]:
    """All steps of a rubric for all items, each step for all at once: of each item a case for each repeat."""
    needed = [name for name in ("facts", "questions") if name in rubric.sees]
    cases = [
        [
            Case(values, {}, [], [f"there are no {x} of it" for x in needed if not values[x]], n)
            for n in range(settings.repeats)
        ]
        for values in told
    ]
    for step in rubric.steps:
        alive = [case for own in cases for case in own if not case.ended]
        take(rubric, step, alive, settings, door, shelf)
    return cases


def opinion_of(rubric: Rubric, cases: Sequence[Case]) -> Opinion:
    """The mean of all repeats of an item; nothing where one of them has no answer."""
    exchanges = tuple(exchange for case in cases for exchange in case.exchanges)
    reason = next((case.ended[0] for case in cases if case.ended), "")
    made = [{} if c.ended else folds.columns_of(rubric, c.answers, c.values["facts"]) for c in cases]
    repeats = tuple(made) if len(made) > 1 else ()
    if reason:
        return Opinion({}, reason, exchanges, repeats)
    columns = {name: sum(one[name] for one in made) / len(made) for name in rubric.columns}
    first = next(iter(rubric.columns))
    nothing = "there is nothing to make a number of" if math.isnan(columns[first]) else ""
    return Opinion(columns, nothing, exchanges, repeats)


def take(rubric: Rubric, step: Step, cases: Sequence[Case], settings: Settings, door: Any, shelf: Any) -> None:
    """One step of all cases: ask, read, and ask again what could not be read."""
    spots: list[Spot] = []
    for case in cases:
        if step.given and case.values.get(step.given):
            case.answers[step.name] = {"value": case.values[step.given]}
            continue
        if not step.each:
            spots.append(Spot(case, -1, None))
            continue
        entries = list_of(case, step.each)
        case.answers[step.name] = [None] * len(entries)
        spots += [Spot(case, i, entry) for i, entry in enumerate(entries)]
    for attempt in range(settings.tries):
        prompts = [prompt_of(rubric, step, spot, settings, attempt) for spot in spots]
        label = f"{rubric.name}: {step.name}"
        found = replies.asked(door, shelf, prompts, label) if prompts else {}
        last = attempt == settings.tries - 1
        spots = [
            spot
            for spot, prompt in zip(spots, prompts, strict=True)
            if not settle(step, spot, prompt, found[prompt.key], attempt, last=last)
        ]


def list_of(case: Case, name: str) -> Sequence[Any]:
    """A list by its name: what an earlier step answered, or what the item has."""
    answer = case.answers.get(name)
    value = answer["value"] if answer is not None else case.values.get(name, [])
    return list(value)


def prompt_of(rubric: Rubric, step: Step, spot: Spot, settings: Settings, attempt: int) -> JudgePrompt:
    """The prompt of one step about one case, or about one entry of a list of it."""
    case = spot.case
    values = dict(case.values)
    for before in rubric.before(step):
        answer = case.answers.get(before.name)
        if isinstance(answer, list):
            values[before.name] = (
                answer[spot.entry]["value"] if before.each == step.each else [a["value"] for a in answer]
            )
        elif answer is not None:
            values[before.name] = answer["value"]
    if spot.each is not None:
        values["each"] = with_choices(spot.each)
    number = case.repeat + settings.repeats * attempt
    image = values.pop("image", None)
    prompt = JudgePrompt(
        templates.filled(step.prompt, values), templates.filled(step.system, values),
        (image,) if "image" in step.shows and image is not None else (),
        step.tokens, settings.temperature, settings.seed + number, step.places,
        item=case.values["id"], about={**values, "image": image, "step": step, "rubric": rubric.name},
    )  # fmt: skip
    return replace(prompt, key=replies.key_of(rubric.digest, prompt, number))


def with_choices(entry: Any) -> Any:
    """A question with its choices in its words."""
    if isinstance(entry, Mapping) and entry.get("choices"):
        return {**entry, "question": matching.with_letters(entry["question"], entry["choices"])}
    return entry


def settle(
    step: Step, spot: Spot, prompt: JudgePrompt, reply: JudgeReply | Failure, attempt: int, *, last: bool
) -> bool:
    """Read one reply into its case; whether this place is done with."""
    case = spot.case
    state, said = outcome(step, spot, reply)
    own = reply if isinstance(reply, JudgeReply) else None
    case.exchanges.append(Exchange(step.name, spot.entry, case.repeat, attempt, prompt.key, state, said, own))
    if state == "read":
        if spot.entry < 0:
            case.answers[step.name] = said
        else:
            case.answers[step.name][spot.entry] = said
        return True
    if state == "failed" or last:
        about = step.name + (f" {spot.entry + 1}" if spot.entry >= 0 else "")
        words = {"unreadable": f"the judge's answer ({about}) cannot be read: {said}",
                 "refused": f"the judge refuses ({about}): {said}",
                 "failed": f"the judge did not answer ({about}): {said}"}  # fmt: skip
        case.ended.append(words[state])
        return True
    return False


def outcome(step: Step, spot: Spot, reply: JudgeReply | Failure) -> tuple[State, Any]:
    """What a reply comes to: its values, or why it has none."""
    if isinstance(reply, Failure):
        return "failed", reply.reason
    if refusal := answers.refusal(reply):
        return "refused", refusal
    wanted = len(list_of(spot.case, step.aligned)) if step.aligned else 0
    entry = len(spot.case.values["facts"]) if step.answer == "numbers" else spot.each
    try:
        return "read", answers.read(step, reply, wanted, entry)
    except answers.Unreadable as fault:
        if answers.declines(reply.text):
            return "refused", templates.one_line(reply.text)[: answers.SHOWN]
        return "unreadable", str(fault)


def plain_exchanges(exchanges: Sequence[Exchange]) -> Iterator[dict[str, Any]]:
    """Everything that was asked, as plain data."""
    for one in exchanges:
        said = json.loads(json.dumps(one.said)) if one.state == "read" else str(one.said)
        line = {"step": one.step, "key": one.key, "state": one.state, "said": said}
        line |= {"entry": one.entry} if one.entry >= 0 else {}
        line |= {name: number for name, number in (("repeat", one.repeat), ("attempt", one.attempt)) if number}
        yield line | ({"reply": replies.packed(one.reply)} if one.reply is not None else {})


def data_of(path: str) -> Mapping[str, Given]:
    """Facts and questions by id, from a file.

    Raises:
        BadData: with its lines.
    """
    from capbench.rubrics.given import read_given

    return {name: Given(*both) for name, both in read_given(path).items()}
