"""``scripted_judge``: a program in a judge's place. It is no model and knows no language: it compares words.

For tests, examples and first tries, since it needs nothing and gives the same answers everywhere. Of a drawn scene it
knows exactly what is in it. Its answers have the forms that rubrics ask for, whatever the rubric.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from capbench.errors import CapbenchError
from capbench.images import load
from capbench.protocols import JudgePrompt, JudgeReply, Problem
from capbench.rubrics.model import Read, Step
from capbench.rubrics.templates import words as in_words
from capbench.scenes.draw import NotAScene, see
from capbench.scenes.meaning import of_scene
from capbench.scenes.reading import read
from capbench.scenes.space import vector
from capbench.scenes.world import VERSION
from capbench.signature import fingerprint
from capbench.types import Failure, ImageRef

SCRIPT = 1  # raised when an answer can change
PASSING = (
    "a an the this that these those it its is are was were be been of in on at to with and or for from by as "
    "there here image picture photo shows showing features seen can see some one two very into over while their "
    "his her which has"
)
WORD = re.compile(r"[^\W_]+")
SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
HALF = 0.5
MOST = 12  # questions made of some texts


@dataclass(frozen=True, slots=True)
class ScriptedJudge:
    """Answers by the words that a caption shares with the references, or by what a drawn scene shows."""

    name: ClassVar[str] = "scripted_judge"
    kind: ClassVar[str] = "judge"

    def fingerprint(self) -> str:
        """Name, and the versions of the script and of the drawn world."""
        return fingerprint(self, SCRIPT) + f".{VERSION}"

    def check(self) -> Problem | None:
        """Nothing can be missing."""
        return None

    @contextmanager
    def open(self, device: str) -> Iterator[Session]:  # noqa: ARG002 -- the protocol's shape
        """A session; it holds nothing."""
        yield Session()


class Session:
    """Each prompt is answered by itself."""

    def ask(self, prompts: Sequence[JudgePrompt]) -> Iterator[tuple[int, JudgeReply | Failure]]:
        """One reply a prompt, or a Failure for a picture that is no drawn scene."""
        for i, prompt in enumerate(prompts):
            yield i, reply_to(prompt)


def reply_to(prompt: JudgePrompt) -> JudgeReply | Failure:
    """The script's answer."""
    step = prompt.about.get("step")
    if not isinstance(step, Step):
        return Failure("the script answers rubrics alone")
    try:
        text = said(step, prompt.about)
    except NotAScene as error:
        return Failure(f"not a scene: {error}")
    except CapbenchError as error:
        return Failure(error.message)
    return JudgeReply(
        text, model="scripted", tokens_in=len(WORD.findall(prompt.text)), tokens_out=len(WORD.findall(text))
    )


def said(step: Step, about: Mapping[str, Any]) -> str:
    """An answer of the form that a step asks for.

    Raises:
        NotAScene: it is about a photograph.
    """
    if step.answer == "list":
        return json.dumps([part.strip() for part in SENTENCE.split(about["caption"]) if WORD.search(part)])
    if step.answer == "questions":
        return json.dumps([{"question": f"Is there {word}?", "answer": "yes"} for word in asked_words(about)])
    if step.answer in ("numbers", "choices"):
        return json.dumps([entry_of(step, str(entry), about) for entry in about[step.aligned]])
    if step.answer in ("text", "match"):
        wanted, there = content(in_words(about.get("each", ""))), content(about["caption"])
        return "yes" if wanted and wanted <= there else "no"
    return json.dumps(judged(step, about))


def judged(step: Step, about: Mapping[str, Any]) -> dict[str, Any]:
    """An object with what it says of a caption.

    Raises:
        NotAScene: it is about a photograph.
    """
    likeness = likeness_of(step, about)
    if step.answer == "fields":
        return {name: value_of(how, likeness) for name, how in step.fields.items()}
    if step.answer == "number":
        return {step.key: value_of(Read(step.low, step.high), likeness)}
    if "other" in about:
        other = likeness_of(step, {**about, "caption": about["other"]})
        likeness = HALF if likeness == other else float(likeness > other)
    return {step.key: value_of(Read(choices=step.choices), likeness)}


def entry_of(step: Step, entry: str, about: Mapping[str, Any]) -> Any:
    """What it says of one statement: the number of the fact that shares most of its words, or a choice."""
    facts = [str(fact) for fact in about.get("facts", [])]
    if step.answer == "numbers":
        shares = [overlap(entry, fact) for fact in facts]
        best = max(shares, default=0.0)
        return shares.index(best) + 1 if best >= HALF else 0
    known = content(" ".join([*facts, *map(str, about.get("references", []))]))
    own = content(entry)
    share = len(own & known) / len(own) if own else 0.0
    return value_of(Read(choices=step.choices), float(share >= HALF))


def likeness_of(step: Step, about: Mapping[str, Any]) -> float:
    """0 to 1: the cosine of a scene and the caption's meaning, or the best overlap of words with a text.

    Raises:
        NotAScene: it is about a photograph.
    """
    if "answers" in about and isinstance(about.get("each"), Mapping):
        return float(in_words(about["answers"]).casefold() == str(about["each"]["answer"]).casefold())
    image, caption = about.get("image"), about["caption"]
    if "image" in step.shows and isinstance(image, ImageRef):
        seen, meant = (vector(x).astype(np.float64) for x in (of_scene(see(load(image))), read(caption)))
        length = float(np.linalg.norm(seen) * np.linalg.norm(meant))
        return max(0.0, float(seen @ meant) / length) if length else 0.0
    texts = [about[name] for name in ("references", "facts", "elements") if about.get(name)]
    return max((overlap(caption, str(text)) for text in (texts[0] if texts else [])), default=0.0)


def value_of(how: Read, likeness: float) -> Any:
    """A likeness on a scale, or the choice whose number is nearest to it."""
    if how.choices:
        return min(how.choices, key=lambda word: abs(how.choices[word] - likeness))
    return round(how.low + (how.high - how.low) * min(likeness, 1.0), 2)


def asked_words(about: Mapping[str, Any]) -> list[str]:
    """The words that references share, those of most references first."""
    texts = [content(str(text)) for text in about.get("references", [])]
    every = sorted({word for text in texts for word in text})
    return sorted(every, key=lambda word: -sum(word in text for text in texts))[:MOST]


def overlap(first: str, second: str) -> float:
    """F1 of the sets of words that mean something."""
    a, b = content(first), content(second)
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0


def content(text: str) -> set[str]:
    """A text's words without those that mean little, and without the s of a plural."""
    words = [word.casefold() for word in WORD.findall(text)]
    plain = (word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words)
    return {word for word in plain if word not in LITTLE}


LITTLE = frozenset(PASSING.split())
