"""Human judgements of captions, read from JSON lines (perhaps gzip'ed).

    {"image": "1.jpg", "candidate": "a dog", "references": ["a brown dog"], "ratings": [4, 3, 4], "group": "x"}
    {"image": "1.jpg", "candidates": ["a dog", "a cat"], "references": ["a brown dog"], "preferred": 0}

One object a line, one of the two forms a file. ``group`` and ``corpus`` may stand in any row. ``scores`` has
numbers that other metrics gave, ``{"NAME": 0.7}`` for a candidate, ``{"NAME": [0.7, 0.4]}`` for a pair, null
where there is none; a name stands in every row or in none. A list in the place of a number, as ``{"NAME": [0.7,
0.8]}`` for a candidate, is one score given several times. All that is wrong with a file is reported together,
with its lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from capbench.errors import BadData, Fault
from capbench.records_keys import id_text
from capbench.records_raw import Row, json_lines, quoted, text_of

Wrong = Callable[..., None]
Kind = Literal["ratings", "preferences"]
ALL = "all"
RATED, PREFERRED = ("candidate", "ratings"), ("candidates", "preferred")
FORMS = "a row has candidate and ratings, or candidates and preferred"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One row. people: the ratings of its one candidate, or the number of the preferred of its two.

    group: what statistics are split by. corpus: rows of one corpus are scored together. scores: name -> one
    number a candidate, NaN where there is none. repeats: the numbers of scores that were given several times, for each
    candidate; their mean is the score, none where one of them is missing.
    """

    image: str
    candidates: tuple[str, ...]
    references: tuple[str, ...]
    people: tuple[float, ...]
    group: str
    corpus: str
    where: str
    kind: Kind
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    repeats: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)


def items_of(judgement: Judgement) -> tuple[str, ...]:
    """The captions to be scored: one for each rating, or both of a pair."""
    if judgement.kind == "ratings":
        return judgement.candidates * len(judgement.people)
    return judgement.candidates


def scores_of(judgement: Judgement, name: str) -> tuple[float, ...]:
    """The score that each of these captions was given under a name."""
    given = judgement.scores[name]
    return given * len(judgement.people) if judgement.kind == "ratings" else given


def read(path: str | Path) -> list[Judgement]:
    """The judgements of a file.

    Raises:
        MissingPart: it cannot be read.
        BadData: every fault of the file with its line: not UTF-8, cut short, a missing or wrong value, rows of
            both forms.
    """
    name = str(path)
    parsed = json_lines(text_of(Path(path)), name)
    faults = list(parsed.faults)
    judged = [one for row in parsed.rows if (one := judgement_of(row, faults)) is not None]
    if judged:
        kind = judged[0].kind
        what = f"a row of {'preferences' if kind == 'ratings' else 'ratings'} in a file of {kind}"
        faults += [Fault(j.where, what, "write two files: their statistics differ") for j in judged if j.kind != kind]
        faults += missing_scores(judged)
    if faults:
        raise BadData(f"{name} cannot be used, {len(faults)} fault(s):", in_line_order(faults))
    if not judged:
        raise BadData(f"{name} holds no judgements", cure=f"one JSON object a line; {FORMS}")
    return judged


def missing_scores(judged: Sequence[Judgement]) -> list[Fault]:
    """Rows without a score that another row has."""
    first = {name: j.where for j in reversed(judged) for name in j.scores}
    cure = "give it in every row, null where that metric gave none"
    return [
        Fault(j.where, f"no score {quoted(name)}, which is given in {where}", cure)
        for name, where in sorted(first.items())
        for j in judged
        if name not in j.scores
    ]


def in_line_order(faults: Sequence[Fault]) -> list[Fault]:
    """Faults by the line they stand on."""
    return sorted(faults, key=lambda fault: int(fault.where.rpartition(" ")[2]))


def judgement_of(row: Row, faults: list[Fault]) -> Judgement | None:
    """One row, or None with what is wrong with it added to ``faults``."""
    value, before = row.value, len(faults)

    def wrong(what: str, cure: str = "") -> None:
        faults.append(Fault(row.where, what, cure))

    rated = form_of(value, wrong)
    if rated is None:
        return None
    for key in ("image", "references", *(RATED if rated else PREFERRED)):
        if key not in value:
            wrong(f"no {key}", f"add {key!r}")
    candidates: tuple[str, ...]
    image, group, corpus = (named(value, key, wrong) for key in ("image", "group", "corpus"))
    if group == ALL:
        wrong(f"the group is called {ALL!r}", "another name: this one stands for every row")
    references = texts_of(value, "references", wrong)
    if rated:
        candidate = value.get("candidate", "")
        if not isinstance(candidate, str):
            wrong(f"candidate is not text: {quoted(repr(candidate))}")
        candidates, people = (str(candidate),), ratings_of(value, wrong)
    else:
        candidates, people = texts_of(value, "candidates", wrong), preference_of(value, wrong)
        if "candidates" in value and len(candidates) != 2 and len(faults) == before:
            wrong(f"{len(candidates)} candidates where a pair is wanted", "exactly two texts")
    given = scores_in(value, wrong, rated=rated)
    if len(faults) > before:
        return None
    kind: Kind = "ratings" if rated else "preferences"
    scores = {name: tuple(math.fsum(own) / len(own) for own in parts) for name, parts in given.items()}
    repeats = {name: parts for name, parts in given.items() if any(len(own) > 1 for own in parts)}
    return Judgement(image, candidates, references, people, group, corpus, row.where, kind, scores, repeats)


