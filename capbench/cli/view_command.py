"""capbench view: runs image by image, as a page."""

from __future__ import annotations

import click


@click.command("view")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-b", "--benchmark", default="", help="The runs' benchmark, for pictures and references.")
@click.option("--data", default="", metavar="DIR", help="Where the benchmark's data are.")
@click.option("--dataset", default="", metavar="SPEC", help="Another dataset spec for the same data.")
@click.option("--sort", default="", metavar="COLUMN", help="The column to sort by (default: the benchmark's headline).")
@click.option("--html", "target", default="view.html", metavar="FILE", show_default=True, help="The page to write.")
@click.option(
    "--size",
    type=click.IntRange(min=32, max=2048),
    default=384,
    show_default=True,
    help="The longer side of a picture, in pixels.",
)
def command(runs: tuple[str, ...], benchmark: str, data: str, dataset: str, sort: str, target: str, size: int) -> None:
    """Write a page that shows RUNs side by side: scores, and every image with what each system says of it.

    RUN is a run's folder, or a folder with runs below it. A run keeps no pictures and no references: with
    -b they are taken from the benchmark, the pictures as thumbnails in a folder beside the page.
    """
    from pathlib import Path

    from capbench import benchmark as benchmarks
    from capbench import pages
    from capbench.errors import UsageError

    if (data or dataset) and not benchmark:
        raise UsageError("--data and --dataset say where a benchmark's data are", "name the benchmark: -b BENCHMARK")
    bench = benchmarks.load(benchmark, dataset, data) if benchmark else None
    page = Path(target)
    pictures = pages.write_view([Path(run) for run in runs], page, bench, sort=sort, size=size)
    beside = f" and {pictures} pictures in {page.stem}_files" if pictures else ""
    click.echo(f"wrote {target}{beside}", err=True)
