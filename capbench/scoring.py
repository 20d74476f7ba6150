"""From features to numbers: rows of each metric, masked where an item failed, and their summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capbench import stats
from capbench.bags import bag_digest
from capbench.errors import CapbenchError
from capbench.facts import Facts, bag_set
from capbench.needs import Bags, Frequencies, Images, References
from capbench.protocols import Metric, Need
from capbench.resolve import Bound, Features, closure, frequencies_of, is_derived
from capbench.several import looked_at
from capbench.signature import NAMING_FIELDS, Signature, digest, fields, of_metric
from capbench.tables import Scored
from capbench.types import Caution, Rows, Summary

NO_SCORE = "the metric gave no score"


@dataclass(frozen=True, slots=True)
class Part:
    """A metric of a run: the value, where it came from, its spec and label."""

    metric: Any
    origin: str
    spec: str
    label: str = ""
    headline: bool = False

    @property
    def needs(self) -> Mapping[str, Need]:
        """The metric's needs."""
        needs: Mapping[str, Need] = self.metric.needs
        return needs


def signature_of(part: Part, facts: Facts, bound: Mapping[str, Bound], samples: int = 1) -> Signature:
    """The metric's fields with fingerprints for aliases, and what of the data it used.

    ``data`` is of ids, and of references and picture digests only where the metric uses them; so a
    subset, another split or a reference left out is another signature. ``samples`` says of several captions
    an image whether all were compared or the first was scored.
    """
    needs = closure(part.needs.values())
    with_references = any(isinstance(need, References) for need in needs)
    with_images = any(isinstance(need, Images) for need in needs)
    pairs: list[tuple[str, str]] = list(part.metric.stated().items()) if hasattr(part.metric, "stated") else []
    if with_references:
        counts = facts.references.counts
        least, most = int(counts.min()), int(counts.max())
        pairs.append(("refs", str(most) if least == most else f"{least}-{most}"))
    if samples > 1 and looked_at(needs, samples):
        pairs.append(("samples", looked_at(needs, samples)))
    pairs.append(("data", data_digest(facts, references=with_references, images=with_images)))
    names = {name: b.fingerprint for name, b in bound.items()}
    names |= {need.name: bag_digest(bag_set(facts, need.name).bags) for need in needs if isinstance(need, Bags)}
    frozen = [need for need in needs if isinstance(need, Frequencies) and need.tokenizer in bound]
    names |= {need.source: frequencies_of(need, bound).fingerprint for need in frozen}
    named = {value for key, value in fields(part.metric) if key.endswith(NAMING_FIELDS)}
    hidden = {need.backend for need in needs if is_derived(need)} - named
    pairs += [(name, bound[name].fingerprint) for name in sorted(hidden & bound.keys())]
    return of_metric(part.metric, part.origin, names, pairs)


def data_digest(facts: Facts, *, references: bool, images: bool) -> str:
    """A hash of the items in id order."""
    offsets, values = facts.references.offsets, facts.references.values

    def line(i: int) -> list[object]:
        image = facts.images[i]
        return [
            facts.ids[i],
            values[offsets[i] : offsets[i + 1]] if references else None,
            image.digest if images and image is not None else None,
        ]

    return digest(line(i) for i in sorted(range(len(facts.ids)), key=lambda i: facts.ids[i]))


def score(part: Part, key: str, features: Features) -> Scored:
    """The metric's rows under their key; of sample 0 all: a metric gives an image one number, whatever it looks at.

    A metric that raises has no score for any item, with its words as the reason: it does not cost the others theirs.
    """
    rows, items, reasons = score_once(part, features)
    return Scored(key, Rows(rows.columns, items, rows.bags), reasons, np.zeros(len(items), np.int64))


def score_once(part: Part, features: Features) -> tuple[Rows, Any, dict[int, str]]:
    """Rows, the item of each row, and row -> reason."""
    n = len(features.facts.ids)
    own: Any = ()
    try:
        rows = checked(part.metric, part.metric.rows(**arguments(part, features)), n)
        if hasattr(part.metric, "reasons"):
            own = part.metric.reasons(**arguments(part, features))
    except Exception as error:  # noqa: BLE001 -- a plugin's metric may raise anything
        why = one_line(error) if isinstance(error, CapbenchError) else f"{type(error).__name__}: {error}"
        rows = Rows({name: np.full(n, np.nan) for name in part.metric.columns})
        return rows, np.arange(n), dict.fromkeys(range(n), f"{part.metric.name} failed: {why}")
    items = np.arange(n) if rows.items is None else rows.items
    failed: dict[int, str] = {}
    for need in part.needs.values():
        failed |= features.failures(need)
    reasons = {row: failed[item] for row, item in enumerate(items.tolist()) if item in failed}
    masked = np.isin(items, np.array(list(failed), np.int64))
    columns = {name: np.where(masked, np.nan, column) for name, column in rows.columns.items()}
    shown = [columns[name] for name in part.metric.columns if name in columns]
    holes = np.flatnonzero(np.any(np.isnan(shown), axis=0))
    for row in holes.tolist():
        reasons.setdefault(row, (own[items[row]] if own else "") or NO_SCORE)
    return Rows(columns, items, rows.bags), items, reasons


def arguments(part: Part, features: Features) -> dict[str, Any]:
    """What the metric's methods get."""
    return {name: features.argument(need) for name, need in part.needs.items()}


