"""From pictures to captions: sessions batch by batch or as answers come, each durable; baselines at once.

A batch that raises is halved until the one picture is found that it is about; one that needs more memory than there
is makes all later ones smaller too. Ctrl-C lets the batch under way end, so that nothing that was made is lost.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from capbench.errors import CapbenchError, Midway
from capbench.patience import Patience
from capbench.progress import progress
from capbench.resolve import Features
from capbench.stage import Room, one_each
from capbench.types import Answer, Caption, Failure, Generation, Request

BATCH = 16  # requests a batch where the captioner states no ``batch``
Keep = Callable[[Sequence[Caption]], None]


def from_needs(captioner: Any, features: Features, samples: int) -> list[Caption]:
    """The captions of a baseline or file, which has needs and no session; several an image from its ``sampled``.

    Raises:
        CapbenchError: another number of answers than items, or of captions an item than ``samples``.
    """
    arguments = {name: features.argument(need) for name, need in captioner.needs.items()}
    ids = features.facts.ids
    if samples > 1:
        lists = captioner.sampled(samples, **arguments)
    else:
        lists = [[answer] for answer in captioner.captions(**arguments)]
    if any(len(answers) != samples for answers in lists):
        raise CapbenchError(f"{captioner.name} gave other than {samples} captions for some image")
    if len(lists) != len(ids):
        raise CapbenchError(f"{captioner.name} gave {len(lists)} captions for {len(ids)} images")
    return [
        as_caption(id_, answer, 0.0, sample)
        for id_, answers in zip(ids, lists, strict=True)
        for sample, answer in enumerate(answers)
    ]


def from_session(
    captioner: Any,
    requests: Sequence[Request],
    params: Generation,
    device: str,
    keep: Keep,
    *,
    proven: bool = False,
    retried: bool = False,
) -> list[Caption]:
    """The captions of a model, given to ``keep`` as each batch ends, or as they come where the session has a stream.

    A batch is of one sample, and its seed is the run's plus the number of the sample: a model that knows
    nothing of samples draws another caption for each. proven: whether the captioner has worked in this run before.
    retried: whether requests have failed before.

    Raises:
        KeyboardInterrupt: it was asked for; the batch that was under way is kept.
        CapbenchError: no more captions can be had; what was made is kept.
    """
    if not requests:
        return []
    with captioner.open(device) as session:
        held = Batcher(captioner.name, session, getattr(captioner, "batch", BATCH))
        return from_open(held, requests, params, keep, proven=proven, retried=retried)


def from_open(
    held: Batcher, requests: Sequence[Request], params: Generation, keep: Keep, *, proven: bool, retried: bool
) -> list[Caption]:
    """As ``from_session``, of a session that is open and stays so; how large its batches may be is remembered."""
    made: list[Caption] = []
    with Patience(held.name) as patience, progress(len(requests), f"captions by {held.name}") as bar:

        def have(captions: Sequence[Caption]) -> None:
            keep(captions)
            made.extend(captions)
            bar.update(len(captions))

        if hasattr(held.session, "stream"):
            as_they_come(held.session, requests, params, patience, have, retried=retried)
        else:
            batch_by_batch(held, requests, params, patience, have, proven=proven)
    return made


def as_they_come(
    session: Any, requests: Sequence[Request], params: Generation, patience: Patience, have: Keep, *, retried: bool
) -> None:
    """The captions of a session that has many requests under way: a slow one holds nobody up."""
    seen = sent(requests)
    if len(seen) < len(requests):
        have([unreadable(request) for request in requests if request.image is not None and not request.image.digest])

    def asked() -> Iterator[tuple[Request, Generation]]:
        for request in seen:
            if patience.asked:
                return
            patience.under_way += 1
            yield request, replace(params, seed=params.seed + request.sample)

    with closing(session.stream(asked(), retried=retried)) as answers:
        while True:
            with patience.over(patience.under_way):
                part = next(answers, None)
            if part is None:
                break
            have([as_caption(request.id, answer, 0.0, request.sample) for request, answer in part])
            patience.under_way -= len(part)
    patience.stop_if_asked()


def batch_by_batch(
    batcher: Batcher, requests: Sequence[Request], params: Generation, patience: Patience, have: Keep, *, proven: bool
) -> None:
    """The captions of a session that answers a batch at a time."""
    for group in batches(requests, len(requests)):
        seeded = replace(params, seed=params.seed + group[0].sample)
        left = group
        while left:
            part, left = left[: batcher.room.size], left[batcher.room.size :]
            batcher.announce(left)
            with patience.over(len(part)):
                try:
                    batch = batcher.captions(part, seeded, proven=proven)
                except Stopped as stopped:
                    have(stopped.captions)
                    raise stopped.error from None
            have(batch)
            proven = True
            patience.stop_if_asked()


def batches(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """Requests in order, cut into batches of at most ``size`` that are of one sample each."""
    groups = [list(group) for _, group in itertools.groupby(requests, key=lambda request: request.sample)]
    return [group[start : start + size] for group in groups for start in range(0, len(group), size)]


def sent(requests: Sequence[Request]) -> list[Request]:
    """The requests that a session gets to see: those without a picture, or with one that could be read."""
    return [request for request in requests if request.image is None or request.image.digest]


class Stopped(Exception):
    """No more captions can be had: why, and those of the batch that were made."""

    def __init__(self, error: CapbenchError, captions: Sequence[Caption]) -> None:
        super().__init__(str(error))
        self.error, self.captions = error, captions


class Batcher:
    """An open session, and how many requests it is given at a time."""

    def __init__(self, name: str, session: Any, size: int) -> None:
        self.name, self.session, self.room = name, session, Room(size)

    def announce(self, left: Sequence[Request]) -> None:
        """Tell a session that can open pictures in advance which batch comes after the next."""
        if hasattr(self.session, "ahead") and (coming := sent(left[: self.room.size])):
            self.session.ahead(coming)

    def captions(self, requests: Sequence[Request], params: Generation, *, proven: bool) -> list[Caption]:
        """One batch; a request without a readable picture is not sent.

        Raises:
            Stopped: the session ended its work; the captions it had are in it.
            CapbenchError: it never worked, or gave another number of answers than requests.
        """
        seen = sent(requests)
        begun = time.perf_counter()
        answers: Sequence[Any]
        try:
            answers = one_each(
                lambda part: self.session.caption(part, params), seen, self.name, proven=proven, room=self.room
            )
        except Midway as midway:
            done = {key(seen[i]): answer for i, answer in midway.done.items()}
            raise Stopped(midway.error, self._all(requests, done, 0.0, partly=True)) from None
        seconds = (time.perf_counter() - begun) / max(len(seen), 1)
        return self._all(requests, {key(r): a for r, a in zip(seen, answers, strict=True)}, seconds)

    def _all(
        self, requests: Sequence[Request], answers: Mapping[Any, Any], seconds: float, *, partly: bool = False
    ) -> list[Caption]:
        """The captions of requests that were answered, and failures of those whose picture cannot be read."""
        captions = []
        for request in requests:
            if key(request) in answers:
                captions.append(as_caption(request.id, answers[key(request)], seconds, request.sample))
            elif request.image is not None and not request.image.digest and not partly:
                captions.append(unreadable(request))
        return captions


def unlike(made: Sequence[Caption], failed: Mapping[tuple[str, int], str]) -> list[Caption]:
    """Captions that say more than the failures in whose place they were made. failed: (id, sample) -> reason."""
    return [c for c in made if c.text is not None or failed.get((c.id, c.sample)) != c.reason]


def unreadable(request: Request) -> Caption:
    """The failed caption of a picture that cannot be read, which no model is asked about."""
    path = request.image.path if request.image is not None else ""
    return as_caption(request.id, Failure(f"cannot read the picture {path}"), 0.0, request.sample)


def key(request: Request) -> tuple[str, int]:
    """What an answer belongs to."""
    return request.id, request.sample


def as_caption(id_: str, answer: Any, seconds: float, sample: int) -> Caption:
    """An answer as a caption; what is not text is a failure that shows what came."""
    if isinstance(answer, Answer):
        value = Failure(answer.reason) if answer.text is None else answer.text
        caption = as_caption(id_, value, answer.seconds or seconds, sample)
        return replace(caption, noted=answer.noted)
    if isinstance(answer, str):
        return Caption(id_, answer, "ok", "", round(seconds, 6), sample)
    reason = answer.reason if isinstance(answer, Failure) else f"the answer is not text: {str(answer)[:80]!r}"
    return Caption(id_, None, "failed", reason, round(seconds, 6), sample)


def notes_on(captions: Sequence[Caption]) -> list[str]:
    """What a reader should know of the making of captions: those cut off, tokens, cost, and what was asked again."""
    cut = sum(c.noted.get("finish") == "length" and c.text is not None for c in captions)
    notes = [f"{cut} of {len(captions)} captions are cut off at the longest length"] if cut else []
    tokens = [total(captions, name) for name in ("tokens_in", "tokens_out")]
    if any(tokens):
        again = sum("attempts" in c.noted for c in captions)
        cost = total(captions, "cost")
        words = [f"{tokens[0]} tokens in", f"{tokens[1]} out", f"cost {cost:.4g}" if cost else ""]
        words.append(f"{again} needed more than one attempt" if again else "")
        notes.append("the captions took " + ", ".join(filter(None, words)))
    return notes


def total(captions: Sequence[Caption], name: str) -> float:
    """The sum of the numbers that are noted under a name."""
    return sum(number for c in captions if isinstance(number := c.noted.get(name), int | float))
