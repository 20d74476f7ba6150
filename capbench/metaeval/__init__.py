"""Metrics measured against people: how well each one agrees with a set of human judgements.

Each rating is an item of its own, as in the recipe of
Flickr8k-Expert (jmhessel/clipscore, ``flickr8k_example/compute_metrics.py``): a caption with three
ratings is scored three times, and CIDEr's document frequencies are over all of them. Of a pair, each
caption is an item. Items are scored by the engine, as any run is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from capbench import api, engine, recording
from capbench.arena import form_of_file
from capbench.benchmark import Benchmark, reference_digest
from capbench.datasets.build import build
from capbench.errors import BadData, UsageError
from capbench.judgements import Judgement, items_of, read, scores_of
from capbench.metaeval.agreement import Evaluation, Mean, Result, measured
from capbench.metaeval.corpora import Candidates, scored
from capbench.metaeval.given import given_parts
from capbench.metaeval.judges import PEOPLE, evaluate_judges
from capbench.metaeval.judges import as_object as judges_object
from capbench.metaeval.judges import markdown as judges_markdown
from capbench.metaeval.report import as_object, calibration_text, markdown
from capbench.records_keys import Record
from capbench.store import place_for
from capbench.types import Sample


def evaluate(
    path: str | Path,
    metrics: Sequence[str] = (),
    *,
    images: str | Path = "",
    backends: Mapping[str, str] | None = None,
    replay: str = "",
    replies: str | Path = "",
) -> Evaluation:
    """Score every judged caption and measure how well each metric agrees with the people.

    metrics: specs (default: bleu, rouge_l and cider). Scores that the file brings along are measured too.
    images: the folder of the pictures, for metrics that look at them. replay: as for ``capbench.run``. replies: a file
    to write all replies of judges to. Unscored items are left out of the statistics and counted; they do not raise.

    Raises:
        UsageError, MissingPart, BadData: before any work.
    """
    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}")
    judged = by_corpus(read(path))
    name = Path(path).name.removesuffix(".gz").removesuffix(".jsonl")
    pictures: Mapping[str, Sample] = {}
    if str(images):
        firsts = {j.image: Record(j.image, (), j.where, image=j.image) for j in reversed(judged)}
        pictures = {s.id: s for s in build(list(firsts.values()), source=str(path), images=images)}
    texts: dict[str, str] = {}
    given: dict[str, dict[str, float]] = {name: {} for name in judged[0].scores}
    samples = []
    for judgement in judged:
        line = judgement.where.rpartition(" ")[2]
        picture = pictures[judgement.image].image if pictures else None
        for k, text in enumerate(items_of(judgement)):
            id_ = f"{judgement.image}@{line}.{k}"
            texts[id_] = text
            for score, of in given.items():
                of[id_] = scores_of(judgement, score)[k]
            samples.append(Sample(id_, picture, judgement.references))
    bench = Benchmark(name, 1, tuple(samples), reference_digest(samples))
    own = api.metric_parts(metrics, bench)
    if replies:
        api.judges_of(own, "export")
        place_for(Path(replies))
    aliases = {**(backends or {}), **api.recorded(own, replay)}
    job = engine.Job(Candidates(texts), "", name, bench, (*own, *given_parts(given)), aliases=aliases)
    corpora = [j.corpus for j in judged for _ in items_of(j)]
    run, asked = scored(job, corpora)
    if replies:
        recording.export_run(run, Path(replies))
    return measured(name, judged, run, asked)


def by_corpus(judged: Sequence[Judgement]) -> list[Judgement]:
    """Corpus after corpus, each in the file's order."""
    place = {name: i for i, name in enumerate(dict.fromkeys(j.corpus for j in judged))}
    return sorted(judged, key=lambda j: place[j.corpus])


def is_verdicts(path: str | Path) -> bool:
    """Whether a file holds verdicts on pairs of systems, as an arena takes them."""
    if not Path(path).is_file():
        return False
    try:
        return form_of_file(path) is not None
    except BadData:
        return False  # it is told as a file of judgements


__all__ = [
    "PEOPLE", "Evaluation", "Mean", "Result", "as_object", "calibration_text", "evaluate", "evaluate_judges",
    "is_verdicts", "judges_markdown", "judges_object", "markdown", "read",
]  # fmt: skip
