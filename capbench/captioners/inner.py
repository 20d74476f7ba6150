"""Captioners and a scorer inside another captioner: loaded from their specs, told apart by names, refused in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capbench import plugins
from capbench.errors import UsageError
from capbench.needs import AllCaptions, Bags, Captions, Frequencies, References
from capbench.protocols import Need, Problem
from capbench.signature import of_metric

NO_ORACLE = "take a metric of picture and caption, as clip_cosine; oracle=True states that it is an upper bound"


@dataclass(frozen=True, slots=True)
class Inner:
    """A captioner that gives candidates, where it came from, and its name among the others."""

    value: Any
    origin: str
    label: str

    @property
    def fingerprint(self) -> str:
        """What stands for it in identities; what its backends add is added by the engine."""
        return str(self.value.fingerprint()) + (f"+{self.origin}" if self.origin else "")


@dataclass(frozen=True, slots=True)
class Scorer:
    """A metric that scores one caption of one picture. sign: 1 where high is better, -1 where low is."""

    metric: Any
    origin: str
    column: str
    sign: int

    @property
    def needs(self) -> Mapping[str, Need]:
        """The metric's needs."""
        needs: Mapping[str, Need] = self.metric.needs
        return needs

    @property
    def signature(self) -> str:
        """The metric's fields and version; the fingerprint of its encoder is added by the engine."""
        stated = self.metric.stated().items() if hasattr(self.metric, "stated") else ()
        return of_metric(self.metric, self.origin, {}, stated).text


def load_inner(name: str, specs: Any) -> tuple[Inner, ...]:
    """The captioners behind some specs or files of captions; equal names get a number.

    Raises:
        UsageError: no spec, something that is none, or one that cannot be loaded.
    """
    listed = [specs] if isinstance(specs, str) else specs
    if not isinstance(listed, Sequence) or not listed or not all(isinstance(spec, str) for spec in listed):
        cure = f"write {name}(captioners=['a.json', 'nearest']): specs, or files with captions, each in quotes"
        raise UsageError(f"{name}: captioners={specs!r}", cure)
    loaded = [plugins.load("captioners", spec) for spec in map(captioner_spec, listed)]
    labels = [label_of(one.value, captioner_spec(spec)) for one, spec in zip(loaded, listed, strict=True)]
    alike, seen = Counter(labels), Counter[str]()
    inner = []
    for one, label in zip(loaded, labels, strict=True):
        seen[label] += 1
        inner.append(Inner(one.value, one.origin, f"{label} ({seen[label]})" if alike[label] > 1 else label))
    return tuple(inner)


def load_scorer(name: str, spec: str, *, oracle: bool) -> Scorer:
    """The metric that chooses.

    Raises:
        UsageError: it needs references and ``oracle`` does not allow it, it compares captions with each other, or no
            way of it is better.
    """
    metric, origin = plugins.load("metrics", spec)
    roots = [root(need) for need in metric.needs.values()]
    if any(isinstance(need, References | Frequencies) for need in roots) and not oracle:
        raise UsageError(f"{name}: {spec} needs references, which choosing by it would give away", NO_ORACLE)
    if any(isinstance(need, AllCaptions | Bags) for need in roots) or getattr(metric, "pooled", False):
        cure = "take a metric that scores one caption of one picture, as clip_cosine"
        raise UsageError(f"{name}: {spec} compares captions with each other", cure)
    if not any(isinstance(need, Captions) for need in roots):
        raise UsageError(f"{name}: {spec} does not look at the caption", "take a metric that does, as clip_cosine")
    directed = [(key, column.better) for key, column in metric.columns.items() if column.better != "none"]
    if not directed:
        raise UsageError(f"{name}: no way of {spec} is better", "take a metric of which high or low is better")
    column, better = directed[0]
    return Scorer(metric, origin, column, 1 if better == "high" else -1)


def root(need: Any) -> Need:
    """The fact that a need is made from in the end."""
    found: Need = root(need.of) if hasattr(need, "of") else need
    return found


def lacking(inner: Sequence[Inner], *others: tuple[str, Any]) -> Problem | None:
    """What some parts lack, all of it in one; others: (name, part) pairs, asked if they can be."""
    asked = [(one.label, one.value) for one in inner] + [pair for pair in others if hasattr(pair[1], "check")]
    found = [(name, problem) for name, part in asked if (problem := part.check()) is not None]
    if not found:
        return None
    cures = dict.fromkeys(problem.cure for _, problem in found)
    return Problem("; ".join(f"{name}: {problem.what}" for name, problem in found), "; ".join(filter(None, cures)))


def captioner_spec(text: str) -> str:
    """A spec as it is; the path of a file with captions as file(path=...).

    Raises:
        UsageError: it looks like a file and is none.
    """
    if Path(text).is_file() and not text.endswith(".py"):
        return f"file(path={text!r})"
    is_path = "/" in text or text.endswith((".json", ".jsonl", ".csv", ".gz"))
    if is_path and "(" not in text and ":" not in text and text.count("/") != 1:
        raise UsageError(f"there is no file {text}")
    return text


def label_of(captioner: Any, spec: str) -> str:
    """The name in tables: the captioner's own label, else its name with the values it was given."""
    own = getattr(captioner, "label", "")
    if own:
        return str(own)
    parsed = plugins.parse(spec)
    if captioner.name == "file":
        params = dict(parsed.params)
        return str(params.get("field") or Path(str(params["path"])).stem).rpartition(".")[2]
    values = [str(value) for value in parsed.params.values()]
    return "-".join([str(captioner.name), *values])
