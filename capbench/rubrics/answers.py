"""Reading a judge's answer: into values, or into the reason why it is none. Nothing is guessed.

What the original scripts do where an answer cannot be read (a score of 0, the score before, the item left out) makes
numbers that nobody gave; here such an answer is ``Unreadable``, and its text is kept by whoever asked.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from capbench.protocols import JudgeReply
from capbench.rubrics import likelihoods, matching
from capbench.rubrics.model import Read, Step
from capbench.rubrics.templates import one_line

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w]|\.\d)")
OUT_OF = re.compile(r"(?P<number>[-+]?\d+(?:\.\d+)?)\s*(?:/|out of)\s*\d+(?:\.\d+)?", re.IGNORECASE)
ITEM = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+(?P<text>.*\S)\s*$")
DECLINES = re.compile(
    r"\b(?:i(?:'|\u2019)?m sorry|i am sorry|i apologi[sz]e|i can(?:'|\u2019)?t|i cannot|i can not|as an ai|"
    r"i(?:'|\u2019)?m (?:not able|unable)|i am (?:not able|unable)|i won(?:'|\u2019)?t)\b",
    re.IGNORECASE,
)
SHOWN = 200
LARGEST_LIST = 500


class Unreadable(Exception):
    """An answer without the value that was asked for; says what is wrong with it."""


def read(step: Step, reply: JudgeReply, wanted: int = 0, entry: Any = None) -> Mapping[str, Any]:
    """The values of an answer by name; the plain one is ``value``.

    wanted: how many entries an aligned list must have, or up to which number (``numbers``: 0 to that).
    entry: the question that is answered.

    Raises:
        Unreadable: it holds no such value, or more than one, or is cut off.
    """
    if reply.finish == "length" and not step.probability:
        raise Unreadable(f"it is cut off at {step.tokens} tokens")
    return READERS[step.answer](step, reply, wanted, entry)


def refusal(reply: JudgeReply) -> str:
    """What the server or the model says where it declines to answer; "" where it does not say so itself."""
    if reply.refusal:
        return reply.refusal
    return f"filtered: {reply.text}" if reply.finish == "content_filter" else ""


def declines(text: str) -> bool:
    """Whether a text that holds no answer reads like a refusal."""
    return bool(DECLINES.search(text[:SHOWN]))


def a_number(step: Step, reply: JudgeReply, *_: Any) -> Mapping[str, Any]:
    """A number: of a JSON object, or the only one of the text; smoothed where that is asked for and possible."""
    number, printed = number_in(reply.text, step.key)
    found: dict[str, Any] = {"value": within(number, step.low, step.high)}
    if step.smooth:
        smooth = likelihoods.smoothed(reply.likely, printed)
        found |= {"printed": number, "smoothed": float(smooth is not None)}
        found["value"] = number if smooth is None else smooth
    return found


def a_choice(step: Step, reply: JudgeReply, *_: Any) -> Mapping[str, Any]:
    """One of some words; or how likely each is at the answer's first word."""
    if not step.probability:
        word = chosen(reply.text, list(step.choices), step.key)
        return {"value": step.choices[word], "word": word}
    shares = likelihoods.of_words(reply.likely, list(step.choices))
    if shares is None:
        raise Unreadable("the model gives no likelihoods: it takes one that does, or a rubric without")
    total = sum(shares.values())
    if total == 0:
        raise Unreadable(f"none of {', '.join(step.choices)} is among its likeliest first words")
    found = {f"p.{word}": share for word, share in shares.items()}
    found |= {f"share.{word}": share / total for word, share in shares.items()}
    return found | {"value": sum(step.choices[word] * share / total for word, share in shares.items())}


def some_fields(step: Step, reply: JudgeReply, *_: Any) -> Mapping[str, Any]:
    """Each field of a JSON object."""
    objects = [one for one in objects_in(reply.text) if set(step.fields) <= set(one)]
    if not objects:
        raise Unreadable(f"it holds no object with {', '.join(step.fields)}")
    alike(objects, list(step.fields))
    return {name: a_field(objects[0][name], name, how) for name, how in step.fields.items()}


