"""capbench compare: runs and captioners against each other, item by item or bag by bag."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capbench.cli.captioning_options import captioning_options, options_of, refuse_without_benchmark
from capbench.cli.shared import (
    backend_option,
    bindings,
    column_option,
    computed,
    echo,
    metric_option,
    missing_option,
    resamples_options,
    runs_option,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypedDict

    from capbench.contenders import Setting, Told
    from capbench.engine import Result
    from capbench.paired import Test

    class Shown(TypedDict):
        """How a comparison is drawn and shown."""

        form: str
        target: str
        moved: int | None
        units: int
        test: Test
        resamples: int
        seed: int


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN|CAPTIONER...")
@click.option("-b", "--benchmark", default="", help="The benchmark on which captioners are run, and whose bags count.")
@click.option(
    "--bags",
    "bags",
    multiple=True,
    metavar="SET[,SET]",
    help=("Compare on bags: sets of the benchmark, files of bags or recipes; may be given several times."),
)
@click.option(
    "--encoder",
    default="",
    metavar="SPEC",
    help="What retrieves from bags (default: as the benchmark states, else clip).",
)
@column_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json", "latex", "html"]),
    default="md",
    show_default=True,
    help="md is the console's text.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--html", "target", default="", metavar="FILE", help="Also write a page; of bags, with their pictures.")
@click.option(
    "--moved",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    help="How many of the items that moved most are shown for each line (default: 5 for two runs, 0 for more), "
    "or of the bags that differ most (default: 5).",
)
@click.option(
    "--images",
    "units",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Plan: the difference that so many images (or galleries) would show (default: as many as there are).",
)
@click.option(
    "--test",
    type=click.Choice(["both", "permutation", "bootstrap"]),
    default="both",
    show_default=True,
    help="Where p comes from (both: the larger one); 0/1 columns have McNemar's exact test.",
)
@resamples_options
@runs_option
@metric_option
@backend_option
@missing_option
@captioning_options
def command(  # noqa: PLR0913 -- one parameter for each option
    runs: tuple[str, ...], benchmark: str, bags: tuple[str, ...], encoder: str, columns: tuple[str, ...], form: str,
    as_json: bool, target: str, moved: int | None, units: int, test: Test, resamples: int, seed: int, root: str,
    metrics: tuple[str, ...], backends: tuple[str, ...], max_missing: float, **captioning: Any,
) -> None:  # fmt: skip
    """Compare two or more runs on the same images, in every column that they share, or on bags of look-alikes.

    RUN is a folder (an entry of a leaderboard is one), the start of a run's name or id, or `latest`. With -b a
    word may also be a CAPTIONER, as for `capbench run`: it is run first, all of them after one plan. Numbers
    whose signatures differ are not compared; the message says in what they differ.
    """
    from capbench import contenders, engine
    from capbench.errors import UsageError

    if len(runs) < 2:
        raise UsageError("one run alone cannot be compared", "give two or more runs or captioners")
    if not benchmark:
        refuse_without_benchmark({"metrics": metrics, "backends": backends, **captioning})
    if not bags and encoder:
        raise UsageError("--encoder says what retrieves from bags", "name the bags: --bags SET")
    if bags and columns:
        raise UsageError("--bags compares R@1 alone", "leave out -c, or leave out --bags")
    given = None
    if benchmark:
        options = options_of(captioning)
        options |= {"backends": bindings(backends), "runs": root}
        given = contenders.setting(benchmark, metrics, **options)
    shown: Shown = {
        "form": "json" if as_json else form,
        "target": target,
        "moved": moved,
        "units": units,
        "test": test,
        "resamples": resamples,
        "seed": seed,
    }
    results: list[Result] = []

    def told(result: Result) -> None:
        """One captioner is done: what was computed goes to stderr, what is unscored is looked at in the end."""
        results.append(result)
        click.echo(computed(result), err=True)
        tell(result.run.record.notes)

    if bags:
        compare_bags(runs, Path(root), given, (bags, encoder), shown, told)
    else:
        compare_runs(runs, Path(root), given, columns, shown, told)
    for result in results:
        engine.refuse_unscored(result.run, result.asked, max_missing)


def compare_runs(
    words: Sequence[str], root: Path, given: Setting | None, columns: Sequence[str], shown: Shown, told: Told
) -> None:
    """Image by image."""
    from capbench import compare, comparison_text, contenders
    from capbench.store import place_for, write_file

    if shown["target"]:
        place_for(Path(shown["target"]))
    folders = contenders.folders(words, root, given, told)
    most = shown["moved"] if shown["moved"] is not None else compare.MOVED if len(folders) == 2 else 0
    made = compare.compare(
        folders, columns, resamples=shown["resamples"], seed=shown["seed"], test=shown["test"], moved=most
    )
    echo(comparison_text.FORMS[shown["form"]](made, shown["units"]))
    if shown["target"]:
        write_file(Path(shown["target"]), comparison_text.page(made, shown["units"]).encode())
        click.echo(f"wrote {shown['target']}", err=True)


def compare_bags(
    words: Sequence[str], root: Path, given: Setting | None, asked: tuple[Sequence[str], str], shown: Shown, told: Told
) -> None:
    """Bag by bag. asked: the sets of bags, and the encoder."""
    from capbench import bag_text, contenders
    from capbench.bag_compare import compare_on_bags
    from capbench.errors import UsageError
    from capbench.pages.contest import contest_page
    from capbench.store import place_for, write_file

    names, encoder = contenders.bag_words(asked[0]), asked[1]
    wants_page = bool(shown["target"]) or shown["form"] == "html"
    if not names:
        raise UsageError("--bags names no bags", "name a set of the benchmark, or a file of bags")
    if given is None and wants_page:
        raise UsageError("the page shows the benchmark's pictures", "name it: -b BENCHMARK")
    if shown["target"]:
        place_for(Path(shown["target"]))
    if given is None:
        folders = [one for one in contenders.told(words, root, None) if isinstance(one, Path)]
        field = contenders.stored_on_bags(folders, names, encoder)
    else:
        field = contenders.on_bags(words, root, given, names, encoder, told)
    tell(field.notes)
    made = compare_on_bags(
        field.contenders, field.bags, resamples=shown["resamples"], seed=shown["seed"], test=shown["test"]
    )
    page = contest_page(made, given.bench, shown["units"]) if given and wants_page else ""
    most = bag_text.SHOWN if shown["moved"] is None else shown["moved"]
    echo(page if shown["form"] == "html" else bag_text.FORMS[shown["form"]](made, shown["units"], most))
    if shown["target"]:
        write_file(Path(shown["target"]), page.encode())
        click.echo(f"wrote {shown['target']}", err=True)
