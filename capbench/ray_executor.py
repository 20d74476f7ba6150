"""Work beyond one machine: captioning and feature extraction on Ray Data, with the values that one process gives.

Batches are cut as they are locally and numbered; an actor has the model open and answers a batch at a time; what comes
back is put where its number says. Each batch is kept by the driver as it arrives. What needs the whole corpus
(metrics, tables) stays with the driver, and so does everything that has no model, such as tokenizers.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from capbench.captioning import BATCH, Batcher, Keep, batches, from_open
from capbench.errors import CapbenchError, Midway
from capbench.progress import progress
from capbench.protocols import Problem
from capbench.stage import Room, chunk_of, one_each
from capbench.types import Caption, Failure, Generation, Request

ATTEMPTS = 3  # times that Ray may fail without a batch done in between
RESTARTS = 8  # of one actor, by Ray
SHARE = 0.75  # of a node's processors, for actors; Ray Data's own tasks need the rest
REACHED = 10.0  # seconds for a head to answer
LARGEST_BLOCKS = 20_000  # batches are carried in at most so many blocks
PLUGIN_FILE = "capbench_file_"  # modules of one-file plugins, which other machines do not have


@dataclass(slots=True)
class Ray:
    """Where the work goes. address: of a cluster ("": $RAY_ADDRESS, else one on this machine for the run).

    workers: how many actors hold a model (0: one for each GPU where the device is one, else one for each two
    processors). Ray is started or reached when the first batch needs it, and left by ``close``.
    """

    name: ClassVar[str] = "ray"

    address: str = ""
    workers: int = 0
    opened: bool = field(default=False, init=False)

    def check(self) -> Problem | None:
        """Whether Ray is there."""
        if find_spec("ray") is None:
            return Problem("the package ray is not installed", "pip install 'capbench[ray]'")
        return None

    def stated(self) -> str:
        """What plans and records say of it; no address, which is nobody else's business."""
        return f"ray, {self.workers or 'as many as fit'} workers"

    def close(self) -> None:
        """Leave Ray, if it was started or reached by this executor."""
        if self.opened:
            import ray

            ray.shutdown()
            self.opened = False

    def connect(self) -> None:
        """Reach or start Ray, unless this process has.

        Raises:
            CapbenchError: the cluster cannot be reached.
        """
        import ray

        if ray.is_initialized():
            return
        logging.getLogger("ray").setLevel(logging.ERROR)
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it complains of how Ray Data makes its own actors
        settings = {name: value for name, value in os.environ.items() if name.startswith("CAPBENCH_")}
        here = {} if self.address or os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        host, _, port = self.address.rpartition(":")
        try:
            if port.isdigit() and "/" not in host:  # Ray itself tries for minutes
                socket.create_connection((host, int(port)), REACHED).close()
            ray.init(
                self.address or None,
                log_to_driver=False,
                logging_level="ERROR",
                runtime_env={"env_vars": settings},
                **here,
            )
        except (Exception, SystemExit) as error:  # an address where nobody answers ends in sys.exit
            what = f"cannot reach the Ray cluster {self.address}".rstrip()
            cure = "start one: ray start --head; or leave --ray-address out"
            raise CapbenchError(f"{what}: {type(error).__name__}: {error}", cure) from error
        self.opened = True

    def caption(
        self, captioner: Any, requests: Sequence[Request], params: Generation, device: str, keep: Keep,
        *, proven: bool = False, retried: bool = False,
    ) -> list[Caption]:  # fmt: skip
        """As ``captioning.from_session``: the same captions, in the order of the requests; kept as batches arrive.

        Raises:
            CapbenchError: the captioner cannot be opened or never works; Ray fails and does not recover.
        """
        parts = batches(requests, getattr(captioner, "batch", BATCH))
        made: dict[int, list[Caption]] = {}
        with progress(len(requests), f"captions by {captioner.name}") as bar:
            for number, captions in self.over(Captioning(captioner, params, retried), parts, device, proven=proven):
                keep(captions)
                made[number] = list(captions)
                bar.update(len(captions))
        return [caption for number in sorted(made) for caption in made[number]]

    def compute(
        self, backend: Any, need: Any, items: Sequence[Any], device: str
    ) -> Iterator[tuple[list[int], list[Any]]]:
        """The values of a need's items, chunk by chunk as they are done: which items, and a value or Failure each.

        Raises:
            CapbenchError: as for ``caption``.
        """
        size = chunk_of(backend)
        chunks = [range(start, min(start + size, len(items))) for start in range(0, len(items), size)]
        parts = [[items[i] for i in chunk] for chunk in chunks]
        for number, packed in self.over(Encoding(backend, need), parts, device, proven=False):
            which = [chunks[number][i] for i, _ in packed]
            yield which, [value if isinstance(value, Failure) else need.unpack(value) for _, value in packed]

    def over(
        self, work: Any, parts: Sequence[Sequence[Any]], device: str, *, proven: bool
    ) -> Iterator[tuple[int, list[Any]]]:
        """(Number, answers) of every part, as they are done; parts that Ray lost are given to it again."""
        left = dict(enumerate(parts, int(proven)))  # an actor takes part 0 for the first that the model ever sees
        fruitless, careful = 0, False
        if left:
            self.connect()
        while left:
            before = len(left)
            lost = None
            for number, answers, error in self.one_pass(work, left, device, careful=careful):
                if number < 0:
                    lost = error
                elif number in left:  # else a task that Ray ran twice
                    del left[number]
                    yield number, answers
                    if error is not None:
                        raise error
            fruitless = 0 if len(left) < before else fruitless + 1
            if lost is not None and (fruitless >= ATTEMPTS or not recoverable(lost)):
                what = f"Ray failed with {len(left)} of {len(parts)} batches to do: {type(lost).__name__}: {lost}"
                raise CapbenchError(what, "what was made is kept; the same command goes on") from lost
            careful = True
            left = dict(reversed(left.items()))  # a batch that kills its actor goes last, so that the others are done
            if lost is not None and self.opened:
                self.close()  # with the connection end the actors that are left, whose GPUs the next pass needs
                self.connect()

    def one_pass(
        self, work: Any, left: Mapping[int, Any], device: str, *, careful: bool
    ) -> Iterator[tuple[int, list[Any], Any]]:
        """What Ray Data gives for these parts; where it fails, -1 and why."""
        done = stream(work, dict(left), device, self.workers, careful=careful)
        failure: BaseException | None = None
        while failure is None:
            try:
                answer = next(done, None)
            except Exception as error:  # noqa: BLE001 -- ``over`` tells what can be done again from what cannot
                failure = error
            else:
                if answer is None:
                    return
                yield answer
        yield -1, [], failure


