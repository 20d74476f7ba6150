"""The values that travel through capbench. All are frozen; none holds an open image or a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]


Box = tuple[float, float, float, float]  # left, top, width, height in pixels of the picture


@dataclass(frozen=True, slots=True)
class ImageRef:
    """A picture by its path; ``digest`` is blake2b of the file's bytes, "" when it cannot be read.

    Two references are equal when their digests and paths are. The picture is opened late, by
    ``capbench.images.load``, and never held.
    """

    path: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a dataset gives: an id, perhaps a picture, references, and free tags for grouping.

    regions: what part of the picture the references are of (none: all of it). history: what its user said before.
    length: how many words are wanted (0: it is not said).
    """

    id: str
    image: ImageRef | None = None
    references: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[Box, ...] = ()
    history: tuple[str, ...] = ()
    length: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What a captioner is asked. ``context`` holds the other pictures of a pair or bag.

    prompt: ``Generation.prompt`` with its fields filled in for this item. regions, history, length: as in ``Sample``.
    """

    id: str
    image: ImageRef | None
    context: tuple[ImageRef, ...] = ()
    sample: int = 0
    prompt: str = ""
    regions: tuple[Box, ...] = ()
    history: tuple[str, ...] = ()
    length: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """The decoding parameters that every captioner understands; its own are its fields.

    prompt: the command's, else the benchmark's, as a template (``capbench.prompts``). max_tokens: 0 for the
    captioner's own limit.
    """

    prompt: str = ""
    max_tokens: int = 0
    temperature: float = 0.0
    beams: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """One item that could not be done. It is a value, not an exception: the others go on."""

    reason: str


Noted = Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A session's answer where more is known of it than its text. text None: it failed, and ``reason`` says why.

    noted: what its making took, by the names of ``docs/run-folder.md`` (tokens_in, tokens_out, attempts, cost,
    finish). seconds: what it took alone, where others were made at the same time (0: the batch's are shared out).
    """

    text: str | None
    reason: str = ""
    noted: Noted = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Caption:
    """One answer of a captioner; ``text`` is None when and only when ``status`` is "failed".

    reason: why it failed; of one that did not, what is to be known of how it came about, mostly "".
    noted: as in ``Answer``; empty for captioners that say nothing of it.
    """

    id: str
    text: str | None
    status: Literal["ok", "failed"] = "ok"
    reason: str = ""
    seconds: float = 0.0
    sample: int = 0
    noted: Noted = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bag:
    """A gallery: the ids of its pictures. Its targets are those judged against it (all by default)."""

    id: str
    members: tuple[str, ...]
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class BagSet:
    """A named list of galleries. ``recipe`` is how it was made; ``digest`` is of its members in order."""

    name: str
    recipe: str
    digest: str
    bags: tuple[Bag, ...]


@dataclass(frozen=True, slots=True)
class Galleries:
    """A bag set as indices into the items of a run.

    members: flat item indices, gallery after gallery; offsets: int64, one more than galleries;
    targets, bags: for each row to be judged, the item and the gallery it is judged in.
    """

    members: Ints
    offsets: Ints
    targets: Ints
    bags: Ints


@dataclass(frozen=True, slots=True)
class Column:
    """A number that a metric gives: its label, which way is better, its bounds if it has any."""

    label: str
    better: Literal["high", "low", "none"] = "high"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """A metric's numbers an item: ``columns`` name -> float64 of one length; NaN is "unscored".

    items: the index of the item of each row (None: row i is item i).
    bags: the resampling unit of each row where rows of one bag are not independent, else None.
    """

    columns: Mapping[str, Array]
    items: Ints | None = None
    bags: Ints | None = None


@dataclass(frozen=True, slots=True)
class Caution:
    """What is to be known of numbers that are computed and not what one expects of them.

    mark: a few words that stand beside them in every table. why: one line for the user, with the cure.
    """

    mark: str
    why: str


@dataclass(frozen=True, slots=True)
class Summary:
    """One number of a table.

    low, high: the 95% bootstrap interval. n: rows scored. unscored: rows without a score.
    outside: items that the metric's galleries leave out. empty: captions without a letter or digit.
    cut: captions that the encoder truncated. None in value, low or high: nothing was scored.
    mark: what makes it another number than its label says, in a few words; "" for nothing.
    """

    metric: str
    column: str
    label: str
    better: Literal["high", "low", "none"]
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int
    outside: int
    empty: int
    cut: int
    signature: str
    short: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """One number of one group: as in ``Summary``, with what is known of a part of the items."""

    metric: str
    column: str
    label: str
    better: Literal["high", "low", "none"]
    value: float | None
    low: float | None
    high: float | None
    n: int
    unscored: int
    signature: str
    short: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The numbers of the items that have one value of a tag.

    value: None for the items without the tag, named "(none)", and for all items together, named "all".
    items: how many items; scores: one for each number of the run, in its order.
    """

    tag: str
    name: str
    value: str | None
    items: int
    scores: tuple[GroupScore, ...]