def a_field(value: Any, name: str, how: Read) -> float:
    """One field's value as a number."""
    if how.choices:
        words = {word.casefold(): number for word, number in how.choices.items()}
        if isinstance(value, bool):
            value = "yes" if value else "no"
        plain = str(value).strip().strip(".\"'").casefold()
        if plain not in words:
            raise Unreadable(f"{name} is {value!r:.80}, and none of {', '.join(how.choices)}")
        return words[plain]
    return within(numeral(value, name), how.low, how.high)


def a_list(_: Step, reply: JudgeReply, *__: Any) -> Mapping[str, Any]:
    """Texts: a JSON list, or lines that begin with a dash or number; "none" or [] for an empty one."""
    found = next(lists_in(reply.text), None)
    if found is None:
        lines = [match["text"] for line in reply.text.split("\n") if (match := ITEM.match(line))]
        found = lines if lines or reply.text.strip().casefold().strip(".") in ("none", "-") else None
    if found is None or not all(isinstance(entry, str) for entry in found):
        raise Unreadable("it holds no list of texts")
    return {"value": checked_length([one_line(entry) for entry in found if entry.strip()])}


def some_questions(_: Step, reply: JudgeReply, *__: Any) -> Mapping[str, Any]:
    """Objects with a question and its answer."""
    found = next(lists_in(reply.text), None)
    entries = [entry for entry in found or [] if isinstance(entry, Mapping)]
    good = [
        {name: one_line(str(entry[name])) for name in ("question", "answer")}
        for entry in entries
        if all(isinstance(entry.get(name), str) and entry[name].strip() for name in ("question", "answer"))
    ]
    if not good or len(good) != len(found or []):
        raise Unreadable("it holds no list of objects with question and answer")
    return {"value": checked_length(good)}


def some_numbers(step: Step, reply: JudgeReply, wanted: int, highest: Any) -> Mapping[str, Any]:
    """A whole number from 0 for each entry of a list."""
    values = aligned(reply.text, wanted)
    numbers = [within(numeral(value, step.name), 0, float(highest)) for value in values]
    if any(number != int(number) for number in numbers):
        raise Unreadable("the list holds a number that is not whole")
    return {"value": numbers}


def some_choices(step: Step, reply: JudgeReply, wanted: int, _: Any) -> Mapping[str, Any]:
    """One of some words for each entry of a list."""
    how = Read(choices=step.choices)
    return {"value": [a_field(value, "an entry", how) for value in aligned(reply.text, wanted)]}


def a_text(_: Step, reply: JudgeReply, *__: Any) -> Mapping[str, Any]:
    """The text itself."""
    text = reply.text.strip()
    if not text:
        raise Unreadable("it is empty")
    if declines(text):
        raise Unreadable("it declines")
    return {"value": text}


def a_match(_: Step, reply: JudgeReply, __: int, entry: Any) -> Mapping[str, Any]:
    """How far a text agrees with the answers that are known of its question."""
    text = a_text(_, reply)["value"]
    return {"value": matching.accuracy(text, entry["answers"], entry.get("choices", ())), "text": text}


READERS: Mapping[str, Callable[..., Mapping[str, Any]]] = {
    "number": a_number, "choice": a_choice, "fields": some_fields, "list": a_list, "questions": some_questions,
    "numbers": some_numbers, "choices": some_choices, "text": a_text, "match": a_match,
}  # fmt: skip


def number_in(text: str, key: str) -> tuple[float, str]:
    """The number of an answer, and how it stands there."""
    objects = [one for one in objects_in(text) if key in one]
    if objects:
        alike(objects, [key])
        number = numeral(objects[0][key], key)
        return number, str(objects[0][key])
    if any(objects_in(text)):
        raise Unreadable(f"its object has no {key}")
    plain = OUT_OF.sub(lambda match: match["number"], text)
    found = NUMBER.findall(plain)
    if len({float(one) for one in found}) != 1:
        raise Unreadable("it holds no number" if not found else "it holds several numbers and no object with one")
    return float(found[0]), found[0]


