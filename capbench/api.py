"""The Python way in: a few functions, each one call of the engine or of the readers.

run = capbench.score("predictions.jsonl", "references.json")
run = capbench.run("speaker(flaw='none')", "scenes")
run.value("cider"), run.frame()
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

from capbench import benchmark as benchmarks
from capbench import engine, groups, idf, languages, plugins, store
from capbench.captioners.inner import captioner_spec, label_of
from capbench.errors import BadData, MissingPart, UsageError
from capbench.facts import facts_of
from capbench.leaderboard import Board, gather, plain
from capbench.needs import References, Tokens
from capbench.ray_executor import Ray
from capbench.resolve import RECORDED, bind, closure, is_derived
from capbench.scoring import Part
from capbench.store import Run
from capbench.tables import safe
from capbench.types import Generation

DEFAULT_METRICS = ("bleu", "rouge_l", "cider")
RUNS = Path("runs")
PER_ITEM = ("id", "sample", "metric", "column", "value", "reason")


class Options(TypedDict, total=False):
    """What ``run`` takes besides captioner, benchmark and metrics.

    backends: name -> spec, as in {"clip": "scenes"}. samples: captions an image (0: as many as the file or
    the benchmark states, else one); a model is asked for them with seeds seed, seed + 1, and so on.
    limit: only the first items (0: all). runs: where run folders are kept (None: nothing is written).
    generation: decoding parameters. dataset: another spec for the benchmark's data; data: the folder they
    are in; images: the folder of the pictures. name: the captioner's name in tables. fresh: start over.
    retry_failed: ask again for the captions that failed.
    replay: a file of recorded replies that stands for every judge (``capbench export-replies``).
    lang: the language of the captions, as in zh or pt-BR, for metrics whose spec names none (default: the
    benchmark's, else English). by: a tag of the items; ``Run.groups`` then holds every number for each of its
    values (default: the benchmark's). executor: what captions and encodes elsewhere, as ``capbench.Ray()`` does
    (None: this process).
    """

    backends: Mapping[str, str]
    samples: int
    limit: int
    runs: Path | str | None
    generation: Generation
    device: str
    dataset: str
    data: str
    images: str
    name: str
    fresh: bool
    retry_failed: bool
    by: str
    lang: str
    replay: str
    executor: Ray | None


def run(
    captioner: str,
    benchmark: str,
    metrics: Sequence[str] = (),
    *,
    max_missing: float = 1.0,
    **options: Unpack[Options],
) -> Run:
    """Caption a benchmark and score the captions; go on where an earlier run of the same stopped.

    captioner: a spec, or the path of a file with captions. benchmark: a shipped name, a TOML file, or
    a dataset's spec. metrics: specs (default: the benchmark's). max_missing: the share of unscored rows
    above which it raises at the end. options: see ``Options``.

    Raises:
        UsageError, MissingPart, BadData: before any work; TooManyUnscored: when all is done and kept.
    """
    job = job_of(captioner, benchmark, metrics, **options)
    by = tag_of(job, options.get("by", ""))
    result = engine.run(engine.plan(job))
    engine.refuse_unscored(result.run, result.asked, max_missing)
    return split(replace(result.run, summaries=result.asked), by)


def tag_of(job: engine.Job, by: str) -> str:
    """The tag to split by: the one asked for, else the benchmark's if some item has it; before any work starts.

    Raises:
        UsageError: no item has the one asked for.
    """
    tags = [sample.tags for sample in job.benchmark.samples[: job.limit or None]]
    if by:
        groups.values_of(tags, by, job.benchmark.name)
    usual = job.benchmark.by
    return by or (usual if any(usual in own for own in tags) else "")


def split(run_: Run, by: str) -> Run:
    """The run with its numbers in each group of a tag ("": as it is)."""
    return replace(run_, groups=groups.split(run_, by)) if by else run_


def job_of(
    captioner: str, benchmark: str | benchmarks.Benchmark, metrics: Sequence[str] = (), **options: Unpack[Options]
) -> engine.Job:
    """What ``run`` will do, built and checked as far as names and files go. benchmark: its name, or one loaded."""
    spec = captioner_spec(captioner)
    loaded = plugins.load("captioners", spec)
    places = (options.get("dataset", ""), options.get("data", ""), options.get("images", ""))
    fresh, again = options.get("fresh", False), options.get("retry_failed", False)
    if fresh and again:
        raise UsageError("--fresh makes all captions anew, those that failed too", "leave --retry-failed out")
    bench = benchmarks.load(benchmark, *places) if isinstance(benchmark, str) else benchmark
    runs = options.get("runs", RUNS)
    parts = metric_parts(metrics, bench, options.get("lang", ""), options.get("device", ""))
    return engine.Job(
        captioner=loaded.value,
        origin=loaded.origin,
        label=options.get("name") or label_of(loaded.value, spec),
        benchmark=bench,
        parts=parts,
        aliases={**bench.backends, **options.get("backends", {}), **recorded(parts, options.get("replay", ""))},
        generation=options.get("generation", Generation()),
        samples=options.get("samples", 0),
        limit=options.get("limit", 0),
        device=options.get("device", "cpu"),
        root=None if runs is None else Path(runs),
        fresh=fresh,
        retry_failed=again,
        executor=options.get("executor"),
    )


def metric_parts(
    metrics: Sequence[str], bench: benchmarks.Benchmark, lang: str = "", device: str = ""
) -> tuple[Part, ...]:
    """The metrics asked for, else the benchmark's, else the default ones where there are references.

    lang: for metrics whose spec names no language (default: the benchmark's). device: for those that have one.

    Raises:
        UsageError: an unknown metric or language, or a language that a metric lacks.
    """
    spoken = lang or bench.lang
    given = {"lang": spoken and languages.find(spoken).code, "device": device}
    defaults = {name: value for name, value in given.items() if value}
    stated = {entry.use: entry for entry in bench.metrics}
    default = DEFAULT_METRICS if any(sample.references for sample in bench.samples) else ()
    specs = list(metrics) or list(stated) or list(default)
    parts = []
    for spec in dict.fromkeys(specs):
        loaded = plugins.load("metrics", spec, defaults)
        entry = stated.get(spec, benchmarks.MetricEntry(spec))
        parts.append(Part(loaded.value, loaded.origin, spec, entry.label, entry.headline))
    return tuple(parts)


def recorded(parts: Sequence[Part], replay: str) -> dict[str, str]:
    """A file of recorded replies in the place of every judge that metrics name.

    Raises:
        UsageError: no metric has a judge.
    """
    if not replay:
        return {}
    return {name: f"{RECORDED}(path={replay!r}, judge={name!r})" for name in judges_of(parts, "replay")}


def judges_of(parts: Sequence[Part], purpose: str) -> set[str]:
    """The judges that metrics name. purpose: what is to be done with their replies.

    Raises:
        UsageError: no metric has a judge.
    """
    needs = closure(need for part in parts for need in part.needs.values())
    judges = {need.backend for need in needs if is_derived(need) and need.backend_kind == "judge"}
    if not judges:
        raise UsageError(
            f"no metric asks a judge, so there is nothing to {purpose}", "name one: -m \"judge(rubric='clair')\""
        )
    return judges


def score(  # noqa: PLR0913 -- one parameter for each option of the command
    predictions: str | Path,
    references: str | Path,
    metrics: Sequence[str] = (),
    *,
    images: str | Path = "",
    backends: Mapping[str, str] | None = None,
    field: str = "",
    samples: int = 1,
    extra: str = "error",
    split: str = "",
    by: str = "",
    lang: str = "",
    replay: str = "",
    executor: Ray | None = None,
) -> Run:
    """Score a file of captions against a file of references, with no benchmark and nothing written.

    The forms of both files are recognised by their content; captions are matched by id. Metrics:
    bleu, rouge_l and cider unless others are named. field: where the captions are in ``predictions``,
    as in outputs.blip2, if no usual key holds them. samples: captions an image, as many for each.
    extra: 'ignore' leaves out ids without references. by: a column of ``references`` by which the numbers are
    split, into ``Run.groups``. split: the one to take of a Karpathy file, as in test (default: all).
    lang: the language of the captions (default: English). replay: as in ``Options``. executor: as for ``run``.

    Raises:
        UsageError, MissingPart, BadData. Unscored items are counted in ``unscored`` and do not raise.
    """
    for path in (predictions, references):
        if not Path(path).is_file():
            raise UsageError(f"there is no file {path}")
    dataset = f"folder(captions={str(references)!r}, images={str(images)!r}, tags={by!r})"
    if split:
        dataset = f"coco(annotations={str(references)!r}, images={str(images)!r}, split={split!r}, tags={by!r})"
    spec = f"file(path={str(predictions)!r}, field={field!r}, samples={samples}, extra={extra!r})"
    return run(
        spec, dataset, metrics or DEFAULT_METRICS, backends=backends or {}, runs=None, lang=lang, by=by, replay=replay,
        executor=executor,
    )  # fmt: skip


def write_idf(
    references: str | Path,
    target: str | Path,
    *,
    tokenizer: str = "",
    lang: str = "",
    backends: Mapping[str, str] | None = None,
    data: str = "",
) -> idf.DocumentFrequencies:
    """Count in how many images each n-gram of the references occurs, and write a file for cider(idf='file:...').

    references: a file as for ``score``, or a benchmark as for ``run``. tokenizer: the metric's own (default: that
    of the language, which is the benchmark's or English where none is named).

    Raises:
        UsageError, MissingPart, BadData: also where fewer than two images have references.
    """
    if Path(target).is_dir() or (
        Path(target).exists() and Path(references).exists() and Path(target).samefile(references)
    ):
        raise UsageError(f"cannot write {target}: it is a folder, or the references", "give another name")
    is_file = Path(references).is_file() and not str(references).endswith(".toml")
    bench = benchmarks.load(f"folder(captions={str(references)!r})" if is_file else str(references), data=data)
    facts = facts_of(bench, 0)
    words = tokenizer or languages.find(lang or bench.lang or languages.DEFAULT).tokenizer
    bound, problems = bind([Tokens(References(), words)], backends or {})
    if problems:
        raise MissingPart(problems[0].what, problems[0].cure)
    table = idf.made(facts.references, bound[words].backend, bound[words].fingerprint)
    if table.n_documents < 2:
        raise BadData(
            f"{table.n_documents} of {len(facts.ids)} images have references: every weight would be ln(1/1) = 0",
            cure="give the references of more images",
        )
    idf.write(table, target)
    return table


def load_run(folder: str | Path, by: str = "") -> Run:
    """Read a run's folder. by: a tag of its items, by which the numbers are split into ``Run.groups``.

    Raises:
        UsageError: no item has such a tag.
        BadData: no run there, or a damaged one.
    """
    path = Path(folder)
    record = store.read_record(path)
    if record.status != "finished":
        raise MissingPart(f"{path} is not finished", "run the same command again: it goes on where it stopped")
    captions_file = path / store.CAPTIONS
    captions = store.parse_captions(captions_file.read_bytes(), captions_file) if captions_file.exists() else ()
    ids = tuple(dict.fromkeys(c.id for c in captions)) or tuple(store.read_items(path))
    scored = store.read_scores(path, ids)
    return split(Run(record, store.read_summary(path), captions, scored, ids, path, store.read_tags(path, ids)), by)


def boards(runs: str | Path | Sequence[str | Path] = RUNS, benchmark: str = "", sort: str = "") -> list[Board]:
    """Tables of the runs below folders, one for each benchmark and set of comparable signatures."""
    roots = [runs] if isinstance(runs, str | Path) else runs
    return gather([Path(root) for root in roots], benchmark, sort)


def scores_object(run_: Run) -> dict[str, Any]:
    """A run's numbers as plain data for --json: ``scores`` lists metric, column, value, low, high and the rest.

    ``groups`` is there where a tag was asked for: tag, name, value, items and scores of each group.
    """
    folder = None if run_.folder is None else str(run_.folder)
    return {
        "captioner": run_.record.label,
        "benchmark": run_.record.identity.benchmark,
        "run": folder,
        "scores": [asdict(summary) for summary in run_.summaries],
        "notes": list(run_.record.notes),
        **({"groups": [asdict(group) for group in run_.groups]} if run_.groups else {}),
    }


def per_item_lines(run_: Run) -> str:
    """Every number of every item as JSON lines: id, sample, metric, column, value, reason."""
    return "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in per_item(run_))


def per_item_csv(run_: Run) -> str:
    """The same as CSV. Texts that a spreadsheet would run as a formula are quoted with '."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(PER_ITEM)
    for entry in per_item(run_):
        writer.writerow([safe(plain.quoted(v)) if isinstance(v, str) else v for v in entry.values()])
    return out.getvalue()


def per_item(run_: Run) -> Iterator[dict[str, Any]]:
    """Every number of every item, under the names of ``PER_ITEM``."""
    declared = {(s.metric, s.short, s.column) for s in run_.summaries}
    for metric in run_.scored:
        rows = metric.rows
        items = range(len(metric.samples)) if rows.items is None else rows.items.tolist()
        for name, column in rows.columns.items():
            if (*metric.key.split("#"), name) not in declared:
                continue  # a statistic that only the metric's own fold of sums uses
            for row, (item, value) in enumerate(zip(items, column.tolist(), strict=True)):
                known = value == value  # noqa: PLR0124 -- NaN is the one value that differs from itself
                why = "" if known else metric.reasons.get(row, "")
                entry = (run_.ids[item], int(metric.samples[row]), metric.key, name, value if known else None, why)
                yield dict(zip(PER_ITEM, entry, strict=True))
