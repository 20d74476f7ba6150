"""From features to numbers: rows of each metric, masked where an item failed, and their summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from capbench import stats
from capbench.bags import bag_digest
from capbench.errors import CapbenchError
from capbench.facts import Facts, bag_set
from capbench.needs import Bags, Images, References
from capbench.protocols import Metric, Need
from capbench.resolve import Bound, Features, closure, is_derived
from capbench.signature import NAMING_FIELDS, Signature, digest, fields, of_metric
from capbench.tables import Scored
from capbench.types import Rows, Summary

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
    subset, another split or a reference left out is another signature.
    """
    needs = closure(part.needs.values())
    with_references = any(isinstance(need, References) for need in needs)
    with_images = any(isinstance(need, Images) for need in needs)
    pairs: list[tuple[str, str]] = list(part.metric.stated().items()) if hasattr(part.metric, "stated") else []
    if with_references:
        counts = facts.references.counts
        least, most = int(counts.min()), int(counts.max())
        pairs.append(("refs", str(most) if least == most else f"{least}-{most}"))
    if samples > 1:
        pairs.append(("samples", str(samples)))
    pairs.append(("data", data_digest(facts, references=with_references, images=with_images)))
    names = {name: b.fingerprint for name, b in bound.items()}
    names |= {need.name: bag_digest(bag_set(facts, need.name).bags) for need in needs if isinstance(need, Bags)}
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


def score(part: Part, key: str, samples: Sequence[Features]) -> Scored:
    """The metric's rows on each sample of the captions, one after the other.

    With several samples an image, the resampling unit is the image. A metric that raises has no score
    for any item, with its words as the reason: it does not cost the others theirs.
    """
    parts = [score_once(part, features) for features in samples]
    broken = [one for one in parts if one[2].get(0, "").startswith(f"{part.metric.name} failed: ")]
    if broken:
        parts = [broken[0]] * len(parts)
    n_samples = [len(items) for _, items, _ in parts]
    starts = np.concatenate([[0], np.cumsum(n_samples)])
    reasons = {
        int(start) + row: why for start, (_, _, own) in zip(starts, parts, strict=False) for row, why in own.items()
    }
    names = list(parts[0][0].columns)
    columns = {name: np.concatenate([rows.columns[name] for rows, _, _ in parts]) for name in names}
    items = np.concatenate([items for _, items, _ in parts])
    first = parts[0][0].bags
    bags = None if first is None else np.concatenate([rows.bags for rows, _, _ in parts if rows.bags is not None])
    if first is None and len(parts) > 1:
        bags = items
    numbers = np.repeat(np.arange(len(parts)), n_samples).astype(np.int64)
    return Scored(key, Rows(columns, items, bags), reasons, numbers)


def score_once(part: Part, features: Features) -> tuple[Rows, Any, dict[int, str]]:
    """Rows, the item of each row, and row -> reason."""
    n = len(features.facts.ids)
    try:
        rows = checked(
            part.metric, part.metric.rows(**{k: features.argument(need) for k, need in part.needs.items()}), n
        )
    except Exception as error:  # noqa: BLE001 -- a plugin's metric may raise anything
        why = error.message if isinstance(error, CapbenchError) else f"{type(error).__name__}: {error}"
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
        reasons.setdefault(row, NO_SCORE)
    return Rows(columns, items, rows.bags), items, reasons


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
    return Rows(columns, rows.items, rows.bags)


def summarise(
    part: Part, scored: Scored, signature: Signature, facts: Facts, about: Mapping[str, int], mark: str
) -> list[Summary]:
    """One Summary for each declared column. about: how many captions are ``empty`` and ``cut``."""
    anything = any(not np.isnan(column).all() for column in scored.rows.columns.values())
    reduce = getattr(part.metric, "reduce", None) if anything else None
    found = stats.intervals(scored.rows, reduce)
    unscored = next(iter(scored.rows.columns.values()))
    items = np.arange(len(facts.ids)) if scored.rows.items is None else scored.rows.items
    outside = len(facts.ids) - len(np.unique(items))
    whole = part.metric.overall(scored.rows.columns) if anything and hasattr(part.metric, "overall") else {}
    found |= {name: stats.Interval(value, np.nan, np.nan) for name, value in whole.items()}
    made = []
    for name, column in part.metric.columns.items():
        if name not in found:
            continue
        holes = int(np.isnan(scored.rows.columns.get(name, unscored)).sum())
        value, low, high = (x if np.isfinite(x) else None for x in found[name])
        label = (
            f"{part.label} {column.label}"
            if part.label and len(part.metric.columns) > 1
            else part.label or column.label
        )
        made.append(
            Summary(
                metric=part.metric.name, column=name, label=label, better=column.better, value=value, low=low,
                high=high, n=len(scored.samples) - holes, unscored=holes, outside=outside, empty=about["empty"],
                cut=about["cut"], signature=signature.text, short=signature.short, mark=mark,
            )
        )  # fmt: skip
    return made
