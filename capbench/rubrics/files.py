"""Rubrics from files: those that come with capbench by name, others by the path of a TOML file."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from capbench.codec import plain, read_toml, to_json
from capbench.errors import BadData, Fault, UsageError
from capbench.rubrics.model import Rubric, Step
from capbench.rubrics.templates import names_in

FOLDER = Path(__file__).parent / "shipped"
LISTS = ("facts", "questions", "elements", "references")
MOST_LIKELY = 100
NAME = re.compile(r"[a-z][a-z0-9_]*")
COUNTS = ("asked", "unreadable", "refused", "tokens_in", "tokens_out", "seconds", "cost", "smoothed")


def shipped() -> list[str]:
    """The names of the rubrics that come with capbench."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(rubric: str) -> Rubric:
    """A rubric by its name, or by its path where that has a slash or ends in .toml.

    Raises:
        UsageError: no such name or file. BadData: a file that is no rubric, with everything that is wrong.
    """
    own = rubric.endswith(".toml") or "/" in rubric
    path = Path(rubric) if own else FOLDER / f"{rubric}.toml"
    if not path.is_file():
        if own:
            raise UsageError(f"there is no rubric {rubric}", f"shipped ones are {', '.join(shipped())}")
        near = difflib.get_close_matches(rubric, shipped(), n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(shipped())}"
        raise UsageError(f"no rubric is called {rubric!r}", f"{hint}; one of your own is named by its path, x.toml")
    return read(path, path.stat().st_mtime_ns)


@cache
def read(path: Path, stamp: int) -> Rubric:
    """A rubric's file, with the digests of all of it and of what the judge reads of it. stamp: its time, for the cache.

    Raises:
        BadData: it is no rubric, with everything that is wrong.
    """
    del stamp
    made = read_toml(path, Rubric)
    if faults := [Fault(str(path), what) for what in faults_of(made)]:
        raise BadData(f"{path} is no rubric:", faults, "docs/judges.md has every key, with examples")
    read_by_judge = [(step.name, step.system, step.prompt) for step in made.steps]
    return replace(made, digest=digest(to_json(plain(made))), prompts=digest(repr(read_by_judge)))


def digest(text: str) -> str:
    """16 hex digits."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def faults_of(rubric: Rubric) -> Iterator[str]:
    """What a file of the right form says wrong all the same."""
    if rubric.digest or rubric.prompts:
        yield "digest and prompts are made of the file and not written in it"
    if "caption" not in rubric.sees:
        yield 'it does not see the caption: sees = ["caption", ...]'
    names = [step.name for step in rubric.steps]
    if not rubric.steps or len(set(names)) < len(names):
        yield "steps are one or more, each with a name of its own"
    for step in rubric.steps:
        yield from (f"step {step.name!r}: {what}" for what in step_faults(rubric, step))
    if rubric.pairwise:
        if rubric.columns or len(rubric.steps) != 1 or set(rubric.steps[0].choices) != {"1", "2", "tie"}:
            yield "a rubric of two captions has no columns and one step, with the choices 1, 2 and tie"
    elif not rubric.columns:
        yield "it has no columns"
    yield from column_faults(rubric, {step.name: step for step in rubric.steps})


def column_faults(rubric: Rubric, steps: dict[str, Step]) -> Iterator[str]:
    """What is wrong with its columns."""
    for i, (name, rule) in enumerate(rubric.columns.items()):
        if not NAME.fullmatch(name) or name in COUNTS:
            yield f"column {name!r}: the name is of small letters, digits and _, and none of {', '.join(COUNTS)}"
        wanted = {"mean": 1, "f1": 2, "fact_recall": 2}[rule.fold]
        if len(rule.of) != wanted:
            yield f"column {name!r}: {rule.fold} is of {wanted} values, not {len(rule.of)}"
        known = list(rubric.columns)[:i] if rule.fold == "f1" else steps
        for value in rule.of:
            if value.partition(".")[0] not in known:
                yield f"column {name!r}: nothing before it is called {value!r}"


def step_faults(rubric: Rubric, step: Step) -> Iterator[str]:
    """What is wrong with one step."""
    earlier = {one.name: one for one in rubric.before(step)}
    lists = {name for name, one in earlier.items() if one.answer in ("list", "questions")} | {*rubric.sees} & {*LISTS}
    for what, name in (("each", step.each), ("aligned", step.aligned)):
        if name and name not in lists:
            yield f"{what} = {name!r} is no list that is there: {', '.join(sorted(lists)) or 'there is none'}"
    words = {*earlier, *rubric.sees} - {"image"} | ({"each"} if step.each else set())
    for name in names_in(step.system + step.prompt):
        if name.partition(".")[0] not in words:
            yield f"nothing fills in {{{name}}}; braces that mean themselves are doubled"
    for is_wrong, words_of_it in (
        (
            not NAME.fullmatch(step.name) or step.name in ("each", *rubric.sees),
            "its name is of small letters, digits and _, and is not that of something it sees",
        ),
        ("image" in step.shows and "image" not in rubric.sees, "it shows the image, and the rubric does not see it"),
        (step.given not in ("", "facts", "questions"), "given is facts or questions"),
        *form_faults(step),
    ):
        if is_wrong:
            yield words_of_it


def form_faults(step: Step) -> list[tuple[bool, str]]:
    """What can be wrong with the form of an answer, and whether it is."""
    return [
        (
            (step.answer in ("numbers", "choices")) != bool(step.aligned),
            "numbers and choices, and only they, are aligned with a list",
        ),
        (
            step.answer in ("choice", "choices") and len(step.choices) < 2,
            "a choice is among two words or more: choices = {yes = 1, no = 0}",
        ),
        ((step.answer == "fields") != bool(step.fields), "the form fields, and only that, has fields"),
        (
            (step.smooth and step.answer != "number") or (step.probability and step.answer != "choice"),
            "smooth is for a number, probability for a choice",
        ),
        (step.answer == "match" and step.each != "questions", 'match is for each = "questions"'),
        (
            step.tokens < 1 or not 1 <= step.likely <= MOST_LIKELY or not step.low < step.high,
            f"tokens are 1 or more, likely is 1 to {MOST_LIKELY}, and low is below high",
        ),
    ]
