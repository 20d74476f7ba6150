"""Facts and questions of items, from JSON lines (perhaps gzip'ed).

    {"id": "42", "facts": ["There is a dog.", "It is brown."]}
    {"id": "42", "questions": [{"question": "What colour is the dog?", "answer": "brown"}]}
    {"id": "42", "questions": [{"question": "Who is there?", "answers": ["dog", "a dog", "puppy"]}]}
    {"id": "42", "questions": [{"question": "Who is there?", "answer": "a dog", "choices": ["a dog", "a cat"]}]}

The files of DeCapBench (``image_name``, ``oracle_facts``) and of VDCscore ({name: [questions]}) are read as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capbench.errors import BadData, Fault, UsageError
from capbench.records_keys import id_text
from capbench.records_raw import Row, json_lines, text_of

Pair = tuple[tuple[str, ...], tuple[Mapping[str, Any], ...]]
IDS = ("id", "image_id", "image_name", "image")
FACTS, QUESTIONS = ("facts", "oracle_facts"), ("questions",)
FORMS = 'a line is {"id": ..., "facts": [...]} or {"id": ..., "questions": [{"question": ..., "answer": ...}]}'


def read_given(path: str) -> Mapping[str, Pair]:
    """Facts and questions by id.

    Raises:
        UsageError: there is no such file. BadData: every fault of it, with its line.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file {path}", "facts= names a file of JSON lines; docs/judges.md has its form")
    parsed = json_lines(text_of(file), str(file))
    faults = list(parsed.faults)
    found: dict[str, Pair] = {}
    for row in parsed.rows:
        try:
            name, facts, questions = one_row(row)
        except ValueError as error:
            faults.append(Fault(row.where, str(error)))
            continue
        if name in found and ((facts and found[name][0]) or (questions and found[name][1])):
            faults.append(Fault(row.where, f"{name} stands in two lines"))
        before = found.get(name, ((), ()))
        found[name] = (facts or before[0], questions or before[1])
    if faults:
        raise BadData(f"{file} holds no facts or questions that can be used:", faults, FORMS)
    return found


def one_row(row: Row) -> tuple[str, tuple[str, ...], tuple[Mapping[str, Any], ...]]:
    """A line's id, facts and questions.

    Raises:
        ValueError: what is wrong with it.
    """
    value = row.value
    if not isinstance(value, Mapping):
        raise ValueError("it is no object")  # noqa: TRY004 -- the fault of a file, not of a caller
    ((name, entries),) = value.items() if len(value) == 1 else [("", None)]
    if isinstance(entries, list) and name not in (*FACTS, *QUESTIONS):
        return str(name), (), tuple(map(question, entries))
    key = next((key for key in IDS if key in value), None)
    if key is None:
        raise ValueError("it has no id")
    facts = first(value, FACTS)
    questions = first(value, QUESTIONS)
    if facts is None and questions is None:
        raise ValueError("it has neither facts nor questions")
    if not isinstance(facts, list | None) or not all(isinstance(x, str) for x in facts or ()):
        raise ValueError("facts is no list of texts")
    if not isinstance(questions, list | None):
        raise ValueError("questions is no list")  # noqa: TRY004 -- the same
    said = tuple(" ".join(x.split()) for x in facts or () if x.strip())  # an empty line among facts is none
    return id_text(value[key]), said, tuple(map(question, questions or ()))


def first(value: Mapping[str, Any], names: Sequence[str]) -> Any:
    """What stands under the first of some names."""
    return next((value[name] for name in names if name in value), None)


def question(entry: Any) -> Mapping[str, Any]:
    """A question with ``answer`` (the first), ``answers`` (all) and ``choices``.

    Raises:
        ValueError: what is wrong with it.
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get("question"), str) or not entry["question"].strip():
        raise ValueError("an entry of questions has no question")
    answers = entry.get("answers", [entry.get("answer")])
    choices = entry.get("choices", [])
    for name, texts in (("answer", answers), ("choices", choices)):
        if not isinstance(texts, list) or not all(isinstance(x, str) and x.strip() for x in texts):
            raise ValueError(f"the {name} of {entry['question']!r:.60} is no text")
    if not answers:
        raise ValueError(f"{entry['question']!r:.60} has no answer")
    found = {"question": " ".join(entry["question"].split()), "answer": answers[0], "answers": tuple(answers)}
    return found | ({"choices": tuple(choices)} if choices else {})
