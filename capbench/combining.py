"""Captioners made of others: candidates from each, a score for each, and one caption an item.

Candidates are kept as a run keeps captions, in a folder of their own below the run's, so that a run which was killed
goes on; a finished or unfinished run of the same captioner on the same items lends what it has. One captioner is open
at a time, then the scorer's encoder; its values are in the cache that the metrics of the run look into.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from capbench import several, store
from capbench.cache import Cache
from capbench.captioners.fuse import NOT_FUSED, Pair
from capbench.captioning import as_caption, from_session, unlike
from capbench.details import FOLDER
from capbench.errors import BadData, CapbenchError
from capbench.facts import Facts
from capbench.needs import AllCaptions, Captions
from capbench.protocols import Need
from capbench.resolve import Bound, Features, Work, closure, is_derived, resolve, root
from capbench.scoring import checked
from capbench.store import Identity
from capbench.types import Caption, Failure, Noted

CANDIDATES = "candidates"
CHOICES = "choices"
SPENT = ("tokens_in", "tokens_out", "cost")
Key = tuple[str, int]
Keep = Callable[[Sequence[Caption]], None]


class Make(Protocol):
    """The engine's way from a captioner to captions: those that are not done, each given to ``keep``."""

    def __call__(
        self, captioner: Any, samples: int, done: Sequence[Caption], keep: Keep, folder: Path | None
    ) -> Sequence[Caption]:
        """The captions that were made."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What candidates are made and scored with. folder: where this captioner's captions are kept (None: nowhere).

    root: the folder with the benchmark's runs. notes: what a reader of the numbers should know; it is added to.
    retry_failed: whether candidates that failed are asked for again, where the caption they are for is not there.
    """

    identity: Identity
    judged: Facts
    bound: Mapping[str, Bound]
    cache: Cache
    device: str
    folder: Path | None
    root: Path | None
    make: Make
    notes: list[str]
    retry_failed: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One caption that could be chosen. score: None where it is passed over, and ``reason`` says why."""

    captioner: str
    sample: int
    text: str | None
    score: float | None
    reason: str
    seconds: float
    noted: Noted = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """The candidates of one caption, as they were listed, and the places of those with a score, the best first."""

    id: str
    sample: int
    candidates: tuple[Candidate, ...]
    best: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """What the candidates took."""
        return sum(candidate.seconds for candidate in self.candidates)

    @property
    def noted(self) -> Noted:
        """What the candidates took together, and how the best one ended."""
        ended = "".join(str(self.candidates[place].noted.get("finish", "")) for place in self.best[:1])
        return {**together([c.noted for c in self.candidates]), **({"finish": ended} if ended else {})}

    def passed_over(self) -> str:
        """Which candidates were passed over, and why; "" where none was."""
        return "; ".join(f"{c.captioner}: {c.reason}" for c in self.candidates if c.score is None)


def together(noted: Sequence[Noted]) -> dict[str, int | float | str]:
    """Tokens and cost of several answers as one."""
    sums = {name: sum(float(one.get(name, 0)) for one in noted) for name in SPENT}
    return {name: value if name == "cost" else int(value) for name, value in sums.items() if value}


def combines(captioner: Any) -> bool:
    """Whether a captioner is made of others."""
    return hasattr(captioner, "inner") and hasattr(captioner, "scorer")


def asks(captioner: Any) -> bool:
    """Whether a model is asked for captions, which may answer another time."""
    return any(asks(one.value) for one in captioner.inner) if combines(captioner) else not hasattr(captioner, "needs")


def needs_of(captioner: Any) -> list[Need]:
    """What a captioner needs of the benchmark, and what those inside it need."""
    if not combines(captioner):
        return list(captioner.needs.values()) if hasattr(captioner, "needs") else []
    return [*captioner.scorer.needs.values(), *(need for one in captioner.inner for need in needs_of(one.value))]


def fingerprint_of(captioner: Any, origin: str, bound: Mapping[str, Bound]) -> str:
    """A captioner's fingerprint with where it came from and what its needs are made by."""
    backends = (need.backend for need in closure(needs_of(captioner)) if is_derived(need))
    made_by = "".join(f"|{name}={bound[name].fingerprint}" for name in backends)
    return str(captioner.fingerprint()) + (f"+{origin}" if origin else "") + made_by


