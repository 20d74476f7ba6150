"""Everything a plugin can be, on one page. Shapes, not base classes: any object that fits will do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from capbench.types import Answer, BagSet, Column, Failure, Generation, ImageRef, Request, Rows, Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from capbench.types import Floats


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a part lacks, and what to type to get it."""

    what: str
    cure: str


class Need(Protocol):
    """What a metric asks for: a frozen, hashable value. Equal needs are computed once."""

    @property
    def kind(self) -> str:
        """The word that stands for it in cache keys and plans."""
        ...


class DerivedNeed(Need, Protocol):
    """A need made from another one by a backend, item by item.

    With ``to``, a second need, an item is a pair: a value of ``of`` and its item's value of ``to``. With ``several``
    set, an item has a list of values even where ``inputs`` gives one.
    """

    @property
    def of(self) -> Need:
        """The need whose items it is made from."""
        ...

    @property
    def backend(self) -> str:
        """The spec or alias of the backend that makes it."""
        ...

    @property
    def backend_kind(self) -> str:
        """encoder, generator, similarity, parser, judge or tokenizer."""
        ...

    @property
    def cached(self) -> bool:
        """Whether values are worth keeping on disk."""
        ...

    def inputs(self, item: Any) -> list[Any]:
        """What is handed to ``compute`` for one item of the source (most needs: the item itself)."""
        ...

    def compute(self, session: Any, items: Sequence[Any]) -> Sequence[Any]:
        """One value or Failure for each item, in order."""
        ...

    def gather(self, values: Sequence[Any]) -> Any:
        """All values as the argument that ``rows`` gets; a Failure becomes an empty or NaN value."""
        ...

    # Where it is cached: pack(self, value) -> bytes: a value for the cache, and unpack(self, data: bytes) -> Any: the
    # value again, equal to what was packed; None where a file that belongs to it is gone.
    # Optional: named(self, input) -> str where inputs of many items are the same, so that each is made once;
    #           also: a tuple of further needs: an item is then a tuple, of its value of ``of`` and of each of these
    #           (a list where an item has several);
    #           replies: ClassVar[bool] = True where ``compute`` gets a session that is opened when it is asked
    #           (``get``) and, third, the shelf of the cache that its parts are kept on.


class Metric(Protocol):
    """A frozen dataclass that says what it needs and turns it into rows with numpy."""

    name: ClassVar[str]
    version: ClassVar[int]
    columns: ClassVar[Mapping[str, Column]]

    @property
    def needs(self) -> Mapping[str, Need]:
        """Argument names of ``rows`` -> needs."""
        ...

    @property
    def rows(self) -> Callable[..., Any]:
        """A method: features by the names of ``needs`` -> Rows, or column -> one float64 an item."""
        ...

    # Optional: reduce(self, sums) -> Mapping[str, Array] for scores that are not means;
    #           overall(self, columns) -> Mapping[str, float]: declared columns that rows have none of and that
    #           no sum gives, such as a median (better="none": it has no interval and is in no comparison);
    #           corpus: bool, True where a row depends on the other items;
    #           pooled: ClassVar[bool] = True where it depends on their captions too: rows are then shares of a
    #           number of the whole set, which ``reduce`` gives, and all are of one bag (no interval);
    #           caution(self, **features) -> Caution | None, asked after rows with the same arguments;
    #           details(self, **features) -> Sequence[Mapping[str, Any] | None], asked after rows with the same
    #           arguments: what it can say of each item, as plain JSON; kept in the run's folder and shown by pages;
    #           reasons(self, **features) -> Sequence[str], asked after rows with the same arguments: why each item
    #           has no number, "" where nothing is to be said;
    #           check(self) -> Problem | None when it needs files or programs of its own;
    #           stated(self) -> Mapping[str, str]: what else can change its numbers, for the signature.


# what of a request, and of the decoding parameters, a captioner may say that it uses
USES = ("prompt", "max_tokens", "temperature", "beams", "seed", "context", "regions", "history", "length")