def form_of(value: Mapping[str, Any], wrong: Wrong) -> bool | None:
    """Whether a row has ratings (else a preference); None if that cannot be said."""
    rated, preferred = any(k in value for k in RATED), any(k in value for k in PREFERRED)
    if rated != preferred:
        return rated
    keys = ", ".join(map(quoted, value)) or "no keys"
    wrong("both forms in one row" if rated else f"neither ratings nor a preference; it has {keys}", FORMS)
    return None


def named(value: Mapping[str, Any], key: str, wrong: Wrong) -> str:
    """An image or group as text; "" where there is none."""
    if value.get(key) is None and (key not in value or key != "image"):
        return ""
    return name_at(value, key, wrong)


def name_at(value: Mapping[str, Any], key: str, wrong: Wrong) -> str:
    """The name or number under a key as text; "" where it is neither, which is told."""
    try:
        return id_text(value[key])
    except ValueError as error:
        wrong(str(error).replace("the id", key), "a name or a number")
        return ""


def texts_of(value: Mapping[str, Any], key: str, wrong: Wrong) -> tuple[str, ...]:
    """A list of texts with at least one."""
    texts = value.get(key, ())
    if not isinstance(texts, list):
        if key in value:
            wrong(f"{key} is not a list: {quoted(repr(texts))}", 'write ["...", "..."]')
        return ()
    if not texts:
        wrong(f"{key} is empty", "at least one text, or leave the row out")
    bad = [text for text in texts if not isinstance(text, str)]
    if bad:
        wrong(f"{key} holds what is not text: {quoted(repr(bad[0]))}")
        return ()
    return tuple(texts)


def ratings_of(value: Mapping[str, Any], wrong: Wrong) -> tuple[float, ...]:
    """The ratings of a row, at least one."""
    ratings = value.get("ratings", ())
    if "ratings" in value and not isinstance(ratings, list):
        wrong(f"ratings is not a list: {quoted(repr(ratings))}", "write [3], also for one rating")
        return ()
    if "ratings" in value and not ratings:
        wrong("ratings is empty", "at least one number, or leave the row out")
    bad = [r for r in ratings if not is_finite(r)]
    if bad:
        wrong(f"a rating is not a number: {quoted(repr(bad[0]))}", "leave out ratings that were not given")
        return ()
    return tuple(map(float, ratings))


def preference_of(value: Mapping[str, Any], wrong: Wrong) -> tuple[float, ...]:
    """The number of the preferred candidate."""
    preferred = value.get("preferred", 0)
    if isinstance(preferred, bool) or not isinstance(preferred, int) or preferred not in (0, 1):
        wrong(f"preferred is {quoted(repr(preferred))}", "0 for the first candidate, 1 for the second")
    return (float(preferred),) if preferred in (0, 1) else ()


def scores_in(value: Mapping[str, Any], wrong: Wrong, *, rated: bool) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Other metrics' numbers of the candidate, or of both of a pair: each one or several; NaN where null is written."""
    given = value.get("scores", {})
    if not isinstance(given, dict):
        wrong(f"scores is not an object: {quoted(repr(given))}", 'write {"NAME": NUMBER}')
        return {}
    found = {}
    for name, part in given.items():
        parts = [part] if rated else part
        if not isinstance(parts, list) or len(parts) != (1 if rated else 2):
            wrong(f"the score {quoted(name)} of a pair is not a list of two: {quoted(repr(part))}")
            continue
        numbers = [own if isinstance(own, list) else [own] for own in parts]
        if not all(own and all(n is None or is_finite(n) for n in own) for own in numbers):
            wrong(f"the score {quoted(name)} is not a number: {quoted(repr(part))}", "null where there is none")
        else:
            found[name] = tuple(tuple(math.nan if n is None else float(n) for n in own) for own in numbers)
    if "" in found:
        wrong("a score without a name", 'write {"NAME": NUMBER}')
    return found


def is_finite(value: Any) -> bool:
    """Whether a JSON value is a number, and neither NaN nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
