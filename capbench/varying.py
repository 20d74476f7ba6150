"""The grid of a sweep: which parameters take which values, in which order, and how values are written.

``name=v1,v2``: values stand between commas. One in quotes, as Python writes text, may hold commas, quotes and line
ends; brackets hold together too. What reads as a number, True, False or None is one, unless the parameter takes text.
The first parameter varies slowest, and values keep their order.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from capbench import plugins
from capbench.captioners.inner import captioner_spec
from capbench.errors import UsageError
from capbench.types import Generation

HOW = (
    "write --vary NAME=V1,V2, as in --vary temperature=0.0,0.7; text with a comma in quotes: --vary \"prompt='a, b',c\""
)
LEAST = {"temperature": 0, "beams": 1, "max_tokens": 0}
CALLED = re.compile(r"\s*[\w./:-]+")
OPEN, CLOSE = "([{", ")]}"
SHOWN = 40
DECODING, OWN = "generation", "captioner"


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter and its values. own: a field of the captioner; else one of the decoding."""

    name: str
    values: tuple[Any, ...]
    own: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One cell of the grid: the values of the parameters, and the captioner's spec and decoding that they make.

    decoding: which of the parameters are of decoding.
    """

    settings: tuple[tuple[str, Any], ...]
    spec: str
    generation: Generation
    decoding: tuple[str, ...]

    @property
    def label(self) -> str:
        """The values with their names."""
        return ", ".join(f"{name}={shown(value)}" for name, value in self.settings)


def shown(value: Any) -> str:
    """A value as tables show it: text in quotes where it could be misread, and not all of a long one."""
    plain = isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum() and not value[0].isdigit()
    text = value if plain else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def grid(captioner: str, words: Iterable[str] | Mapping[str, Sequence[Any]], generation: Generation) -> list[Point]:
    """The points of a sweep in order.

    captioner: a spec or a file of captions. words: as --vary takes them, or name -> values. generation: what is not
    varied.

    Raises:
        UsageError: a word that cannot be read, an unknown or ambiguous name, a value of another type, one given twice.
    """
    spec = captioner_spec(captioner)
    if isinstance(words, Mapping):  # a text of Python's is itself, also one that could be read as a literal
        named = [(name, [repr(v) if isinstance(v, str) else v for v in values]) for name, values in words.items()]
    else:
        named = [named_values(word) for word in words]
    if not named:
        raise UsageError("nothing varies", HOW)
    axes = [axis(spec, name, values) for name, values in named]
    doubled = [name for name in {a.name for a in axes} if sum(a.name == name for a in axes) > 1]
    if doubled:
        raise UsageError(f"{doubled[0]} varies twice", f"all its values in one: --vary {doubled[0]}=V1,V2")
    points = []
    for values in itertools.product(*(a.values for a in axes)):
        pairs = list(zip(axes, values, strict=True))
        own = {a.name: value for a, value in pairs if a.own}
        decoding = {a.name: value for a, value in pairs if not a.own}
        settings = tuple((a.name, value) for a, value in pairs)
        points.append(Point(settings, with_values(spec, own), replace(generation, **decoding), tuple(decoding)))
    return points


def named_values(word: str) -> tuple[str, list[str]]:
    """The name and the values of one --vary, each as it was written.

    Raises:
        UsageError: no name, no values, an empty one, or quotes and brackets that are not closed.
    """
    name, mark, rest = word.partition("=")
    if not mark or not name.strip() or not rest.strip():
        raise UsageError(f"cannot read --vary {word!r}", HOW)
    values = [value.strip() for value in apart(rest, word)]
    if not all(values):
        raise UsageError(f"--vary {word!r} has an empty value", "an empty text is written '' in quotes")
    return name.strip(), values


def apart(text: str, word: str) -> list[str]:
    """What stands between the commas that are in no quotes and no brackets.

    A quote opens where a value begins or within brackets: the apostrophe of a word is none. So does a bracket, and
    that of a spec behind its name: clipscore(prefix='a, b').

    Raises:
        UsageError: a quote or bracket is not closed.
    """
    values, quote, depth, escaped = [""], "", 0, False
    for ch in text:
        begins = depth > 0 or not values[-1].strip()
        if not quote and depth == 0 and ch == ",":
            values.append("")
            continue
        values[-1] += ch
        if quote:
            quote = "" if ch == quote and not escaped else quote
            escaped = ch == "\\" and not escaped
        elif ch in "'\"" and begins:
            quote = ch
        elif ch in OPEN and (begins or (ch == "(" and CALLED.fullmatch(values[-1][:-1]))):
            depth += 1
        elif ch in CLOSE and depth > 0:
            depth -= 1
    if quote or depth:
        raise UsageError(f"--vary {word!r}: a quote or bracket is not closed", HOW)
    return values


def axis(spec: str, name: str, values: Sequence[Any]) -> Axis:
    """A parameter with its values, each of its type.

    Raises:
        UsageError: no such parameter, one that captioner and decoding both have, a value of another type.
    """
    own = plugins.parameters("captioners", spec)
    decoding = {f.name: f.type for f in dataclasses.fields(Generation)}
    whose, _, bare = name.rpartition(".")
    places = [p for p, known in ((DECODING, decoding), (OWN, own)) if bare in known and whose in ("", p)]
    if not places:
        near = difflib.get_close_matches(bare, [*decoding, *own], n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        target = plugins.parse(spec).target
        raise UsageError(
            f"no parameter is called {name!r}",
            f"{hint}decoding has {', '.join(decoding)}; {target} has {', '.join(own) or 'none'}",
        )
    if len(places) > 1:
        raise UsageError(
            f"{name!r} is a parameter of decoding and one of the captioner",
            f"write {' or '.join(f'{p}.{bare}' for p in places)}",
        )
    kind = (decoding if places[0] == DECODING else own)[bare]
    made = tuple(typed(bare, value, kind) for value in values)
    if not made:
        raise UsageError(f"{name} has no value", HOW)
    for n, value in enumerate(made):
        if value in made[:n]:
            raise UsageError(f"--vary {name}: {shown(value)} stands there twice", "each value once")
        if places[0] == DECODING and bare in LEAST and value < LEAST[bare]:
            raise UsageError(f"{bare}={value}", f"{bare} is {LEAST[bare]} or more")
    return Axis(bare, made, places[0] == OWN)


def typed(name: str, value: Any, kind: Any) -> Any:
    """A value as the parameter takes it; text that was written is read as a literal, unless text is wanted.

    Raises:
        UsageError: a value of another simple type.
    """
    wanted = plugins.simple_type(kind)
    if isinstance(value, str):
        try:
            read = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            read = value
        value = value if wanted is str and not isinstance(read, str) else read
    plugins.check_type("--vary", name, kind, value)
    return float(value) if wanted is float else value


def with_values(spec: str, values: Mapping[str, Any]) -> str:
    """The spec with some parameters set."""
    if not values:
        return spec
    parsed = plugins.parse(spec)
    params = ", ".join(f"{name}={value!r}" for name, value in {**parsed.params, **values}.items())
    return f"{parsed.target}({params})"


def refuse_unused(label: str, captioner: Any, names: Iterable[str]) -> None:
    """Refuse to vary what a captioner is known not to look at: every point would be the same.

    Raises:
        UsageError: with what it uses.
    """
    used = used_by(captioner)
    unused = [] if used is None else [name for name in names if name not in used]
    if used is not None and unused:
        uses = ", ".join(sorted(used & {f.name for f in dataclasses.fields(Generation)})) or "nothing of decoding"
        raise UsageError(
            f"{label} makes no use of {', '.join(unused)}: every point would be the same", f"it uses {uses}"
        )


def used_by(captioner: Any) -> frozenset[str] | None:
    """The names of decoding that a captioner, or one inside it, says it uses; None where that is not known."""
    inner = [used_by(one.value) for one in getattr(captioner, "inner", ())]
    if inner:
        known = [used for used in inner if used is not None]
        return frozenset().union(*known) if len(known) == len(inner) else None
    if hasattr(captioner, "needs"):
        return frozenset()
    uses: frozenset[str] | None = getattr(captioner, "uses", None)
    return uses