def combine(captioner: Any, samples: int, done: Sequence[Caption], setting: Setting, keep: Keep) -> list[Caption]:
    """The captions that are not done yet, chosen among the candidates of the captioners inside.

    Raises:
        CapbenchError: a captioner inside or the scorer never worked.
    """
    have = {(c.id, c.sample) for c in done}
    wanted = {(id_, sample) for id_ in setting.judged.ids for sample in range(samples)} - have
    made: list[Caption] = []
    choices = read_choices(setting.folder) if setting.folder is not None else []
    if wanted or not choices:
        before = {key: c for c in choices if (key := (c.id, c.sample)) not in wanted}
        again = {(id_, k) for id_, s in wanted if setting.retry_failed for k in inner_samples(s, captioner.n)}
        answers = [candidates(one, samples * captioner.n, setting, again) for one in captioner.inner]
        choices = [before.get((c.id, c.sample), c) for c in chosen(captioner, samples, answers, setting)]
        if setting.folder is not None:
            write_choices(setting.folder, choices)
    left = [choice for choice in choices if (choice.id, choice.sample) in wanted]
    if hasattr(captioner, "fuser"):
        made = fused(captioner, left, setting.device, keep)
    elif left:
        made = [caption_of(choice) for choice in left]
        keep(made)
    setting.notes.extend(notes_on(captioner, choices))
    if hasattr(captioner, "notes_on"):
        setting.notes.extend(captioner.notes_on([*done, *made]))
    return made


def inner_samples(sample: int, n: int) -> range:
    """The samples of a captioner inside of which one is chosen for a sample."""
    return range(sample * n, (sample + 1) * n)


def candidates(one: Any, each: int, setting: Setting, again: set[Key]) -> dict[Key, Caption]:
    """All captions of one captioner inside: from its folder, from a run of its own, and the rest made now.

    again: those that count as not made where they failed; until there is another answer the failure stands.
    """
    fingerprint = fingerprint_of(one.value, one.origin, setting.bound)
    identity = replace(setting.identity, captioner=fingerprint, samples=each)
    known: dict[Key, Caption] = {}
    with contextlib.ExitStack() as stack:
        log: Keep = forget
        folder = None
        others: dict[Key, Caption] = {}
        if setting.root is not None:
            for path in sorted(setting.root.glob(f"*-{identity.short}/{store.CAPTIONS}")):
                others |= by_key(lent(path))
        if setting.folder is not None:
            folder = setting.folder / CANDIDATES / f"{store.slug(one.label)}-{identity.short}"
            folder.mkdir(parents=True, exist_ok=True)
            known |= by_key(store.recover_captions(folder))
            opened = store.CaptionLog(folder)
            stack.callback(opened.close)
            log = opened.append
        failed = failures(known, again)
        lent_now = [c for key, c in others.items() if key not in known or (key in failed and c.text is not None)]
        log(lent_now)  # the other run may go
        known |= by_key(lent_now)
        failed = failures(known, again)
        done = [caption for key, caption in known.items() if key not in failed]
        made = setting.make(one.value, each, done, lambda made: log(unlike(made, failed)), folder)
        known |= by_key(unlike(made, failed))
    return known


def failures(known: Mapping[Key, Caption], again: set[Key]) -> dict[Key, str]:
    """The captions that failed among those to be asked for again, with their reasons."""
    return {key: caption.reason for key, caption in known.items() if key in again and caption.text is None}


def lent(path: Path) -> tuple[Caption, ...]:
    """The whole lines of another run's captions, which may be under way."""
    data = path.read_bytes()
    return store.parse_captions(data[: data.rfind(b"\n") + 1], path)


def by_key(captions: Iterable[Caption]) -> dict[Key, Caption]:
    """Captions by item and sample."""
    return {(c.id, c.sample): c for c in captions}


def forget(_: Sequence[Caption]) -> None:
    """Keep nothing: the run is not written."""