@dataclass(frozen=True, slots=True)
class Captioning:
    """What an actor does with batches of requests."""

    part: Any
    params: Generation
    retried: bool = False

    def held(self, session: Any) -> Batcher:
        """An open session as an actor holds it: a batch that was too large for it makes all later ones smaller."""
        return Batcher(self.part.name, session, getattr(self.part, "batch", BATCH))

    def answers(
        self, held: Batcher, requests: Sequence[Request], *, proven: bool
    ) -> tuple[list[Any], Exception | None]:
        """The captions of a batch, and what ended it early."""
        made: list[Caption] = []
        try:
            from_open(held, requests, self.params, made.extend, proven=proven, retried=self.retried)
        except CapbenchError as error:
            return made, error
        return made, None


@dataclass(frozen=True, slots=True)
class Encoding:
    """What an actor does with chunks of a need's items."""

    part: Any
    need: Any

    def held(self, session: Any) -> tuple[Any, Room]:
        """An open session as an actor holds it, with what is known of its memory."""
        return session, Room(chunk_of(self.part))

    def answers(
        self, held: tuple[Any, Room], items: Sequence[Any], *, proven: bool
    ) -> tuple[list[Any], Exception | None]:
        """The packed values of a chunk, each with its place."""
        session, room = held
        ended = None
        try:
            name = f"backend {self.need.backend!r}"
            values = one_each(lambda part: self.need.compute(session, part), items, name, proven=proven, room=room)
            made = dict(enumerate(values))
        except Midway as stop:
            made, ended = dict(stop.done), stop.error
        except CapbenchError as error:
            return [], error
        packed = [(i, value if isinstance(value, Failure) else self.need.pack(value)) for i, value in made.items()]
        return packed, ended


