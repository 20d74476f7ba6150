"""A captioner that stays loaded from one run to the next, where only decoding differs.

Captions of all such runs are made before anything is scored, so that the model and the metrics' encoders are never
in memory together. What fails is opened anew: a session that broke once is not trusted with the next run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from capbench import engine
from capbench.errors import CapbenchError


@dataclass(slots=True)
class Captioned:
    """What was made for each plan, by its place, and what went wrong with those that have nothing.

    made: how many captions. dropped: as in ``engine.Result``.
    """

    made: dict[int, int] = field(default_factory=dict)
    dropped: dict[int, tuple[str, ...]] = field(default_factory=dict)
    errors: dict[int, CapbenchError] = field(default_factory=dict)


class Kept:
    """A captioner whose session stays open until ``stack`` closes; in all else the captioner itself."""

    def __init__(self, captioner: Any, stack: ExitStack) -> None:
        self._captioner, self._stack = captioner, stack
        self._session: Any = None

    def __getattr__(self, name: str) -> Any:
        """Whatever is asked of the captioner."""
        return getattr(self._captioner, name)

    @contextmanager
    def open(self, device: str) -> Iterator[Any]:
        """The session, opened when it is first needed."""
        if self._session is None:
            self._session = self._stack.enter_context(self._captioner.open(device))
        yield self._session


def caption_all(plans: Mapping[int, engine.Plan], alike: Sequence[Sequence[int]]) -> Captioned:
    """Make the captions of plans that share a captioner, and keep them in their folders.

    alike: places of plans whose captioners are equal. Those that are not kept, alone or not sessions are left to
    ``engine.run``.
    """
    found = Captioned()
    for places in alike:
        if len(places) > 1 and all(is_session(plans[i].job) for i in places):
            one_after_another({i: plans[i] for i in places}, found)
    return found


def is_session(job: engine.Job) -> bool:
    """Whether a job's captioner is opened in this process, and its captions are kept."""
    return (
        job.root is not None
        and job.executor is None
        and not any(hasattr(job.captioner, name) for name in ("needs", "inner"))
    )


def one_after_another(plans: Mapping[int, engine.Plan], found: Captioned) -> None:
    """The captions of plans with one captioner."""
    with ExitStack() as every:
        stack = every.enter_context(ExitStack())
        kept = Kept(next(iter(plans.values())).job.captioner, stack)
        for i, plan in plans.items():
            job = replace(plan.job, captioner=kept, parts=())
            try:
                result = engine.run(replace(plan, job=job))
            except Exception as error:  # noqa: BLE001 -- a plugin may raise anything, and the other plans go on
                found.errors[i] = as_error(error)
            else:
                found.made[i], found.dropped[i] = result.captioned, result.dropped
                if all(caption.text is not None for caption in result.run.captions):
                    continue
            stack.close()
            kept = Kept(plan.job.captioner, stack)


def as_error(error: Exception) -> CapbenchError:
    """An exception as one of capbench's."""
    return error if isinstance(error, CapbenchError) else CapbenchError(f"{type(error).__name__}: {error}")
