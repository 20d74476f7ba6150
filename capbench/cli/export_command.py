"""capbench export: a run's captions for an evaluation server."""

from __future__ import annotations

from pathlib import Path

import click

FORMS = ("coco", "nocaps", "vizwiz", "textcaps")


@click.command("export")
@click.argument("run")
@click.argument("out")
@click.option("--form", type=click.Choice(FORMS), default="coco", show_default=True, help="Whose server it is for.")
@click.option("--failed", default=None, metavar="TEXT", help="What stands for a caption that failed, as in ''.")
@click.option("--sample", type=int, default=None, metavar="N", help="Which of several captions an image, from 0.")
@click.option("--inside", default="", metavar="NAME", help="The file's name in OUT, a .zip as COCO's server takes.")
def command(run: str, out: str, form: str, failed: str | None, sample: int | None, inside: str) -> None:
    """Write the captions of the folder RUN to the file OUT as an evaluation server takes them.

    That is a JSON list of {"image_id", "caption"}: numbers as ids for coco, nocaps and vizwiz, texts for
    textcaps. A caption that failed is an error unless --failed says what stands for it.
    """
    from capbench import api, export

    found = export.results(api.load_run(run), form, failed, sample)
    export.write(found, Path(out), inside)
    notes = [f"{len(found.rows)} captions"]
    notes += [f"{found.stood_in} failed ones as {failed!r}"] if found.stood_in else []
    notes += [f"{found.mended} with a lone surrogate written as U+FFFD"] if found.mended else []
    click.echo(f"{out}: {', '.join(notes)}", err=True)