def one_line(error: CapbenchError) -> str:
    """The message, and the cure in brackets."""
    return error.message + (f" ({error.cure})" if error.cure else "")


def caution_of(part: Part, scored: Scored, features: Features) -> Caution | None:
    """What the metric has to say of its numbers, if there are any; one that fails at that is marked for it."""
    if not hasattr(part.metric, "caution") or all(np.isnan(c).all() for c in scored.rows.columns.values()):
        return None
    try:
        said: Caution | None = part.metric.caution(**arguments(part, features))
    except Exception as error:  # noqa: BLE001 -- a plugin's metric may raise anything, and its rows are there
        return Caution("caution failed", f"{part.metric.name}: its caution failed: {type(error).__name__}: {error}")
    return said


def details_of(part: Part, features: Features) -> tuple[list[Mapping[str, Any] | None], str]:
    """What the metric says of each item, None where nothing; and why there is nothing at all, if that is a fault.

    An item that has failed has no details: what it would be said of is not there.
    """
    n = len(features.facts.ids)
    if not hasattr(part.metric, "details"):
        return [None] * n, ""
    failed = {item for need in part.needs.values() for item in features.failures(need)}
    try:
        said = list(part.metric.details(**arguments(part, features)))
        if len(said) != n:
            raise CapbenchError(f"{len(said)} for {n} items")  # noqa: TRY301 -- a fault like those it may raise itself
        plain = [None if one is None else json.loads(json.dumps(one, allow_nan=False)) for one in said]
    except Exception as error:  # noqa: BLE001 -- a plugin's metric may raise anything, and its rows are there
        return [None] * n, f"{part.metric.name}: its details failed: {type(error).__name__}: {error}"
    return [None if item in failed else one for item, one in enumerate(plain)], ""


def checked(metric: Metric, answer: Any, n: int) -> Rows:
    """The metric's answer as Rows of float64.

    Raises:
        CapbenchError: a declared shape is not kept.
    """
    rows = answer if isinstance(answer, Rows) else Rows(dict(answer))
    columns = {name: np.asarray(column, np.float64) for name, column in rows.columns.items()}
    length = n if rows.items is None else len(rows.items)
    if any(np.isinf(column).any() for column in columns.values()):
        raise CapbenchError(f"{metric.name} gave an infinite number")
    if not columns or any(column.shape != (length,) for column in columns.values()):
        shapes = {name: column.shape for name, column in columns.items()}
        raise CapbenchError(f"{metric.name} gave columns of shapes {shapes} for {length} rows")
    if not set(columns) & set(metric.columns):
        raise CapbenchError(f"{metric.name} gave {', '.join(columns)} and declares {', '.join(metric.columns)}")
    if hasattr(metric, "reduce"):  # tried here, where an error costs the metric and not the run
        with np.errstate(invalid="ignore", divide="ignore"):
            folded = metric.reduce({name: np.nansum(column, keepdims=True) for name, column in columns.items()})
        if not set(folded) <= set(columns):
            raise CapbenchError(f"{metric.name} folds into {', '.join(folded)} and gives rows of {', '.join(columns)}")
    if hasattr(metric, "overall"):
        metric.overall(columns)
    return Rows(columns, rows.items, rows.bags)


def intervals(scored: Sequence[tuple[Part, Scored]]) -> list[dict[str, stats.Interval]]:
    """Every column's score and interval; all metrics share the resamples that they can."""
    sums = []
    for part, one in scored:
        anything = any(not np.isnan(column).all() for column in one.rows.columns.values())
        sums.append(stats.UnitSums.of(one.rows, getattr(part.metric, "reduce", None) if anything else None))
    return stats.intervals_together(sums)


def beyond_sums(part: Part, scored: Scored) -> dict[str, stats.Interval]:
    """The metric's numbers that no sum gives, without intervals."""
    columns = scored.rows.columns
    if not hasattr(part.metric, "overall") or all(np.isnan(column).all() for column in columns.values()):
        return {}
    return {name: stats.Interval(value, np.nan, np.nan) for name, value in part.metric.overall(columns).items()}


def label_of(part: Part, column: str) -> str:
    """What a column of a metric is called in tables."""
    own: str = part.metric.columns[column].label
    return f"{part.label} {own}" if part.label and len(part.metric.columns) > 1 else part.label or own


def summarise(
    part: Part, scored: Scored, found: Mapping[str, stats.Interval], signature: Signature, facts: Facts,
    about: Mapping[str, int], mark: str,
) -> list[Summary]:  # fmt: skip
    """One Summary for each declared column. about: how many captions are ``empty`` and ``cut``."""
    items = np.arange(len(facts.ids)) if scored.rows.items is None else scored.rows.items
    outside = len(facts.ids) - len(np.unique(items))
    found = {**found, **beyond_sums(part, scored)}
    unscored = next(iter(scored.rows.columns.values()))
    made = []
    for name, column in part.metric.columns.items():
        if name not in found:
            continue
        holes = int(np.isnan(scored.rows.columns.get(name, unscored)).sum())
        value, low, high = (x if np.isfinite(x) else None for x in found[name])
        made.append(
            Summary(
                metric=part.metric.name, column=name, label=label_of(part, name), better=column.better, value=value,
                low=low, high=high, n=len(scored.samples) - holes, unscored=holes, outside=outside,
                empty=about["empty"], cut=about["cut"], signature=signature.text, short=signature.short, mark=mark,
            )
        )  # fmt: skip
    return made
