"""The keys under which published files hold pairwise verdicts.

own        item, a, b, winner: a, b, tie or a system's name; perhaps judge, first (a or b: shown first), group, turn
lmsys      model_a, model_b, winner: model_a, model_b, tie, tie (bothbad); question_id or id; perhaps judge, turn
           (lmsys/chatbot_arena_conversations, lmsys/mt_bench_human_judgments); or winner_model_a, winner_model_b and
           winner_tie, one of them 1 (the arena's Kaggle file). model_a is the left one.
mt_bench   model_1, model_2, g1_winner, g2_winner: model_1, model_2, tie, error; two orders in one row
           (lm-sys/FastChat, llm_judge/common.py)
caparena   img, source1, source2; winner: a person's, the system's name, tie or equal; judge: a model's sentence,
           "Caption 1 is better" (njucckevin/CapArena, vlm_as_a_judge.py, cal_ranking.py); caption 1 stands first
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from capbench.arena.verdicts import Side, Verdict, Winner
from capbench.errors import Fault
from capbench.judgements import Wrong, name_at
from capbench.records_raw import Row, quoted

Form = Literal["own", "lmsys", "mt_bench", "caparena"]
Said = Winner | Literal["unread"] | None  # None: a fault was told

PAIRS: Mapping[Form, tuple[str, str]] = {
    "own": ("a", "b"), "lmsys": ("model_a", "model_b"), "mt_bench": ("model_1", "model_2"),
    "caparena": ("source1", "source2"),
}  # fmt: skip
ITEMS: Mapping[Form, tuple[str, ...]] = {
    "own": ("item",), "lmsys": ("question_id", "id"), "mt_bench": ("question_id", "id"), "caparena": ("img",),
}  # fmt: skip
CHOICES: Mapping[Form, tuple[str, ...]] = {
    "own": ("winner",), "lmsys": ("winner", "winner_model_a"), "mt_bench": ("g1_winner",),
    "caparena": ("winner", "judge"),
}  # fmt: skip
TIES = ("tie", "tie (bothbad)", "equal")
SENTENCES: Mapping[str, Winner] = {"caption 1 is better": "a", "caption 2 is better": "b", "tie": "tie"}
HUMAN, MODEL = "human", "model"  # the judges of CapArena's files, which give them no names
LOOKED_AT = 50


def form_of(rows: Sequence[Any]) -> Form | None:
    """The form whose keys a file's first rows have; None: they are no verdicts."""
    known = set().union(*(row for row in rows[:LOOKED_AT] if isinstance(row, dict)))
    for form, pair in PAIRS.items():
        if known.issuperset(pair) and known.intersection(CHOICES[form]):
            return form
    return None


def verdicts_of(form: Form, row: Row, faults: list[Fault], unread: dict[str, int]) -> list[Verdict]:
    """What one row says; what is wrong with it is added to ``faults``, replies that say nothing to ``unread``."""
    value, before = row.value, len(faults)

    def wrong(what: str, cure: str = "") -> None:
        faults.append(Fault(row.where, what, cure))

    a, b = (name_in(value, (key,), wrong) for key in PAIRS[form])
    if a and a == b:
        wrong(f"{quoted(a)} against itself", "two different systems")
    item = name_in(value, ITEMS[form], wrong)
    group = name_in(value, ("cluster" if form == "caparena" else "group",), wrong, must=False)
    turn = name_in(value, ("turn",), wrong, must=False)
    if len(faults) > before:
        return []
    about = Verdict(item, a, b, "tie", group=group, turn=turn, where=row.where)
    told: list[tuple[Said, Verdict]] = {"own": own, "lmsys": lmsys, "mt_bench": mt_bench, "caparena": caparena}[form](
        value, about, wrong
    )
    for said, verdict in told:
        if said == "unread":
            who = verdict.judge or "the judge"
            unread[f"{who} gave no verdict"] = unread.get(f"{who} gave no verdict", 0) + 1
    return [replace(v, winner=said) for said, v in told if said is not None and said != "unread"]


