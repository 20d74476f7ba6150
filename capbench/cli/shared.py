"""Options and output that several commands share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from capbench.errors import UsageError

if TYPE_CHECKING:
    from capbench.engine import Result
    from capbench.ray_executor import Ray
    from capbench.types import Caption, Summary

F = TypeVar("F", bound=Any)


def metric_option(command: F) -> F:
    """-m METRIC, several times."""
    text = "A metric's spec, as in cider or cider(variant='plain'); may be given several times."
    made: F = click.option("-m", "--metric", "metrics", multiple=True, metavar="METRIC", help=text)(command)
    return made


def backend_option(command: F) -> F:
    """--backend NAME=SPEC, several times."""
    text = "What a name such as clip stands for, as in clip=mini; may be given several times."
    made: F = click.option("--backend", "backends", multiple=True, metavar="NAME=SPEC", help=text)(command)
    return made


def lang_option(command: F) -> F:
    """--lang."""
    text = "The language of the captions, as in zh or pt-BR; it chooses the tokenizer.  [default: en]"
    made: F = click.option("--lang", default="", metavar="CODE", help=text)(command)
    return made


def json_option(command: F) -> F:
    """--json."""
    made: F = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)
    return made


def replay_option(command: F) -> F:
    """--replay FILE."""
    text = (
        "Recorded replies (of export-replies) in the place of every judge: nothing is asked, and none may be missing."
    )
    made: F = click.option("--replay", default="", metavar="FILE", help=text)(command)
    return made


def replies_option(command: F) -> F:
    """--export-replies FILE."""
    text = "Write all replies of judges to FILE, for --replay."
    made: F = click.option("--export-replies", "replies", default="", metavar="FILE", help=text)(command)
    return made


def by_option(command: F) -> F:
    """--by TAG."""
    text = "Split the table by a tag of the items, as in domain; the whole comes last."
    made: F = click.option("--by", default="", metavar="TAG", help=text)(command)
    return made


def missing_option(command: F) -> F:
    """--max-missing."""
    text = "The share of rows that may be unscored before the exit code is 5."
    made: F = click.option("--max-missing", type=click.FloatRange(0, 1), default=0.01, show_default=True, help=text)(
        command
    )
    return made


def column_option(command: F) -> F:
    """-c COLUMN, several times."""
    text = "Only this column, by name or label; may be given several times. Fewer tests are adjusted less."
    made: F = click.option("-c", "--column", "columns", multiple=True, metavar="COLUMN", help=text)(command)
    return made


def resamples_options(command: F) -> F:
    """--resamples and --seed."""
    number = click.IntRange(min=100)
    seeded = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the resamples.")
    made: F = click.option("--resamples", type=number, default=10_000, show_default=True, help="At least 100.")(
        seeded(command)
    )
    return made


def runs_option(command: F) -> F:
    """--runs DIR for commands that look runs up by name."""
    text = "Where runs are looked up by name."
    made: F = click.option("--runs", "root", default="runs", metavar="DIR", show_default=True, help=text)(command)
    return made


def scoring_options(command: F) -> F:
    """What scores: --metric, --backend and --lang."""
    return metric_option(backend_option(lang_option(command)))


def result_options(command: F) -> F:
    """How the numbers are made and shown: --replay, --executor and its own, --by, --max-missing and --json."""
    return replay_option(executor_options(by_option(missing_option(json_option(command)))))


def executor_options(command: F) -> F:
    """--executor, --ray-address and --workers."""
    address = click.option(
        "--ray-address", "address", default="", metavar="ADDR", help="A Ray cluster, as in head:6379 or auto."
    )
    workers = click.option(
        "--workers", type=click.IntRange(min=0), default=0, help="Ray actors that hold a model (0: as many as fit)."
    )
    text = "Where captions are made and pictures and texts encoded: this process, or Ray."
    kinds = click.Choice(["local", "ray"])
    made: F = click.option("--executor", type=kinds, default="local", show_default=True, help=text)(
        address(workers(command))
    )
    return made


def executor_of(executor: str, address: str, workers: int) -> Ray | None:
    """What the options of ``executor_options`` say; None for this process.

    Raises:
        UsageError: options of Ray without it.
    """
    if executor == "ray":
        from capbench.ray_executor import Ray

        return Ray(address, workers)
    if address or workers:
        raise UsageError("--ray-address and --workers are for Ray", "add --executor ray")
    return None


def bindings(pairs: Iterable[str]) -> dict[str, str]:
    """NAME=SPEC words as a mapping.

    Raises:
        UsageError: no = in a word.
    """
    made = {}
    for pair in pairs:
        name, mark, spec = pair.partition("=")
        if not mark or not name or not spec or "(" in name:
            raise UsageError(f"cannot read --backend {pair}", "write NAME=SPEC, as in --backend clip=mini")
        made[name.strip()] = spec.strip()
    return made


def numbers_table(summaries: Sequence[Summary]) -> str:
    """The numbers of one run as a plain table that is also Markdown, with signatures below."""
    from capbench.group_tables import plain_table
    from capbench.leaderboard import escape, interval, show

    rows = [["measure", "value [95% interval]", "n", "unscored", "empty", "signature"]]
    for s in summaries:
        value = interval(s) if s.better != "none" or s.value is None else show(s.value)
        name = escape(s.label) + (f" ({s.mark})" if s.mark else "")
        rows.append(
            [
                name,
                value.partition(" (")[0],
                str(s.n),
                str(s.unscored),
                str(s.empty),
                s.short,
            ]
        )
    notes = dict.fromkeys(f"{s.short}  {s.signature}" for s in summaries)
    return "\n".join([plain_table(rows, left=(0, 5)), "", *notes])


def echo(text: str) -> None:
    """Print on stdout, whatever characters the text has."""
    click.echo(text.encode("utf-8", "backslashreplace").decode())


def computed(result: Result) -> str:
    """Where a run is, and what was computed for it."""
    asked = sum(work.made for work in result.work if getattr(work.need, "replies", False))
    made = sum(work.made for work in result.work if work.need.cached)
    where = result.run.folder or f"{result.run.record.label}, scored from the captions that it keeps"
    captions = "" if result.run.folder is None else f"{result.captioned} captions, "
    judged = any(getattr(work.need, "replies", False) for work in result.work)
    replies = f", judges were asked {asked} questions" if judged else ""
    return f"{where}: {captions}{result.scored} metrics and {made} cached values were computed{replies}"


def tell(notes: Iterable[str]) -> None:
    """Print what a reader of the numbers should know, on stderr."""
    for note in notes:
        click.echo(f"note: {note}".encode("utf-8", "backslashreplace").decode(), err=True)


def about_captions(captioner: Any, captions: Iterable[Caption], dropped: Iterable[str]) -> list[str]:
    """What can be done about captions that failed, and which metrics have to be named again: dropped holds their specs.

    Nothing is said of failures where no model is asked, which may answer another time.
    """
    from capbench.combining import asks

    failed = sum(caption.text is None for caption in captions) if asks(captioner) else 0
    lines = [f"--retry-failed with the same command asks again for the {failed} that failed"] if failed else []
    if names := " ".join(f'-m "{spec}"' for spec in dict.fromkeys(dropped)):
        lines.append(f"numbers of captions that were replaced are gone; to have them again: {names}")
    return lines
