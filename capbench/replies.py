"""Replies of judges: asked once, kept as they come, and found again by all that could change them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from capbench.codec import structure
from capbench.errors import BadData
from capbench.progress import progress
from capbench.protocols import JudgePrompt, JudgeReply, Likely
from capbench.types import Failure

DECIMALS = 6  # of what is kept of seconds and likelihoods


class Shelf(Protocol):
    """Where replies of one judge are kept."""

    def get(self, names: Sequence[str]) -> Mapping[str, bytes]:
        """Those that are there."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Keep one, for good, before this returns."""
        ...


class Door(Protocol):
    """A judge that is opened when it is first asked."""

    @property
    def recorded(self) -> bool:
        """Whether it reads replies and makes none."""
        ...

    def get(self) -> Any:
        """The session."""
        ...


def key_of(rubric: str, prompt: JudgePrompt, repeat: int) -> str:
    """What a reply is kept under, beside the judge: the rubric's digest, all that is asked, and the repeat's number."""
    asked = [
        rubric, prompt.system, prompt.text, [image.digest for image in prompt.images], prompt.tokens,
        prompt.temperature, prompt.seed, prompt.likely, repeat,
    ]  # fmt: skip
    return hashlib.blake2b(json.dumps(asked).encode(), digest_size=20).hexdigest()


def packed(reply: JudgeReply) -> dict[str, Any]:
    """A reply as plain data, without what is not known of it."""
    usual = JudgeReply("")
    names = ("finish", "refusal", "model", "tokens_in", "tokens_out", "cost", "attempts")
    known = {name: getattr(reply, name) for name in names if getattr(reply, name) != getattr(usual, name)}
    if reply.seconds:
        known["seconds"] = round(reply.seconds, DECIMALS)
    if reply.likely:
        known["likely"] = [
            [place.token, [[token, round(x, DECIMALS)] for token, x in place.among]] for place in reply.likely
        ]
    return {"text": reply.text, **known}


def unpacked(value: Any, source: str) -> JudgeReply:
    """The reply again.

    Raises:
        BadData: it is none.
    """
    likely = value.pop("likely", []) if isinstance(value, dict) else []
    reply = structure(value, JudgeReply, source)
    if not likely:
        return reply
    try:
        places = tuple(Likely(str(token), tuple((str(one), float(x)) for one, x in among)) for token, among in likely)
    except (TypeError, ValueError) as error:
        raise BadData(f"{source}: likely is no list of tokens: {error}") from error
    object.__setattr__(reply, "likely", places)
    return reply


def asked(door: Door, shelf: Shelf, prompts: Iterable[JudgePrompt], label: str) -> dict[str, JudgeReply | Failure]:
    """Key -> reply, from the shelf where it is there, from the judge where not; each is kept before the next comes.

    Raises:
        CapbenchError: the judge answers no more; what it answered is kept.
    """
    wanted = {prompt.key: prompt for prompt in prompts}
    found: dict[str, JudgeReply | Failure] = {}
    if not door.recorded:
        kept = shelf.get(list(wanted))
        found = {name: unpacked(json.loads(data), "the cache") for name, data in kept.items()}
    missing = [prompt for key, prompt in wanted.items() if key not in found]
    if not missing:
        return found
    with progress(len(missing), label) as bar:
        for i, reply in door.get().ask(missing):
            key = missing[i].key
            if isinstance(reply, JudgeReply) and not door.recorded:
                data = json.dumps(packed(reply)).encode()
                shelf.put(key, data)
                found[key] = unpacked(json.loads(data), "the judge")  # what counts is what is kept
            else:
                found[key] = reply
            bar.update(1)
    return found
