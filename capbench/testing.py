"""Checks for plugin authors: does a part keep the promises of its kind?

Each check returns what it found to hold, and raises CheckFailed with everything that does not. They
run the real machinery on a small drawn world, and call nothing that the part did not ask for.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from capbench import rubrics
from capbench.cache import open_cache
from capbench.errors import CapbenchError
from capbench.images import load
from capbench.needs import Bags
from capbench.protocols import USES, JudgePrompt
from capbench.resolve import closure
from capbench.rubrics import templates
from capbench.scoring import Part, signature_of
from capbench.several import looked_at
from capbench.trial import ITEMS, Findings, Trial, small_world, subset
from capbench.types import Answer, Failure, Generation, ImageRef, Request, Rows, Sample

TOLERANCE = 1e-6
MISSING = "no caption in this test"


def check_metric(metric: Any) -> list[str]:
    """Check a metric (an instance): shape, determinism, permutation, independence, bounds, failures, signature.

    Backends that its needs name and that are not installed are replaced by those of the scenes world,
    bags by blocks of seven.

    Raises:
        CheckFailed: with every promise that is not kept.
    """
    found = Findings()
    name = getattr(metric, "name", type(metric).__name__)
    found.expect(isinstance(getattr(metric, "name", None), str), "name is text")
    found.expect(isinstance(getattr(metric, "version", None), int), "version is an integer")
    found.expect(isinstance(getattr(metric, "columns", None), Mapping), "columns maps names to Columns")
    found.expect(frozen_value(metric), "it is a frozen dataclass with hashable fields", "use @dataclass(frozen=True)")
    if found.failed:
        return found.close(name)
    problem = metric.check() if hasattr(metric, "check") else None
    if problem is not None:
        found.expect(False, "nothing is missing", f"{problem.what}: {problem.cure}")
        return found.close(name)
    needs = dict(metric.needs)
    arguments = inspect.signature(metric.rows).parameters
    required = {name for name, argument in arguments.items() if argument.default is argument.empty}
    agree = required <= set(needs) <= set(arguments)
    found.expect(
        agree,
        "the arguments of rows are the names of its needs",
        f"rows takes {sorted(arguments)}, needs has {sorted(needs)}",
    )
    if not agree:
        return found.close(name)
    with open_cache() as cache:
        trial = Trial(metric, cache)
        check_numbers(found, trial)
    check_signature(found, metric, trial)
    return found.close(name)


def frozen_value(part: Any) -> bool:
    """Whether a part is a frozen dataclass that can be hashed."""
    params = getattr(type(part), "__dataclass_params__", None)
    if params is None or not params.frozen:
        return False
    try:
        hash(part)
    except TypeError:
        return False
    return True


def check_numbers(found: Findings, trial: Trial) -> None:
    """What can be said of rows without knowing the metric."""
    rows = trial.rows()
    metric = trial.metric
    found.expect(same(rows, trial.rows(), 0), "the same input gives the same bits")
    for name, column in metric.columns.items():
        values = rows.columns.get(name)
        if values is None:
            continue
        scored = values[~np.isnan(values)]
        if column.low is not None:
            found.expect(
                (scored >= column.low - TOLERANCE).all(),
                f"{name} is at least {column.low}",
                f"lowest: {scored.min(initial=0)}",
            )
        if column.high is not None:
            found.expect(
                (scored <= column.high + TOLERANCE).all(),
                f"{name} is at most {column.high}",
                f"highest: {scored.max(initial=0)}",
            )
    check_failure(found, trial, rows)
    if rows.bags is not None and not getattr(metric, "pooled", False):
        return
    order = np.random.default_rng(0).permutation(ITEMS)
    found.expect(
        same(pick(rows, order), trial.rows(subset(trial.facts, order)), TOLERANCE),
        "permuting items permutes rows",
    )
    if not getattr(metric, "corpus", False):
        rest = np.arange(1, ITEMS)
        claim = "leaving an item out changes no other row"
        otherwise = "if it must, declare corpus: ClassVar[bool] = True"
        found.expect(same(pick(rows, rest), trial.rows(subset(trial.facts, rest)), TOLERANCE), claim, otherwise)


def check_failure(found: Findings, trial: Trial, before: Rows) -> None:
    """A failed caption is unscored, and moves nothing else; to a pooled metric it is as if the item were not there."""
    captions, last = list(trial.facts.captions), trial.facts.each - 1
    captions[last] = Failure(MISSING)
    after = trial.rows(replace(trial.facts, captions=tuple(captions)))
    first = np.asarray(before.items) == 0
    if looked_at(closure(trial.metric.needs.values()), 1):
        blank = all(np.isnan(column[first]).all() for column in after.columns.values())
        found.expect(blank, "an item without a caption is unscored")
    others = Rows({n: after.columns[n][~first] for n in after.columns})
    if getattr(trial.metric, "pooled", False):
        without = trial.rows(subset(trial.facts, np.arange(1, ITEMS)))
        found.expect(same(without, others, TOLERANCE), "a failed caption is as if its item were not there")
        return
    kept = Rows({n: before.columns[n][~first] for n in before.columns})
    found.expect(same(kept, others, TOLERANCE), "a failed caption moves no other row")


def pick(rows: Rows, order: Any) -> Rows:
    """Some rows in another order."""
    return Rows({name: column[order] for name, column in rows.columns.items()})


def same(first: Rows, second: Rows, tolerance: float) -> bool:
    """Equal columns, NaN where NaN."""
    if set(first.columns) != set(second.columns):
        return False
    return all(
        a.shape == second.columns[n].shape and np.allclose(a, second.columns[n], rtol=0, atol=tolerance, equal_nan=True)
        for n, a in first.columns.items()
    )


def check_signature(found: Findings, metric: Any, trial: Trial) -> None:
    """Each field changes the signature."""

    def text(part: Any) -> str:
        return signature_of(Part(part, "", part.name), trial.facts, {}).text

    plain = text(metric)
    for field in dataclasses.fields(metric):
        other = another(getattr(metric, field.name))
        if other is None or not field.init or field.metadata.get("signed", True) is not True:
            continue  # what is not signed, or is signed by the content of the file that it names
        try:
            changed = replace(metric, **{field.name: other})
            needs = closure(changed.needs.values())
        except (CapbenchError, ValueError, TypeError):
            continue  # a field with few values refuses others, which is its right
        if any(isinstance(need, Bags) and need.name not in trial.facts.bag_sets for need in needs):
            continue
        found.expect(text(changed) != plain, f"the field {field.name} is in the signature")


def another(value: Any) -> Any:
    """A value of the same type that differs, or None."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return value + "x" if isinstance(value, str) else None