class Captioner(Protocol):
    """Describes pictures. ``fingerprint`` is cheap: weights are not loaded for it."""

    name: ClassVar[str]

    def fingerprint(self) -> str:
        """What stands for it in identities: everything that can change a caption."""
        ...

    def check(self) -> Problem | None:
        """What is missing, before any work starts."""
        ...

    def open(self, device: str) -> AbstractContextManager[CaptionSession]:
        """Load, and give the session; leaving the context frees everything."""
        ...

    # Optional: uses: frozenset[str] of names in USES: what can change its answers. The plan says what is given
    #           beyond that; without it nothing is said.


class CaptionSession(Protocol):
    """Batch in, the same number out, in order.

    All requests of a batch are of one ``sample``; ``params.seed`` is the run's seed plus its number, so that a
    captioner which draws by the seed gives another caption for each.
    """

    def caption(self, requests: Sequence[Request], params: Generation) -> Sequence[str | Answer | Failure]:
        """One text or Failure for each request; an Answer where more is known than its text.

        Whatever is raised costs only the request it is about: the batch is halved until that one is found. Memory
        that does not suffice (MemoryError, or a class called OutOfMemoryError) makes later batches smaller. ``Midway``
        ends the run and brings along what was made of the batch.
        """
        ...

    # Optional: ahead(self, requests) -> None, called before ``caption`` with the batch that comes after that one:
    #           its pictures can be opened while the model works.
    # Optional: stream(self, asked, *, retried) -> iterator of lists of (request, answer), which is then used in place
    #           of ``caption`` by a session that has many requests under way, as one that asks a server: ``asked``
    #           gives (request, params) pairs and is read on when there is room for another. What is given is kept
    #           before the next is asked for. An answer is a Failure where a request fails; what is raised ends the run.


class DerivedCaptioner(Protocol):
    """A baseline made from the benchmark itself: it has needs, as a metric has, and no session."""

    name: ClassVar[str]

    def fingerprint(self) -> str:
        """As for a captioner."""
        ...

    def check(self) -> Problem | None:
        """As for a captioner."""
        ...

    @property
    def needs(self) -> Mapping[str, Need]:
        """Argument names of ``captions`` -> needs."""
        ...

    @property
    def captions(self) -> Callable[..., Sequence[str | Failure]]:
        """A method: features by the names of ``needs`` -> one text or Failure an item, in order."""
        ...

    # Optional: sampled(self, samples, **features) -> so many texts or Failures for each item.


class CombinedCaptioner(Protocol):
    """A captioner made of others: candidates come from them, and a metric of picture and caption chooses."""

    name: ClassVar[str]

    def fingerprint(self) -> str:
        """As for a captioner; those inside, and what chooses, are in it."""
        ...

    def check(self) -> Problem | None:
        """As for a captioner, of all its parts."""
        ...

    @property
    def inner(self) -> Sequence[Any]:
        """``capbench.captioners.inner.Inner``, one a captioner."""
        ...

    @property
    def scorer(self) -> Any:
        """``capbench.captioners.inner.Scorer``: what chooses."""
        ...

    @property
    def n(self) -> int:
        """Candidates from each captioner, for each caption that is wanted."""
        ...

    # Optional: fuser, params, settled(pair, answer) and notes_on(captions), as ``capbench.captioners.fuse`` has them.


