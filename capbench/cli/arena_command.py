"""capbench arena: verdicts on pairs to a ranking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from capbench.cli.shared import echo, json_option, resamples_options, runs_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capbench.arena import Contradictory, Verdicts


@click.command("arena")
@click.argument("sources", nargs=-1, required=True, metavar="VERDICTS...|RUN...")
@click.option("--by", default="", metavar="COLUMN", help="Make the verdicts from RUNs: the better score wins an item.")
@click.option("--judge", default="", metavar="NAME", help="Only this judge's verdicts (default: every judge's).")
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
@json_option
def command(  # noqa: PLR0913 -- one parameter for each option
    sources: tuple[str, ...], by: str, judge: str, anchor: str, contradictory: Contradictory, with_elo: bool,
    html: str, csv_file: str, save: str, resamples: int, seed: int, root: str, as_json: bool,
) -> None:  # fmt: skip
    """Rank systems by verdicts on pairs: Bradley-Terry strengths on Elo's scale, with intervals over items.

    VERDICTS are JSON lines, JSON or CSV with item, a, b and winner (a, b or tie), or files of CapArena, Chatbot
    Arena or MT-bench. With --by they are made from RUNs. Systems that the verdicts do not connect are reported, not
    ranked.
    """
    from capbench import arena
    from capbench.arena import text
    from capbench.pages.arena import write_arena
    from capbench.store import place_for, write_file

    for target in filter(None, (html, csv_file, save)):
        place_for(Path(target))
    verdicts = chosen(gathered(sources, by, Path(root)), judge)
    if save:
        arena.write(verdicts.rows, Path(save))
    contests, swaps = arena.contests_of(verdicts.rows, contradictory)
    ranking = arena.rank(contests, anchor=anchor, resamples=resamples, seed=seed)
    counts = {name: sum(v.judge == name for v in verdicts.rows) for name in verdicts.judges}
    elo = arena.elo(contests, seed=seed) if with_elo else {}
    shown = text.Shown(ranking, counts, swaps, verdicts.unread, contradictory == "drop", elo)
    echo(text.json_text(shown) if as_json else text.markdown(shown))
    if csv_file:
        write_file(Path(csv_file), text.csv_text(shown).encode())
    if html:
        write_arena(shown, Path(html))
    for target in filter(None, (save, csv_file, html)):
        click.echo(f"wrote {target}", err=True)


def gathered(sources: Sequence[str], by: str, root: Path) -> Verdicts:
    """The verdicts of files, or those that a column makes of runs."""
    from capbench import arena, store
    from capbench.errors import UsageError

    if by:
        return arena.by_metric([store.pick_run(word, root) for word in sources], by)
    folders = [word for word in sources if (Path(word) / store.RUN).exists()]
    if folders:
        raise UsageError(f"{folders[0]} is a run, and runs hold no verdicts", "say what decides: --by COLUMN")
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
