"""From pictures to captions: sessions batch by batch, each batch durable; baselines at once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from capbench.errors import CapbenchError
from capbench.progress import progress
from capbench.resolve import Features
from capbench.stage import one_each
from capbench.types import Caption, Failure, Generation, Request

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
    captioner: Any, requests: Sequence[Request], params: Generation, device: str, keep: Keep, *, proven: bool = False
) -> list[Caption]:
    """The captions of a model, given to ``keep`` as each batch ends.

    A batch is of one sample, and its seed is the run's plus the number of the sample: a model that knows
    nothing of samples draws another caption for each. proven: whether the captioner has worked in this run before.
    """
    made: list[Caption] = []
    if not requests:
        return made
    size = getattr(captioner, "batch", BATCH)
    with captioner.open(device) as session, progress(len(requests), f"captions by {captioner.name}") as bar:
        for part in batches(requests, size):
            seeded = replace(params, seed=params.seed + part[0].sample)
            batch = caption_batch(captioner.name, session, part, seeded, proven=proven or bool(made))
            keep(batch)
            made += batch
            bar.update(len(part))
    return made


def batches(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """Requests in order, cut into batches of at most ``size`` that are of one sample each."""
    groups = [list(group) for _, group in itertools.groupby(requests, key=lambda request: request.sample)]
    return [group[start : start + size] for group in groups for start in range(0, len(group), size)]


def caption_batch(
    name: str, session: Any, requests: Sequence[Request], params: Generation, *, proven: bool
) -> list[Caption]:
    """One batch; a request without a readable picture is not sent."""
    seen = [request for request in requests if request.image is None or request.image.digest]
    begun = time.perf_counter()
    answers = one_each(lambda part: session.caption(part, params), seen, name, proven=proven) if seen else []
    seconds = (time.perf_counter() - begun) / max(len(seen), 1)
    by_request = {(r.id, r.sample): answer for r, answer in zip(seen, answers, strict=True)}
    blind = {(r.id, r.sample): Failure(f"cannot read the picture {r.image.path}") for r in requests if r.image}
    return [
        as_caption(
            r.id,
            {**blind, **by_request}[r.id, r.sample],
            seconds if (r.id, r.sample) in by_request else 0.0,
            r.sample,
        )
        for r in requests
    ]


def as_caption(id_: str, answer: Any, seconds: float, sample: int) -> Caption:
    """An answer as a caption; what is not text is a failure that shows what came."""
    if isinstance(answer, str):
        return Caption(id_, answer, "ok", "", round(seconds, 6), sample)
    reason = answer.reason if isinstance(answer, Failure) else f"the answer is not text: {str(answer)[:80]!r}"
    return Caption(id_, None, "failed", reason, round(seconds, 6), sample)