class Backend(Protocol):
    """A model or program behind derived needs. ``kind`` says which session it opens."""

    name: ClassVar[str]
    kind: ClassVar[str]

    def fingerprint(self) -> str:
        """name/model/weights@digest/precision: everything that can change a value, not the device."""
        ...

    def check(self) -> Problem | None:
        """What is missing, before any work starts."""
        ...

    def open(self, device: str) -> AbstractContextManager[Any]:
        """Load, and give the session of its kind."""
        ...

    # Optional: chunk: int, how many values are made before they are kept (few where each takes seconds).


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors of a batch: float32, one row an item; cut: which texts were truncated (or None).

    failures: index -> reason for items that could not be encoded; their rows are NaN.
    """

    vectors: Floats
    cut: NDArray[np.bool_] | None = None
    failures: Mapping[int, str] = field(default_factory=dict)


class EncoderSession(Protocol):
    """Pictures and texts into one space. Results must not depend on the batch size."""

    def images(self, refs: Sequence[ImageRef]) -> Encoded:
        """Vectors of pictures (any length; the need normalises them)."""
        ...

    def texts(self, texts: Sequence[str]) -> Encoded:
        """Vectors of texts."""
        ...


class GeneratorSession(Protocol):
    """Texts into pictures. The same text and seed give the same picture, whatever else is in the batch."""

    def paint(self, prompts: Sequence[str], seeds: Sequence[int]) -> Sequence[Image | ImageRef | Failure]:
        """One picture, file of a picture, or Failure for each prompt."""
        ...

    # Optional: cut(self, prompts) -> one bool each: whether the painter reads less than the whole of it.


class SimilaritySession(Protocol):
    """How alike two pictures are."""

    def compare(self, pictures: Sequence[ImageRef], originals: Sequence[ImageRef]) -> Sequence[float | Failure]:
        """One number or Failure for each pair, whatever else is in the batch."""
        ...


@dataclass(frozen=True, slots=True)
class Elements:
    """What a text says: objects, (object, attribute) and (subject, relation, object) with repeats."""

    objects: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    relations: tuple[tuple[str, str, str], ...] = ()


class ParserSession(Protocol):
    """Texts into elements."""

    def parse(self, texts: Sequence[str]) -> Sequence[Elements | Failure]:
        """The elements of each text, or a Failure that says what could not be read."""
        ...


class TokenizerSession(Protocol):
    """Texts into words."""

    def tokenize(self, texts: Sequence[str]) -> Sequence[tuple[str, ...]]:
        """The words of each text."""
        ...


class Likely(NamedTuple):
    """A token of an answer and the likeliest ones at its place, each with the logarithm of its likelihood."""

    token: str
    among: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """What a judge is asked.

    tokens: the longest answer. likely: how many likeliest tokens are wanted at each place (0: none). key: what its
    reply is kept under, made of all that can change it but the judge. item: the id, for messages. about: what the words
    are made of (``step`` and the values of its fields), for judges that are programs; no model is shown it.
    """

    text: str
    system: str = ""
    images: tuple[ImageRef, ...] = ()
    tokens: int = 256
    temperature: float = 0.0
    seed: int = 0
    likely: int = 0
    key: str = ""
    item: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JudgeReply:
    """What a judge answers. finish: why it ended, as servers put it ("stop", "length", "content_filter").

    refusal: its words where it says itself that it refuses. model: who answered, as it calls itself. tokens_in,
    tokens_out: -1 where it is not said. seconds, cost: what it took. likely: as was asked for, () where it is not said.
    """

    text: str
    finish: str = "stop"
    refusal: str = ""
    model: str = ""
    tokens_in: int = -1
    tokens_out: int = -1
    seconds: float = 0.0
    cost: float = 0.0
    attempts: int = 1
    likely: tuple[Likely, ...] = ()


class JudgeSession(Protocol):
    """Prompts into replies."""

    def ask(self, prompts: Sequence[JudgePrompt]) -> Iterator[tuple[int, JudgeReply | Failure]]:
        """Each reply with the number of its prompt, as it comes: whoever takes it has kept it before the next.

        Raises:
            CapbenchError: no prompt can be answered any more.
        """
        ...

    # Optional, of the backend: recorded: ClassVar[bool] = True where replies are read and none is made: then nothing
    #           else is looked at, and nothing is kept.


class Dataset(Protocol):
    """Gives samples in a fixed order, and perhaps bag sets of its own."""

    name: ClassVar[str]

    def load(self) -> Sequence[Sample]:
        """All samples; faults of its files are raised together as BadData."""
        ...

    # Optional: bag_sets(self) -> Sequence[BagSet]


__all__ = [
    "USES", "Backend", "BagSet", "CaptionSession", "Captioner", "Column", "CombinedCaptioner",
    "Dataset", "DerivedCaptioner", "DerivedNeed",
    "Elements", "Encoded", "EncoderSession", "Failure", "GeneratorSession", "JudgePrompt", "JudgeReply", "JudgeSession",
    "Likely", "Metric", "Need", "ParserSession",
    "Problem", "Rows", "SimilaritySession", "TokenizerSession",
]  # fmt: skip