def own(value: Mapping[str, Any], about: Verdict, wrong: Wrong) -> list[tuple[Said, Verdict]]:
    """The project's own form."""
    first = value.get("first") or ""
    if first not in ("a", "b", ""):
        wrong(f"first is {quoted(repr(first))}", "a or b: which was shown first; leave it out where that is not known")
        return []
    side = cast("Side", first)
    words = {about.b: "b", about.a: "a", "a": "a", "b": "b", **dict.fromkeys(TIES, "tie")}
    verdict = replace(about, judge=judge_in(value), first=side)
    return [(choice_in(value, "winner", words, wrong, "a, b or tie"), verdict)]


def lmsys(value: Mapping[str, Any], about: Verdict, wrong: Wrong) -> list[tuple[Said, Verdict]]:
    """The arena's conversations, MT-bench's human judgements, or the Kaggle file."""
    verdict = replace(about, judge=judge_in(value), first="a")
    if "winner" in value or "winner_model_a" not in value:
        words = {"model_a": "a", "model_b": "b", **dict.fromkeys(TIES, "tie")}
        return [(choice_in(value, "winner", words, wrong, "model_a, model_b, tie or tie (bothbad)"), verdict)]
    flags = {"winner_model_a": "a", "winner_model_b": "b", "winner_tie": "tie"}
    found = [key for key in flags if str(value.get(key)) in ("1", "True", "true")]
    if len(found) != 1:
        shown = ", ".join(f"{key} {value.get(key)!r}" for key in flags)
        wrong(f"not one winner: {shown}", "1 for one of the three, 0 for the others")
        return []
    winners: Mapping[str, Winner] = {"winner_model_a": "a", "winner_model_b": "b", "winner_tie": "tie"}
    return [(winners[found[0]], verdict)]


def mt_bench(value: Mapping[str, Any], about: Verdict, wrong: Wrong) -> list[tuple[Said, Verdict]]:
    """A judge's two answers, the second with the captions swapped."""
    words = {"model_1": "a", "model_2": "b", "tie": "tie", "error": "unread"}
    orders: tuple[tuple[str, Side], ...] = (("g1_winner", "a"), ("g2_winner", "b"))
    listed = "model_1, model_2, tie or error"
    return [
        (choice_in(value, key, words, wrong, listed), replace(about, judge=judge_in(value), first=first))
        for key, first in orders
    ]


def caparena(value: Mapping[str, Any], about: Verdict, wrong: Wrong) -> list[tuple[Said, Verdict]]:
    """A person's choice, a model's, or both."""
    found: list[tuple[Said, Verdict]] = []
    if value.get("winner") is not None:
        words = {**dict.fromkeys(TIES, "tie"), about.a: "a", about.b: "b"}
        said = choice_in(value, "winner", words, wrong, f"{about.a}, {about.b} or tie")
        found.append((said, replace(about, judge=HUMAN, first="a")))
    if value.get("judge") is not None:
        reply = str(value["judge"]).strip().strip("<>.").casefold()
        found.append((SENTENCES.get(reply, "unread"), replace(about, judge=MODEL, first="a")))
    return found


def choice_in(value: Mapping[str, Any], key: str, words: Mapping[str, str], wrong: Wrong, listed: str) -> Said:
    """A choice by the words that stand for it."""
    if value.get(key) in (None, ""):
        wrong(f"no {key}", f"write {listed}")
        return None
    said: Any = words.get(str(value[key]))
    if said is None:
        wrong(f"{key} is {quoted(repr(value[key]))}", f"write {listed}")
    return said  # type: ignore[no-any-return]  # the words are the literals


def judge_in(value: Mapping[str, Any]) -> str:
    """Who judged; the parts of a list, as FastChat writes model and prompt, with a blank between."""
    judge = value.get("judge")
    if judge is None:
        return ""
    return " ".join(map(str, judge)) if isinstance(judge, list) else str(judge)


def name_in(value: Mapping[str, Any], keys: Sequence[str], wrong: Wrong, *, must: bool = True) -> str:
    """A name or number under the first of these keys that the row has."""
    key = next((key for key in keys if value.get(key) not in (None, "")), "")
    if not key:
        if must:
            wrong(f"no {' or '.join(keys)}", f"add {keys[0]!r}")
        return ""
    return name_at(value, key, wrong)