def check_backend(backend: Any) -> list[str]:
    """Check a backend: identity, and that its results do not depend on the batch.

    Raises:
        CheckFailed: with every promise that is not kept.
    """
    found = Findings()
    name = getattr(backend, "name", type(backend).__name__)
    if not check_identity(found, backend):
        return found.close(name)
    samples = small_world()
    texts = [sample.references[0] for sample in samples[:7]] + ["", "zxcv qwer", "dogs\x00 \ud800 \U0001f600"]
    pictures = [sample.image for sample in samples[:7] if sample.image] + [ImageRef("no such file", "0")]
    with backend.open("cpu") as session:
        calls = session_calls(backend.kind, session, pictures, texts)
        found.expect(calls, f"{backend.kind} is a known kind of backend")
        for what, call, items in calls:
            check_batches(found, what, call, items)
    return found.close(name)


def session_calls(
    kind: str, session: Any, pictures: Sequence[ImageRef], texts: Sequence[str]
) -> list[tuple[str, Callable[[Sequence[Any]], Sequence[Any]], Sequence[Any]]]:
    """What a session of each kind must do, as calls that give one comparable value an item."""

    def rows_of(encoded: Any) -> list[Any]:
        return [None if i in encoded.failures else np.asarray(row) for i, row in enumerate(encoded.vectors)]

    def pixels(images: Sequence[Any]) -> list[Any]:
        found = [load(image) if isinstance(image, ImageRef) else image for image in images]
        return [None if isinstance(image, Failure) else np.asarray(image, np.float64) for image in found]

    def replies(session: Any, prompts: Sequence[Any]) -> list[Any]:
        found = dict(session.ask(prompts))
        return [getattr(found[i], "text", None) for i in range(len(prompts))]

    calls: dict[str, list[tuple[str, Callable[[Sequence[Any]], Sequence[Any]], Sequence[Any]]]] = {
        "encoder": [
            ("images", lambda part: rows_of(session.images(part)), pictures),
            ("texts", lambda part: rows_of(session.texts(part)), texts),
        ],
        "tokenizer": [("tokenize", lambda part: session.tokenize(part), texts)],  # noqa: PLW0108 -- looked up for its kind only
        "parser": [("parse", lambda part: session.parse(part), texts)],  # noqa: PLW0108 -- the same
        "generator": [("paint", lambda part: pixels(session.paint(part, [0] * len(part))), texts)],
        "judge": [("ask", lambda part: replies(session, part), judge_prompts(pictures, texts))],
        "similarity": [("compare", lambda part: session.compare(part, [pictures[0]] * len(part)), pictures)],
    }
    return calls.get(kind, [])


