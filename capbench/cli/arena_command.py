"""capbench arena: verdicts on pairs to a ranking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capbench.cli.shared import (
    backend_option,
    bindings,
    echo,
    json_option,
    replay_option,
    replies_option,
    resamples_options,
    runs_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capbench.arena import Contradictory, Verdicts


ASKING = (
    click.option("-b", "--benchmark", default="", help="Ask a judge: the benchmark of the RUNs, whose images it sees."),
    click.option("--rubric", default="pairwise", show_default=True, metavar="NAME|FILE", help="What it is asked."),
    click.option("-n", "limit", type=click.IntRange(min=0), default=0, help="Ask about the first N items (0: all)."),
    click.option("--data", default="", metavar="DIR", help="Where the benchmark's data are."),
    click.option("--dataset", default="", metavar="SPEC", help="Another dataset spec for the same data."),
    click.option("--pictures", "images", default="", metavar="DIR", help="Where the benchmark's pictures are."),
    click.option("--device", default="cpu", show_default=True),
    backend_option,
    replay_option,
    replies_option,
)  # fmt: skip


def asking_options(command: Any) -> Any:
    """All that says what a judge is asked; the command gets them by name."""
    for option in reversed(ASKING):
        command = option(command)
    return command


@click.command("arena")
@click.argument("sources", nargs=-1, required=True, metavar="VERDICTS...|RUN...")
@click.option("--by", default="", metavar="COLUMN", help="Make the verdicts from RUNs: the better score wins an item.")
@click.option(
    "--judge",
    default="",
    metavar="NAME|SPEC",
    help="Of VERDICTS: only this judge's. With RUNs and -b: the judge that is asked, as judge_chat(model='...').",
)
@click.option("--anchor", default="", metavar="SYSTEM", help="The system that has 1000 (default: their mean has).")
@click.option(
    "--contradictory",
    type=click.Choice(["tie", "drop"]),
    default="tie",
    show_default=True,
    help="What becomes of a contest in which each order of the captions wins another system.",
)
@click.option("--elo", "with_elo", is_flag=True, help="Also sequential Elo, which depends on the order.")
@click.option("--html", default="", metavar="FILE", help="Write the ranking as one self-contained page.")
@click.option("--csv", "csv_file", default="", metavar="FILE", help="Write one line a system.")
@click.option("--save", default="", metavar="FILE", help="Write the verdicts as JSON lines, with --by above all.")
@resamples_options
@runs_option
@asking_options
@json_option
def command(  # noqa: PLR0913 -- one parameter for each option
    sources: tuple[str, ...], by: str, judge: str, anchor: str, contradictory: Contradictory, with_elo: bool,
    html: str, csv_file: str, save: str, resamples: int, seed: int, root: str, as_json: bool, **asking: Any,
) -> None:  # fmt: skip
    """Rank systems by verdicts on pairs: Bradley-Terry strengths on Elo's scale, with intervals over items.

    VERDICTS are JSON lines, JSON or CSV with item, a, b and winner (a, b or tie), or files of CapArena, Chatbot
    Arena or MT-bench. They are made from RUNs with --by, or by asking a judge in both orders: -b BENCHMARK --judge
    SPEC. Systems that the verdicts do not connect are reported, not ranked.
    """
    from capbench import arena
    from capbench.arena import text
    from capbench.errors import BadData, Fault, UsageError
    from capbench.pages.arena import write_arena
    from capbench.run_folders import pick_run
    from capbench.store import place_for, write_file

    for target in filter(None, (html, csv_file, save, asking["replies"])):
        place_for(Path(target))
    if asking["benchmark"]:
        verdicts = answered([pick_run(word, Path(root)) for word in sources], judge, by, asking)
    elif asking["replay"] or asking["replies"]:
        purpose = "replay" if asking["replay"] else "export"
        raise UsageError(
            f"no judge is asked, so there is nothing to {purpose}", "name RUNs and a judge: -b BENCHMARK --judge SPEC"
        )
    else:
        verdicts = chosen(gathered(sources, by, Path(root)), judge)
    if save:
        arena.write(verdicts.rows, Path(save))
    contests, swaps = arena.contests_of(verdicts.rows, contradictory)
    if not contests:
        dropped = sum(swap.outcome == "contradictory" for swap in swaps)
        reasons = {**verdicts.unread, **({"contradictory after the swap, and dropped": dropped} if dropped else {})}
        raise BadData("no contest is left to rank by:", [Fault(why, f"{n} pairs") for why, n in reasons.items()])
    ranking = arena.rank(contests, anchor=anchor, resamples=resamples, seed=seed)
    counts = {name: sum(v.judge == name for v in verdicts.rows) for name in verdicts.judges}
    elo = arena.elo(contests, seed=seed) if with_elo else {}
    shown = text.Shown(ranking, counts, swaps, verdicts.unread, contradictory == "drop", elo)
    echo(text.json_text(shown) if as_json else text.markdown(shown))
    if csv_file:
        write_file(Path(csv_file), text.csv_text(shown).encode())
    if html:
        write_arena(shown, Path(html))
    for target in filter(None, (asking["replies"], save, csv_file, html)):
        click.echo(f"wrote {target}", err=True)


def answered(folders: Sequence[Path], judge: str, by: str, asking: dict[str, Any]) -> Verdicts:
    """The verdicts of a judge on runs. asking: the values of ``ASKING``.

    Raises:
        UsageError: no judge is named, or a column decides already.
        NotComparable: the runs are of other data.
    """
    from capbench import api, contenders, judging
    from capbench import benchmark as benchmarks
    from capbench.arena.asked import by_judge
    from capbench.errors import UsageError

    if by or not judge:
        what = "with --by nobody is asked" if by else "-b is for a judge to see its images and texts"
        raise UsageError(what, "leave out --by, and name a judge: --judge SPEC")
    runs = [api.load_run(folder) for folder in folders]
    bench = benchmarks.load(*(asking[name] for name in ("benchmark", "dataset", "data", "images")))
    contenders.refuse_other_data(runs, bench)
    aliases = {**bench.backends, **bindings(asking["backends"])}
    with judging.opened(judge, backends=aliases, replay=asking["replay"], device=asking["device"]) as opened:
        return by_judge(runs, bench, opened, asking["rubric"], asking["limit"], replies=asking["replies"])


def gathered(sources: Sequence[str], by: str, root: Path) -> Verdicts:
    """The verdicts of files, or those that a column makes of runs."""
    from capbench import arena, store
    from capbench.errors import UsageError
    from capbench.run_folders import pick_run

    if by:
        return arena.by_metric([pick_run(word, root) for word in sources], by)
    folders = [word for word in sources if (Path(word) / store.RUN).exists()]
    if folders:
        raise UsageError(
            f"{folders[0]} is a run, and runs hold no verdicts",
            "say what decides: --by COLUMN, or who: -b BENCHMARK --judge SPEC",
        )
    return arena.read(sources)


def chosen(verdicts: Verdicts, judge: str) -> Verdicts:
    """Those of one judge, if one is asked for.

    Raises:
        UsageError: there is no such judge.
    """
    from dataclasses import replace

    from capbench.errors import UsageError

    if not judge:
        return verdicts
    if judge not in verdicts.judges:
        names = ", ".join(name or "one without a name" for name in verdicts.judges)
        raise UsageError(f"no verdict is by {judge!r}", f"judges: {names}")
    return replace(verdicts, rows=tuple(v for v in verdicts.rows if v.judge == judge))
