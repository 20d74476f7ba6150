"""``recorded_judge``: replies from a file, which somebody's judge gave once; nothing is asked.

    capbench export-replies RUN replies.jsonl.gz
    capbench run ... -m "judge(rubric='clair', model='SPEC')" --replay replies.jsonl.gz

The first line names the judges, by the spec or alias they were named by, with their fingerprints: what is computed
from the file has the signature of what was computed from the judge.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from capbench.errors import BadData, CapbenchError, MissingPart, UsageError
from capbench.protocols import JudgePrompt, JudgeReply, Problem
from capbench.replies import packed, unpacked

FORM = 1
HEAD = "capbench replies"
SHOWN = 5
unsigned = {"signed": False}


@dataclass(frozen=True, slots=True)
class Recording:
    """Replies of judges. judges: the name each was given -> its fingerprint. replies: fingerprint -> key -> reply."""

    judges: Mapping[str, str]
    replies: Mapping[str, Mapping[str, JudgeReply]]


@dataclass(frozen=True, slots=True)
class RecordedJudge:
    """Recorded replies in a judge's place.

    path: a file of ``capbench export-replies``. judge: which of the judges in it, by its spec or alias ("": the only
    one).
    """

    name: ClassVar[str] = "recorded_judge"
    kind: ClassVar[str] = "judge"
    recorded: ClassVar[bool] = True

    path: str = field(metadata=unsigned)
    judge: str = ""

    def fingerprint(self) -> str:
        """That of the judge that gave the replies.

        Raises:
            BadData: the file is damaged. MissingPart: it has no such judge.
        """
        recording = recording_of(self.path)
        if self.judge in recording.judges:
            return recording.judges[self.judge]
        known = set(recording.judges.values())
        if len(known) == 1:
            return known.pop()
        names = ", ".join(recording.judges)
        raise MissingPart(f"{self.path} has no replies of {self.judge or 'one judge'}", f"it has those of {names}")

    def check(self) -> Problem | None:
        """Whether the file can be read and has the judge."""
        try:
            self.fingerprint()
        except CapbenchError as error:
            return Problem(error.message, error.cure)
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:
        """The replies."""
        del device
        yield Session(self.path, recording_of(self.path).replies.get(self.fingerprint(), {}))


@dataclass(frozen=True, slots=True)
class Session:
    """Looks replies up."""

    path: str
    replies: Mapping[str, JudgeReply]

    def ask(self, prompts: Sequence[JudgePrompt]) -> Iterator[tuple[int, JudgeReply]]:
        """Each prompt's recorded reply.

        Raises:
            MissingPart: some have none; their items are named, and nothing is given.
        """
        missing = [prompt for prompt in prompts if prompt.key not in self.replies]
        if missing:
            named = dict.fromkeys(describe(prompt) for prompt in missing)
            shown = ", ".join(list(named)[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")
            raise MissingPart(
                f"{self.path} has no reply for {len(missing)} of {len(prompts)} questions: {shown}",
                "the captions, what the judge sees, the rubric and its parameters must be those that were recorded",
            )
        return ((i, self.replies[prompt.key]) for i, prompt in enumerate(prompts))


def describe(prompt: JudgePrompt) -> str:
    """Which question it is."""
    step = prompt.about.get("step")
    return f"item {prompt.item or '?'} ({prompt.about.get('rubric', '?')}, {getattr(step, 'name', '?')})"


def recording_of(path: str) -> Recording:
    """The content of a file, read once.

    Raises:
        UsageError: there is none. BadData: it is damaged, or of another form.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file {path}", "capbench export-replies RUN FILE writes one")
    return read(file, file.stat().st_mtime_ns)


@cache
def read(file: Path, stamp: int) -> Recording:
    """The content of a file. stamp: its time, for the cache.

    Raises:
        BadData: with the line.
    """
    del stamp
    data = file.read_bytes()
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadData(f"{file} cannot be read: {error}") from error
    lines = text.split("\n")
    head = line_of(lines[0], f"{file}:1")
    if head.get(HEAD) != FORM or not isinstance(head.get("judges"), dict):
        raise BadData(f"{file} holds no recorded replies: its first line is not that of capbench export-replies")
    found: dict[str, dict[str, JudgeReply]] = {str(mark): {} for mark in head["judges"].values()}
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        where = f"{file}:{number}"
        value = line_of(line, where)
        if value.get("judge") not in found or not isinstance(value.get("key"), str):
            raise BadData(f"{where} is no reply of one of its judges")
        found[value["judge"]][value["key"]] = unpacked(value.get("reply"), where)
    return Recording({str(k): str(v) for k, v in head["judges"].items()}, found)


def line_of(line: str, where: str) -> dict[str, Any]:
    """An object.

    Raises:
        BadData: it is none.
    """
    try:
        value = json.loads(line)
    except ValueError as error:
        raise BadData(f"{where} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadData(f"{where} is no object")
    return value


def written(recording: Recording) -> bytes:
    """The file of some replies; the same replies give the same bytes."""
    lines: list[dict[str, Any]] = [{HEAD: FORM, "judges": dict(recording.judges)}]
    for mark, replies in recording.replies.items():
        lines += [{"judge": mark, "key": key, "reply": packed(replies[key])} for key in sorted(replies)]
    text = "".join(json.dumps(line, ensure_ascii=True, allow_nan=False) + "\n" for line in lines)
    return gzip.compress(text.encode(), mtime=0)