def numeral(value: Any, name: str) -> float:
    """A finite number, also where it stands in quotes.

    Raises:
        Unreadable: anything else.
    """
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return float(value)
    if type(value) not in (int, float) or not math.isfinite(value):
        raise Unreadable(f"{name} is {value!r:.80} and no number")
    return float(value)


def within(number: float, low: float, high: float) -> float:
    """The number, if it is on the scale."""
    if not low <= number <= high:
        raise Unreadable(f"{number:g} is not on the scale of {low:g} to {high:g}")
    return number


def chosen(text: str, words: Sequence[str], key: str) -> str:
    """Which of these words an answer is: the whole of it, its first or its last word, or the key of an object."""
    objects = [one for one in objects_in(text) if key in one]
    if objects:
        alike(objects, [key])
        text = str(objects[0][key])
    known = {word.casefold(): word for word in words}
    said = re.findall(r"[^\W_]+", text.casefold())
    if not said:
        raise Unreadable("it is empty" if not text.strip() else "it holds no word")
    ends = {known[word] for word in (said[0], said[-1]) if word in known}
    if len(ends) != 1:
        raise Unreadable(f"it is {'several' if ends else 'none'} of {', '.join(words)}")
    return ends.pop()


def aligned(text: str, wanted: int) -> Sequence[Any]:
    """The list of an answer, which has as many entries as are wanted."""
    found = next((one for one in lists_in(text) if len(one) == wanted), None)
    if found is None:
        lengths = [str(len(one)) for one in lists_in(text)]
        raise Unreadable(
            f"its list has {lengths[0]} entries, and {wanted} are asked for" if lengths else "it holds no list"
        )
    return found


def checked_length(found: list[Any]) -> list[Any]:
    """A list that is not so long that asking about each entry cannot be meant."""
    if len(found) > LARGEST_LIST:
        raise Unreadable(f"its list has {len(found)} entries")
    return found


def alike(objects: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """An answer may repeat itself, not contradict itself."""
    if any(repr(one[name]) != repr(objects[0][name]) for one in objects for name in names):
        raise Unreadable("it gives two different answers")


def objects_in(text: str) -> Iterator[Mapping[str, Any]]:
    """Every object of a text that stands in no other."""
    return (value for value in values_in(text, "{") if isinstance(value, Mapping))


def lists_in(text: str) -> Iterator[Sequence[Any]]:
    """Every list of a text; the one of an object that has one alone counts."""
    for value in values_in(text, "[{"):
        if isinstance(value, list):
            yield value
        elif isinstance(value, Mapping):
            inner = [entry for entry in value.values() if isinstance(entry, list)]
            if len(inner) == 1:
                yield inner[0]


def values_in(text: str, opening: str) -> Iterator[Any]:
    """JSON values in a text, and Python's way to write them, which models often use."""
    decoder, place = json.JSONDecoder(), 0
    while (start := first_of(text, opening, place)) >= 0:
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            value, end = literal(text, start)
            place = end or start + 1
            if not end:
                continue
        yield value


def first_of(text: str, marks: str, start: int) -> int:
    """Where the next of some characters is; -1 for nowhere."""
    places = [place for mark in marks if (place := text.find(mark, start)) >= 0]
    return min(places, default=-1)


def literal(text: str, start: int) -> tuple[Any, int]:
    """A Python literal that begins here, and where it ends; (None, 0) for none."""
    close = {"{": "}", "[": "]"}[text[start]]
    for match in list(re.finditer(re.escape(close), text[start : start + 4000]))[:20]:
        end = start + match.end()
        try:
            return ast.literal_eval(text[start:end]), end
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return None, 0