class Actor:
    """Holds an open session in a process of its own, and answers parts one after another."""

    def __init__(self, work: bytes, device: str, folder: str) -> None:
        if Path(folder).is_dir():  # relative paths of pictures and programs mean what they do for the driver
            os.chdir(folder)
        self._work = pickle.loads(work)  # noqa: S301 -- the driver of this very run made it
        self._context: Any = None
        self._held: Any = None
        self._error: Exception | None = None
        try:
            self._context = self._work.part.open(device)
            self._held = self._work.held(self._context.__enter__())
        except Exception as error:  # noqa: BLE001 -- the driver raises it, as it would have been raised there
            self._error = error

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The answers of one part."""
        number, items = pickle.loads(row["part"])  # noqa: S301 -- as above
        answers, error = [], self._error
        if error is None:
            answers, error = self._work.answers(self._held, items, proven=number > 0)
        return {"number": number, "answers": pickled((answers, error))}

    def __del__(self) -> None:
        """Close the session where Ray lets an actor go."""
        if self._held is not None:
            self._context.__exit__(None, None, None)


def pickled(value: tuple[list[Any], Exception | None]) -> bytes:
    """Answers and an error as bytes; an error that cannot be carried is told in words."""
    answers, error = value
    try:
        data = pickle.dumps(value)
        pickle.loads(data)  # noqa: S301 -- some exceptions only fail here
    except Exception:  # noqa: BLE001 -- whatever its class raises
        return pickle.dumps((answers, CapbenchError(f"{type(error).__name__}: {error}")))
    return data


def stream(
    work: Any, parts: Mapping[int, Sequence[Any]], device: str, workers: int, *, careful: bool
) -> Iterator[tuple[int, list[Any], Exception | None]]:
    """One pass of Ray Data over parts: (number, answers, error) of each, in the order in which they are done.

    careful: an actor has no part waiting while it does another, so that one that kills it costs only itself.
    """
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    logging.getLogger("ray.data").setLevel(logging.ERROR)  # its import has set another level
    settings = DataContext.get_current()
    settings.enable_progress_bars = False
    settings.execution_options.preserve_order = False
    by_value(work)
    shipped = ray.cloudpickle.dumps(work)
    count, resources = shares(workers or 0, device, len(parts))
    rows = [{"part": pickle.dumps(part)} for part in parts.items()]
    blocks = min(len(rows), LARGEST_BLOCKS)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Ray 2.60 means to drop max_restarts, which bounds a batch that kills its actor
        done = ray.data.from_items(rows, override_num_blocks=blocks).map(
            Actor,
            fn_constructor_args=(shipped, device.partition(":")[0], str(Path.cwd())),
            compute=ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=1 if careful else None),
            **resources,
        )
    # nothing is fetched ahead: an answer that waits for the next one would be lost with it
    for table in done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for row in table.to_pylist():
            answers, error = pickle.loads(row["answers"])  # noqa: S301 -- the actors of this run made it
            yield row["number"], answers, error


def shares(workers: int, device: str, parts: int) -> tuple[int, dict[str, Any]]:
    """How many actors there are, and what each takes of a node.

    An actor on a processor takes so little that all of them fit on the smallest node: those of a node that is lost
    find room elsewhere. One with a GPU is not started again by Ray, which would wait for another GPU: the
    parts that it had are given to those that are left.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    cpus = sum(node.get("CPU", 0) for node in nodes)
    if not device.startswith("cpu") and gpus:
        count = min(workers or gpus, gpus, parts)
        return count, {"num_gpus": 1, "num_cpus": 0.01, "max_restarts": 0, "max_task_retries": 0}
    count = min(workers or max(1, int(cpus // 2)), parts)
    least = min((node["CPU"] for node in nodes if node.get("CPU", 0) > 0), default=1)
    each = max(0.01, min(1.0, int(100 * SHARE * least / count) / 100))
    return count, {"num_cpus": each, "max_restarts": RESTARTS, "max_task_retries": RESTARTS}


def recoverable(error: Exception) -> bool:
    """Whether Ray lost something that it can be given again, rather than that our code raised."""
    import ray.exceptions as known

    lost = (
        known.RayActorError,
        known.ObjectLostError,
        known.NodeDiedError,
        known.WorkerCrashedError,
        known.OutOfMemoryError,
    )
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, lost):
            return True
        cause = cause.__cause__
    return False


def by_value(work: Any) -> None:
    """Carry the code of one-file plugins along: no other machine has the module."""
    import ray

    for part in (work.part, getattr(work, "need", None)):
        module = sys.modules.get(type(part).__module__)
        if module is not None and module.__name__.startswith(PLUGIN_FILE):
            ray.cloudpickle.register_pickle_by_value(module)


__all__ = ["Ray"]
