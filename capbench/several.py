"""Several captions an image: how many there are, and which of them a metric looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from capbench.benchmark import Benchmark
from capbench.errors import UsageError
from capbench.needs import AllCaptions, Captions
from capbench.protocols import Need
from capbench.types import Caption

SAMPLE = "models sample with --temperature above 0"
CURE = "give several captions an image: --samples K (a file holds a list of K for each image, or K entries)"


def wanted_samples(captioner: Any, label: str, benchmark: Benchmark, asked: int) -> int:
    """Captions an image: what is asked for (0: nothing), or what the file states, or the benchmark; else one.

    Raises:
        UsageError: two of these differ, or the captioner has one caption an image and several are wanted.
    """
    own = getattr(captioner, "samples", 1)
    stated = {
        "--samples": asked,
        label: own if own > 1 else 0,
        benchmark.name: benchmark.captions_each if benchmark.captions_each > 1 else 0,
    }
    stated = {who: n for who, n in stated.items() if n}
    if len(set(stated.values())) > 1:
        counts = ", ".join(f"{who} states {n}" for who, n in stated.items())
        raise UsageError(f"how many captions an image? {counts}", "state the same number, or state it once")
    samples = next(iter(stated.values()), 1)
    refuse_more_than_it_has(captioner, label, samples)
    return samples


def refuse_more_than_it_has(captioner: Any, label: str, samples: int) -> None:
    """Refuse to ask a captioner with one caption an image, or one inside another, for several."""
    for one in getattr(captioner, "inner", ()):
        refuse_more_than_it_has(one.value, one.label, samples * captioner.n)
    if samples > 1 and hasattr(captioner, "needs") and not hasattr(captioner, "sampled"):
        what = f"{label} gives one caption an image, and {samples} are wanted"
        raise UsageError(what, "take another captioner, or --samples 1")


def left_out(captioner: Any, benchmark: Benchmark, samples: int) -> tuple[int, str]:
    """How many references of an image are not scored against, and the mark of numbers that lack more than others do.

    A benchmark may leave one out for all; a captioner whose captions are references takes away as many as it says.
    """
    by_rule = 1 if benchmark.refs == "leave-one-out" else 0
    own = taken(captioner, samples)
    mark = "" if own <= by_rule else "leave-one-out" if own == 1 else f"leave-{own}-out"
    return max(by_rule, own), mark


def taken(captioner: Any, samples: int) -> int:
    """How many references of an image a captioner, or one inside it, gives away as captions."""
    inner = [taken(one.value, samples * captioner.n) for one in getattr(captioner, "inner", ())]
    return max([samples if getattr(captioner, "leaves_one_out", False) else 0, *inner])


def compares(needs: Iterable[Need]) -> bool:
    """Whether a metric with these needs compares the captions of an image with each other."""
    return any(isinstance(need, AllCaptions) for need in needs)


def looked_at(needs: Sequence[Need], samples: int) -> str:
    """Which of several captions an image a metric with these needs looks at: "5", "first of 5", or "" for none."""
    if compares(needs):
        return str(samples)
    return f"first of {samples}" if any(isinstance(need, Captions) for need in needs) else ""


def empty_captions(needs: Sequence[Need], captions: Iterable[Caption]) -> int:
    """How many of the captions that a metric with these needs looks at have no letter and no digit."""
    if not looked_at(needs, 1):
        return 0
    seen = [c.text for c in captions if c.text is not None and (c.sample == 0 or compares(needs))]
    return sum(not any(ch.isalnum() for ch in text) for text in seen)


def notes_on(captions: Sequence[Caption], samples: int) -> list[str]:
    """What a reader of the numbers should know of the captions: how many failed, and whether anything was sampled."""
    failed = sum(c.text is None for c in captions)
    notes = [f"{failed} of {len(captions)} captions failed"] if failed else []
    if samples > 1 and one_text((c.id, c.text) for c in captions):
        notes.append(f"the {samples} captions of each image are one text; {SAMPLE}")
    return notes


def one_text(texts: Iterable[tuple[str, str | None]]) -> bool:
    """Whether all texts of an image are one, for every image. texts: (id, text) pairs."""
    found: dict[str, set[str | None]] = {}
    for id_, text in texts:
        found.setdefault(id_, set()).add(text)
    return all(len(own) == 1 for own in found.values())