def chosen(captioner: Any, samples: int, answers: Sequence[Mapping[Key, Caption]], setting: Setting) -> list[Choice]:
    """One choice an item and sample, in the order of samples and items."""
    slots: dict[tuple[int, int], list[Candidate]] = {}
    first: Features | None = None
    for k, one in enumerate(captioner.inner):
        for sample in range(samples * captioner.n):
            captions = [answers[k][id_, sample] for id_ in setting.judged.ids]
            scores, reasons, first = scored(captioner.scorer, captions, setting, first)
            slots[k, sample] = [
                Candidate(one.label, sample, c.text, score, c.reason if c.text is None else why, c.seconds, c.noted)
                for c, score, why in zip(captions, scores, reasons, strict=True)
            ]
    choices = []
    for sample in range(samples):
        listed = [slots[k, s] for k in range(len(captioner.inner)) for s in inner_samples(sample, captioner.n)]
        for i, id_ in enumerate(setting.judged.ids):
            of_item = tuple(slot[i] for slot in listed)
            known = [
                (-captioner.scorer.sign * c.score, place) for place, c in enumerate(of_item) if c.score is not None
            ]
            choices.append(Choice(id_, sample, of_item, tuple(place for _, place in sorted(known))))
    return choices


def scored(
    scorer: Any, captions: Sequence[Caption], setting: Setting, first: Features | None
) -> tuple[list[float | None], list[str], Features]:
    """One caption an item scored by the metric that chooses; None with a reason where it has no score.

    first: features of another set of captions of the same items; what is not of captions is taken from there.

    Raises:
        CapbenchError: the metric fails, or gives other than one row an item.
    """
    texts = tuple(Failure(c.reason) if c.text is None else c.text for c in captions)
    features = Features(replace(setting.judged, captions=texts, each=1))
    for need in closure(scorer.needs.values()):
        if first is not None and is_derived(need) and not isinstance(root(need), Captions | AllCaptions):
            features.keep(need, first.flat(need), Work(need, 0, 0))
    resolve(features, scorer.needs.values(), setting.bound, setting.cache, setting.device)
    arguments = {name: features.argument(need) for name, need in scorer.needs.items()}
    try:
        rows = checked(scorer.metric, scorer.metric.rows(**arguments), len(captions))
    except CapbenchError:
        raise
    except Exception as error:
        raise CapbenchError(f"{scorer.metric.name}, which chooses, failed: {type(error).__name__}: {error}") from error
    if rows.items is not None or scorer.column not in rows.columns:
        raise CapbenchError(f"{scorer.metric.name} cannot choose: it does not score each caption by {scorer.column}")
    failed = {i: why for need in scorer.needs.values() for i, why in features.failures(need).items()}
    values = [None if i in failed or np.isnan(v) else v for i, v in enumerate(rows.columns[scorer.column].tolist())]
    reasons = [
        "" if v is not None else failed.get(i, f"{scorer.metric.name} gave no score") for i, v in enumerate(values)
    ]
    return values, reasons, features


def fused(captioner: Any, choices: Sequence[Choice], device: str, keep: Keep) -> list[Caption]:
    """The two best candidates of each choice made into one, each batch kept as it ends; the best where there is none.

    Raises:
        CapbenchError: the language model will answer nothing more; what was made is kept.
    """
    pairs = {(c.id, c.sample): pair for c in choices if (pair := pair_of(c)) is not None}
    of_key = {(c.id, c.sample): c for c in choices}
    made = [alone(choice) for key, choice in of_key.items() if key not in pairs]
    keep(made)

    def settle(answers: Sequence[Caption]) -> None:
        batch = []
        for answer in answers:
            choice = of_key[answer.id, answer.sample]
            caption = captioner.settled(pairs[answer.id, answer.sample], answer)
            remarks = "; ".join(filter(None, [caption.reason, choice.passed_over()]))
            noted = {**answer.noted, **together([choice.noted, answer.noted])}
            seconds = round(answer.seconds + choice.seconds, 6)
            batch.append(replace(caption, reason=remarks, seconds=seconds, noted=noted))
        keep(batch)
        made.extend(batch)

    requests: Any = list(pairs.values())
    from_session(captioner.fuser, requests, captioner.params, device, settle)
    return made


