"""CHAIR (Rohrbach et al. 2018, "Object Hallucination in Image Captioning"): objects that are not in the picture.

    CHAIR-i = mentions of objects that are not there / mentions of objects
    CHAIR-s = captions with such a mention / captions

over all captions, of COCO's 80 object classes. The objects of a picture are those outlined in it and those that
any of its references names. Source: section 3.1 of the paper, and LisaAnne/Hallucination ``utils/chair.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capbench.errors import BadData, MissingPart, UsageError, check_choice
from capbench.instances import Instances, read_instances
from capbench.metrics.chair_table import VOCABULARY
from capbench.metrics.chair_words import Mention, mentions, word_count
from capbench.needs import Captions, Ids, References
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array

LABELS = ("instances", "references")
GIVE_THEM = "chair(instances='instances_val2014.json'), several files as a tuple; or chair(labels='references')"
SHOWN_IDS = 10


@dataclass(frozen=True, slots=True)
class Explained:
    """What a caption names, and what is in the picture: classes of COCO."""

    mentions: tuple[Mention, ...]
    objects: frozenset[str]

    @property
    def hallucinated(self) -> tuple[Mention, ...]:
        """The mentions of objects that are not in the picture."""
        return tuple(mention for mention in self.mentions if mention.object not in self.objects)

    @property
    def found(self) -> frozenset[str]:
        """The objects of the picture that the caption names."""
        return self.objects & {mention.object for mention in self.mentions}

    @property
    def missed(self) -> frozenset[str]:
        """The objects of the picture that it does not name."""
        return self.objects - self.found

    @property
    def f1(self) -> float:
        """F1 of the distinct objects named and there; 1 where there are none of either."""
        total = len({mention.object for mention in self.mentions}) + len(self.objects)
        return 2 * len(self.found) / total if total else 1.0


@dataclass(frozen=True, slots=True)
class Chair:
    """CHAIR-i and CHAIR-s, with the recall of objects and the length, which hallucination grows with.

    instances: COCO's instance files of these pictures, one path or a tuple; their content is signed, not the path.
    labels: 'references' takes the objects that references name as all there are: another measure, in columns of
    its own. compat: read captions as the authors' program does, with its faults.
    """

    name: ClassVar[str] = "chair"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "chair_i": Column("CHAIR-i", better="low", low=0.0, high=1.0),
        "chair_s": Column("CHAIR-s", better="low", low=0.0, high=1.0),
        "recall": Column("object recall", low=0.0, high=1.0),
        "chair_i_references": Column("CHAIR-i (references)", better="low", low=0.0, high=1.0),
        "chair_s_references": Column("CHAIR-s (references)", better="low", low=0.0, high=1.0),
        "recall_references": Column("object recall (references)", low=0.0, high=1.0),
        "words": Column("words", better="none", low=0.0),
    }

    instances: str | tuple[str, ...] = field(default="", metadata={"signed": "content"})
    labels: str = "instances"
    compat: bool = False

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        check_choice(self.name, "labels", self.labels, LABELS)
        readable = isinstance(self.instances, str | tuple) and all(
            isinstance(path, str) and path for path in self._files()
        )
        if not readable:
            raise UsageError(f"chair: instances={self.instances!r}", "give a path, or a tuple of paths")
        if self.labels == "references" and self._files():
            raise UsageError("chair: labels='references' reads no instances", "leave one of the two out")

    @property
    def needs(self) -> Mapping[str, Need]:
        """The ids to look up, and the raw texts."""
        return {"ids": Ids(), "captions": Captions(), "references": References()}

    def check(self) -> Problem | None:
        """Whether the instance files are named and there.

        Raises:
            BadData: one of them is not what it should be.
        """
        if self.labels == "references":
            return None
        if not self._files():
            return Problem("no instance annotations of the pictures", GIVE_THEM)
        missing = [path for path in self._files() if not Path(path).is_file()]
        if missing:
            return Problem(f"there is no file {' and no file '.join(missing)}", GIVE_THEM)
        self._outlined()
        return None

    def rows(self, ids: Sequence[str], captions: Sequence[str], references: Ragged[list[str]]) -> Mapping[str, Array]:
        """The ratios of each caption, 0 where there is nothing to divide by, and the counts that ``reduce`` folds.

        NaN without references, which are half of what is known of a picture.

        Raises:
            MissingPart, BadData: faults of the instance files, or pictures that are not in them.
        """
        explained = self.explain(ids, captions, references)
        counts = {
            "mentions": [len(one.mentions) for one in explained],
            "hallucinated": [len(one.hallucinated) for one in explained],
            "objects": [len(one.objects) for one in explained],
            "found": [len(one.found) for one in explained],
            "words": [word_count(caption) for caption in captions],
        }
        columns = {name: np.where(references.counts > 0, column, np.nan) for name, column in counts.items()}
        empty = {"mentions": np.maximum(columns["mentions"], 1), "objects": np.maximum(columns["objects"], 1)}
        wrong = {self._named("chair_s"): np.minimum(columns["hallucinated"], 1)}
        return {**self.reduce(columns | empty), **wrong, **columns}

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """CHAIR-i and recall of summed counts; NaN where nothing was mentioned, or nothing is there."""
        with np.errstate(invalid="ignore"):
            return {
                self._named("chair_i"): sums["hallucinated"] / sums["mentions"],
                self._named("recall"): sums["found"] / sums["objects"],
            }

    def explain(self, ids: Sequence[str], captions: Sequence[str], references: Ragged[list[str]]) -> list[Explained]:
        """What each caption names and what is in its picture, in order; arguments and errors as for ``rows``."""
        outlined = self._objects(ids) if self.labels == "instances" else [frozenset[str]()] * len(ids)
        found = []
        for i, caption in enumerate(captions):
            texts = references.values[references.offsets[i] : references.offsets[i + 1]]
            named = {mention.object for text in texts for mention in mentions(text, compat=self.compat)}
            found.append(Explained(mentions(caption, compat=self.compat), outlined[i] | named))
        return found

    def _objects(self, ids: Iterable[str]) -> list[frozenset[str]]:
        """The classes outlined in each picture.

        Raises:
            BadData: pictures that the files do not have; they are not pictures without objects.
        """
        outlined = self._outlined()
        labels = {id_: outlined.of(id_) for id_ in ids}
        missing = [id_ for id_, names in labels.items() if names is None]
        if missing:
            files = " or ".join(Path(path).name for path in self._files())
            more = ", ..." if len(missing) > SHOWN_IDS else ""
            shown = ", ".join(map(repr, missing[:SHOWN_IDS])) + more
            raise BadData(
                f"{len(missing)} of {len(labels)} images are not in {files}: {shown}; "
                "name the files of all splits: chair(instances=('instances_train2014.json', 'instances_val2014.json'))"
            )
        return [frozenset(VOCABULARY[name] for name in names or ()) for names in labels.values()]

    def _outlined(self) -> Instances:
        """What the files hold.

        Raises:
            MissingPart, BadData: there are none, they cannot be read, or their categories are others than COCO's.
        """
        if not self._files():
            raise MissingPart("chair: no instance annotations of the pictures", GIVE_THEM)
        found = read_instances(self._files())
        strange = sorted(found.categories - VOCABULARY.keys())
        if strange:
            names = ", ".join(map(repr, strange[:SHOWN_IDS]))
            raise BadData(f"{' or '.join(self._files())} has categories that COCO lacks: {names}", cure=GIVE_THEM)
        return found

    def _files(self) -> tuple[str, ...]:
        """The paths."""
        if isinstance(self.instances, str):
            return (self.instances,) if self.instances else ()
        return tuple(self.instances)

    def _named(self, column: str) -> str:
        """The column's name: what is known from references alone never goes by the plain one."""
        return column if self.labels == "instances" else f"{column}_references"
