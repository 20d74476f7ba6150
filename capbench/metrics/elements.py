"""Element matching: what a caption says against what the references say, object by object, in the manner of CAPTURE.

    total = (5 F1 objects + 5 F1 attributes + 2 F1 relations) / 12

of elements that a parser finds, those of all references merged, matched one to one: equal after lemmatising, in one
synonym set of WordNet, and, if asked for, near in the vectors of a sentence encoder. After Dong et al. 2024,
"Benchmarking and Improving Detail Image Caption" (arXiv 2405.19092); docs/metrics/elements.md says what is otherwise.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capbench import languages, plugins
from capbench.elements import capture, words
from capbench.elements.graph import KINDS, graph
from capbench.elements.marks import described
from capbench.elements.match import Soft
from capbench.elements.phrases import PhraseVectors
from capbench.elements.scores import Matched, matched, weighted
from capbench.errors import UsageError
from capbench.needs import Captions, Parsed, References, Tags
from capbench.protocols import Elements as Parse
from capbench.protocols import Need, Problem
from capbench.ragged import Ragged
from capbench.types import Column

if TYPE_CHECKING:
    from capbench.types import Array, Floats

SCIPY = Problem("scipy is not installed", "pip install 'capbench[elements]'")
ENGLISH_ONLY = "its parsers and its synonyms are English"
LATER = {"signed": "unless default"}
WEIGHTS = (5, 5, 2)
PARSER = {"model": capture.PARSER_MODEL, "precision": "fp32", "beams": 5}  # the paper's, as ``factual`` runs it
ENCODER = capture.ENCODER_MODEL.removeprefix("sentence-transformers/")


def shares(label: str) -> dict[str, Column]:
    """The three columns of a kind, with bounds."""
    kind = label.lower()
    return {
        kind: Column(f"{label} F1", low=0.0, high=1.0),
        f"{kind}_precision": Column(f"{label} P", low=0.0, high=1.0),
        f"{kind}_recall": Column(f"{label} R", low=0.0, high=1.0),
    }


@dataclass(frozen=True, slots=True)
class Elements:
    """Precision, recall and F1 of objects, attributes and relations, their weighted total, and what is made up.

    parser: the backend that finds elements. soft: an encoder of texts for the third stage ("": two stages). near: the
    least cosine that counts there. synonyms: 'nltk', 'meteor', 'none', or 'auto' for the first that is installed.
    weights: of objects, attributes and relations in the total. labels: a tag that lists what is in the image, with ";"
    between names; an object that it names is not made up though no reference names it. compat: CAPTURE's published
    algorithm, with its faults and its encoder unless another is named; with its parser and encoder, and with no other,
    the total is in the column ``capture``.
    """

    name: ClassVar[str] = "elements"
    version: ClassVar[int] = 1
    columns: ClassVar[Mapping[str, Column]] = {
        "elements": Column("Elements", low=0.0, high=1.0),
        "precision": Column("Elements P", low=0.0, high=1.0),
        "recall": Column("Elements R", low=0.0, high=1.0),
        **shares("Objects"),
        **shares("Attributes"),
        **shares("Relations"),
        "hallucinated": Column("hallucinated", better="low", low=0.0),
        "hallucinated_share": Column("hallucinated share", better="low", low=0.0, high=1.0),
        "missed": Column("missed", better="low", low=0.0),
        "capture": Column("CAPTURE", low=0.0, high=1.0),
    }

    parser: str = "spacy"
    soft: str = ""
    near: float = 0.7
    synonyms: str = field(default="auto", metadata={"signed": False})  # ``stated`` says which it is
    weights: tuple[float, float, float] = WEIGHTS
    labels: str = field(default="", metadata=LATER)
    compat: bool = False
    lang: str = field(default=languages.DEFAULT, metadata=languages.WHEN_CHANGED)

    def __post_init__(self) -> None:
        """Refuse parameters that mean nothing."""
        languages.english_only(self, ENGLISH_ONLY)
        if self.synonyms not in words.SOURCES:
            raise UsageError(f"elements: synonyms is one of {', '.join(words.SOURCES)}, not {self.synonyms!r}")
        numbers = isinstance(self.weights, tuple) and all(isinstance(w, int | float) and w >= 0 for w in self.weights)
        if not numbers or len(self.weights) != len(KINDS) or not any(self.weights):
            raise UsageError(f"elements: weights={self.weights!r}", "three numbers of 0 or more, as in (5, 5, 2)")
        if not 0 < self.near <= 1:
            raise UsageError(f"elements: near={self.near!r}", "a cosine above 0, at most 1")
        if self.compat and self.labels:
            raise UsageError("elements: compat=True knows no labels", "leave one of the two out")
        if self.compat and not self.soft:
            object.__setattr__(self, "soft", f"sentences(model={capture.ENCODER_MODEL!r})")

    @property
    def needs(self) -> Mapping[str, Need]:
        """The texts, their elements, the vectors of these for the soft stage, and tags for labels."""
        said, there = Parsed(Captions(), self.parser), Parsed(References(), self.parser)
        needs: dict[str, Need] = {"captions": Captions(), "said": said, "there": there}
        if self.soft:
            lemmas = "" if self.compat else self.synonyms
            needs["said_vectors"] = PhraseVectors(said, self.soft, "", lemmas, self.compat)
            needs["there_vectors"] = PhraseVectors(there, self.soft, "", lemmas, self.compat)
        if self.compat:
            needs["references"] = References()
        if self.labels:
            needs["tags"] = Tags()
        return needs

    def check(self) -> Problem | None:
        """What is missing: scipy, the synonyms, or what CAPTURE's authors use."""
        if self.compat:
            return capture.missing()
        return SCIPY if importlib.util.find_spec("scipy") is None else words.missing(self.synonyms)

    def stated(self) -> Mapping[str, str]:
        """Whose synonyms they are."""
        return {"synonyms": "capture" if self.compat else words.vocabulary(self.synonyms).name}

    @property
    def is_capture(self) -> bool:
        """Whether parser and encoder are the paper's, so that the number may be called by its name."""
        if not self.compat:
            return False
        parser, encoder = plugins.parse(self.parser), plugins.parse(self.soft)
        return (
            (parser.target, encoder.target) == (capture.PARSER, "sentences")
            and {**PARSER, **parser.params, "batch": 0} == {**PARSER, "batch": 0}
            and encoder.params.get("model", "").removeprefix("sentence-transformers/") == ENCODER
            and self.weights == WEIGHTS
        )

    def rows(
        self,
        captions: Sequence[str],
        said: Sequence[Parse],
        there: Ragged[list[Parse]],
        references: Ragged[list[str]] | None = None,
        said_vectors: Any = None,
        there_vectors: Any = None,
        tags: Sequence[Mapping[str, str]] = (),
    ) -> Mapping[str, Array]:
        """The columns of each item; NaN where the references say nothing. Undeclared: what ``reduce`` divides by.

        Raises:
            UsageError: no item has the tag of labels.
        """
        if self.labels and not any(self.labels in own for own in tags):
            raise UsageError(f"elements: no image has the tag {self.labels!r}", "labels= names a tag of the data set")
        if references is not None:
            return self._captured(captions, said, there, references, both(said_vectors, there_vectors))
        found = self.matches(said, there, said_vectors, there_vectors)
        lines = [self._row(one, len(self._labelled(one, tags, i))) for i, one in enumerate(found)]
        names = lines[0] if lines else {}
        columns = {name: np.array([line[name] for line in lines], np.float64) for name in names}
        nothing = np.array([not any(one.there.values()) for one in found], bool)
        return {name: np.where(nothing, np.nan, column) for name, column in columns.items()}

    def details(
        self,
        captions: Sequence[str],
        said: Sequence[Parse],
        there: Ragged[list[Parse]],
        references: Ragged[list[str]] | None = None,
        said_vectors: Any = None,
        there_vectors: Any = None,
        tags: Sequence[Mapping[str, str]] = (),
    ) -> Sequence[Mapping[str, Any] | None]:
        """Every element of each item: matched with what, unsupported, or missing; none with compat."""
        if references is not None:
            return [None] * len(captions)
        known = words.vocabulary(self.synonyms)
        found = self.matches(said, there, said_vectors, there_vectors)
        return [
            described(one, captions[i], known, self._labelled(one, tags, i)) if any(one.there.values()) else None
            for i, one in enumerate(found)
        ]

    def matches(
        self, said: Sequence[Parse], there: Ragged[list[Parse]], said_vectors: Any = None, there_vectors: Any = None
    ) -> list[Matched]:
        """Both graphs of each item and their pairs; arguments as for ``rows``."""
        known = words.vocabulary(self.synonyms)
        soft = Soft(both(said_vectors, there_vectors), self.near) if self.soft else None
        found = []
        for i, own in enumerate(said):
            texts = there.values[there.offsets[i] : there.offsets[i + 1]]
            found.append(matched(graph([own], known), graph(texts, known), known, soft))
        return found

    def reduce(self, sums: Mapping[str, Array]) -> Mapping[str, Array]:
        """Means over the items in which there is something to divide by; hallucinated share of all that is said."""
        if self.compat:
            return {name: total / sums["items"] for name, total in sums.items() if name != "items"}
        with np.errstate(invalid="ignore", divide="ignore"):
            means = {name: sums[f"sum:{name}"] / sums[f"n:{name}"] for name in PARTIAL}
            means["hallucinated_share"] = sums["hallucinated"] / sums["said"]
        plain = {name: sums[name] / sums["items"] for name in ("elements", "hallucinated", "missed")}
        return {**plain, **means}

    def _row(self, one: Matched, labelled: int) -> dict[str, float]:
        """An item's numbers, and the parts of the means."""
        kinds = {name: one.kind(name) for name in KINDS}
        row: dict[str, float] = {}
        given: dict[str, bool] = {}
        for side, has in (("precision", "said"), ("recall", "there"), ("f1", "")):
            values = {name: float(getattr(kind, side)) for name, kind in kinds.items()}
            total = weighted(values, kinds, self.weights, has)
            total_name = "elements" if side == "f1" else side
            row[total_name] = 0.0 if np.isnan(total) else total
            given[total_name] = not np.isnan(total)
            for name, kind in kinds.items():
                column = name if side == "f1" else f"{name}_{side}"
                row[column] = values[name]
                given[column] = bool(getattr(kind, has) if has else kind.said or kind.there)
        made_up = sum(len(one.unsupported(name)) for name in KINDS) - labelled
        n_said = sum(kind.said for kind in kinds.values())
        row["hallucinated"] = made_up
        row["hallucinated_share"] = made_up / n_said if n_said else 0.0
        row["missed"] = sum(len(one.missing(name)) for name in KINDS)
        row |= {f"sum:{name}": row[name] * given[name] for name in PARTIAL}
        row |= {f"n:{name}": float(given[name]) for name in PARTIAL}
        return row | {"said": n_said, "items": 1.0}

    def _captured(
        self,
        captions: Sequence[str],
        said: Sequence[Parse],
        there: Ragged[list[Parse]],
        references: Ragged[list[str]],
        vectors: Mapping[str, Floats],
    ) -> Mapping[str, Array]:
        """CAPTURE's numbers of each item; NaN without references."""
        language = capture.language()
        columns = [name for name in Elements.columns if name in CAPTURED]
        table = np.full((len(captions), len(columns)), np.nan)
        for i, text in enumerate(captions):
            span = range(int(there.offsets[i]), int(there.offsets[i + 1]))
            refs = [capture.read(there.values[k], references.values[k], language) for k in span]
            found = capture.against(capture.read(said[i], text, language), refs, language, vectors, self.weights)
            table[i] = [found.get(name, np.nan) for name in columns]
        made = dict(zip(columns, table.T, strict=True))
        total = made.pop("capture")
        return {
            "capture" if self.is_capture else "elements": total,
            **made,
            "items": np.where(np.isnan(total), np.nan, 1),
        }

    def _labelled(self, one: Matched, tags: Sequence[Mapping[str, str]], i: int) -> list[int]:
        """The objects of a caption that are in no reference and among the image's labels."""
        if not self.labels:
            return []
        known = words.vocabulary(self.synonyms)
        names = [known.noun(name) for name in re.split(r"[;\n]", tags[i].get(self.labels, "")) if name.strip()]
        return [
            k
            for k in one.unsupported("objects")
            if any(known.level(form[0], name) for form in one.said["objects"][k].forms for name in names)
        ]


PARTIAL = tuple(
    name
    for name in Elements.columns
    if name not in ("elements", "hallucinated", "hallucinated_share", "missed", "capture")
)
CAPTURED = frozenset(PARTIAL) - {"precision", "recall"} | {"capture"}


def both(said_vectors: Any, there_vectors: Any) -> Mapping[str, Floats]:
    """The vectors by phrase, however they were folded."""
    found: dict[str, Floats] = {}
    for given in (said_vectors, there_vectors):
        found |= given.values if isinstance(given, Ragged) else given
    return found