def pair_of(choice: Choice) -> Pair | None:
    """The best candidate and the next best that says something else; None where no two do."""
    texts = [str(choice.candidates[place].text) for place in choice.best]
    others = [text for text in texts[1:] if text.split() != texts[0].split()]
    return Pair(choice.id, choice.sample, texts[0], others[0]) if others else None


def alone(choice: Choice) -> Caption:
    """The best candidate where there is nothing to fuse it with."""
    made = caption_of(choice)
    if len(choice.best) != 1 or len(choice.candidates) == 1:
        return made
    return replace(made, reason=f"{NOT_FUSED}there is one candidate: {made.reason}")


def caption_of(choice: Choice) -> Caption:
    """The best candidate, with what was passed over as its remark; a failure with every reason where there is none."""
    if choice.best:
        made = as_caption(choice.id, choice.candidates[choice.best[0]].text, choice.seconds, choice.sample)
        return replace(made, reason=choice.passed_over(), noted=choice.noted)
    failed = Failure(f"no candidate: {choice.passed_over()}")
    return replace(as_caption(choice.id, failed, choice.seconds, choice.sample), noted=choice.noted)


def notes_on(captioner: Any, choices: Sequence[Choice]) -> list[str]:
    """How often each captioner's candidate was best, how many were passed over, and whether there was a choice."""
    every = [(choice.id, candidate) for choice in choices for candidate in choice.candidates]
    labels = [one.label for one in captioner.inner]
    won = Counter(choice.candidates[choice.best[0]].captioner for choice in choices if choice.best)
    notes = [f"best by {by(captioner)}, of {len(choices)} captions: {', '.join(f'{x} {won[x]}' for x in labels)}"]
    if len(labels) * captioner.n == 1:
        notes.append(f"{labels[0]}: there is one candidate an image, and nothing to choose; n=5 takes five")
    if captioner.oracle:
        notes.append(f"the references chose, by {captioner.by}: an upper bound, and no captioner's own result")
    for label in labels:
        own = [(id_, candidate) for id_, candidate in every if candidate.captioner == label]
        passed = sum(candidate.score is None for _, candidate in own)
        notes += [f"{label}: {passed} of {len(own)} candidates were passed over"] if passed else []
        if captioner.n > 1 and several.one_text((id_, candidate.text) for id_, candidate in own):
            notes.append(f"{label}: the {captioner.n} candidates of each image are one text; {several.SAMPLE}")
    return notes


def by(captioner: Any) -> str:
    """What chooses; of a metric of several columns which one."""
    columns = captioner.scorer.metric.columns
    directed = [name for name, column in columns.items() if column.better != "none"]
    return f"{captioner.by} ({columns[captioner.scorer.column].label})" if len(directed) > 1 else captioner.by


def forget_candidates(folder: Path) -> None:
    """Remove the candidates of a run."""
    shutil.rmtree(folder / CANDIDATES, ignore_errors=True)


def write_choices(folder: Path, choices: Sequence[Choice]) -> None:
    """Write every candidate with its score, a line a caption; the same choices give the same bytes."""
    target = folder / FOLDER / f"{CHOICES}.jsonl.gz"
    target.parent.mkdir(exist_ok=True)
    lines = [json.dumps(asdict(choice), ensure_ascii=True, allow_nan=False) + "\n" for choice in choices]
    store.write_file(target, gzip.compress("".join(lines).encode(), mtime=0))


def read_choices(folder: Path) -> list[Choice]:
    """What could be chosen for each caption of a run, and with what scores; nothing where the run has no candidates.

    Raises:
        BadData: the file is damaged.
    """
    path = folder / FOLDER / f"{CHOICES}.jsonl.gz"
    if not path.exists():
        return []
    try:
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        return [
            Choice(row["id"], row["sample"], tuple(Candidate(**c) for c in row["candidates"]), tuple(row["best"]))
            for row in rows
        ]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BadData(f"{path} is damaged: {error}", cure="remove it, and run the same command again") from error