def judge_prompts(pictures: Sequence[ImageRef], texts: Sequence[str]) -> list[JudgePrompt]:
    """Questions about texts and about pictures, as two shipped rubrics ask them."""
    made = []
    for rubric in (rubrics.load("clair"), rubrics.load("fleur")):
        (step,) = rubric.steps
        for i, text in enumerate(texts):
            image = pictures[i % len(pictures)] if step.shows else None
            values = {"caption": text, "references": texts[:2], "image": image}
            about = {**values, "step": step, "rubric": rubric.name}
            shown = () if image is None else (image,)
            made.append(JudgePrompt(templates.filled(step.prompt, values), "", shown, about=about))
    return made


def check_batches(
    found: Findings, what: str, call: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]
) -> None:
    """One answer an item, the same whether items come alone or together."""
    together = call(items)
    if found.expect(
        len(together) == len(items), f"{what} gives one answer an item", f"{len(together)} for {len(items)}"
    ):
        alone = [call([item])[0] for item in items]
        equal = all(alike(a, b) for a, b in zip(together, alone, strict=True))
        found.expect(equal, f"{what} does not depend on the batch")


def alike(a: Any, b: Any) -> bool:
    """Equal, arrays within rounding."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and np.allclose(a, b, atol=1e-5, equal_nan=True)
    return bool(np.all(a == b))


def check_identity(found: Findings, part: Any) -> bool:
    """name, fingerprint and check, as every part with a session has them; whether nothing is missing."""
    found.expect(isinstance(getattr(part, "name", None), str), "name is text")
    mark = part.fingerprint()
    found.expect(
        isinstance(mark, str) and mark and mark == part.fingerprint(),
        "fingerprint is text and stays the same",
    )
    problem = part.check()
    return found.expect(problem is None, "nothing is missing", f"{problem.what}: {problem.cure}" if problem else "")


def check_captioner(captioner: Any) -> list[str]:
    """Check a captioner: identity, one answer a request in order, the same one again.

    Raises:
        CheckFailed: with every promise that is not kept.
    """
    found = Findings()
    name = getattr(captioner, "name", type(captioner).__name__)
    if not check_identity(found, captioner):
        return found.close(name)
    strange = set(getattr(captioner, "uses", ())) - set(USES)
    found.expect(not strange, "what it uses is what requests hold", f"{', '.join(sorted(strange))} is not: {USES}")
    if hasattr(captioner, "inner"):
        for one in captioner.inner:
            check_captioner(one.value)
        found.expect(captioner.inner, "the captioners inside keep their promises")
        return found.close(name)
    if hasattr(captioner, "needs"):
        arguments = set(inspect.signature(captioner.captions).parameters)
        found.expect(arguments == set(captioner.needs), "the arguments of captions are the names of its needs")
        return found.close(name)
    requests = [Request(s.id, s.image) for s in small_world()[:7]]
    with captioner.open("cpu") as session:
        first = session.caption(requests, Generation())
        found.expect(len(first) == len(requests), "one answer a request", f"{len(first)} for {len(requests)}")
        found.expect(
            all(isinstance(a, str | Answer | Failure) for a in first), "every answer is text, an Answer or a Failure"
        )
        again = session.caption(requests, Generation())
        found.expect([*map(said, first)] == [*map(said, again)], "the same requests get the same answers")
    return found.close(name)


def said(answer: Any) -> Any:
    """What an answer says, without what it took to make it."""
    return (answer.text, answer.reason) if isinstance(answer, Answer) else answer


def check_dataset(dataset: Any) -> list[str]:
    """Check a dataset: samples with different ids as text, the same ones again.

    Raises:
        CheckFailed: with every promise that is not kept.
    """
    found = Findings()
    name = getattr(dataset, "name", type(dataset).__name__)
    samples = list(dataset.load())
    found.expect(samples, "there is a sample")
    found.expect(
        all(isinstance(s, Sample) and isinstance(s.id, str) for s in samples),
        "every sample is a Sample whose id is text",
    )
    found.expect(len({s.id for s in samples}) == len(samples), "ids differ")
    found.expect(samples == list(dataset.load()), "it loads the same again")
    if hasattr(dataset, "bag_sets"):
        ids = {s.id for s in samples}
        inside = all(ids.issuperset(bag.members) for bags in dataset.bag_sets() for bag in bags.bags)
        found.expect(inside, "the members of its bags are its ids")
    return found.close(name)
