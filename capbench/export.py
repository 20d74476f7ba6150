"""A run's captions in the form that evaluation servers take: a JSON list of ``image_id`` and ``caption``.

coco, nocaps, vizwiz: ``image_id`` is a number. textcaps: it is a text. Sources: coco-caption's
``results/captions_val2014_fakecap_results.json``; nocaps-org/updown-baseline, ``updown/utils/evalai.py`` (an
int and a str each); Yinan-Zhao/vizwiz-caption, ``results/`` and ``loadRes`` (every id must be one of the set);
facebookresearch/mmf, ``M4C_Captioner/scripts/textcaps_eval.py`` (the ids of the annotations, which are texts).

COCO's server takes a zip of two such files without folders, captions_val2014_NAME_results.json and
captions_test2014_NAME_results.json (cocodataset/cocodataset.github.io, issue 55: it looks for both).
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capbench.errors import BadData, Fault, UsageError
from capbench.store import Run, place_for, write_file
from capbench.types import Caption

FORMS = ("coco", "nocaps", "vizwiz", "textcaps")
NUMBER = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
SURROGATES = re.compile("[\ud800-\udfff]")
SERVER_NAME = re.compile(r"captions_(val|test)2014_[^/\\]+_results\.json")
STAMP = (1980, 1, 1, 0, 0, 0)  # the same captions give the same bytes


@dataclass(frozen=True, slots=True)
class Results:
    """What a server takes. stood_in: failed captions that got a text; mended: those with lone surrogates."""

    rows: tuple[dict[str, Any], ...]
    stood_in: int
    mended: int


def results(run: Run, form: str = "coco", failed: str | None = None, sample: int | None = None) -> Results:
    """One entry an image, in the run's order.

    failed: the text that stands for a caption that failed (None: such a run is refused). sample: which of
    several captions an image is taken. A lone surrogate, which no UTF-8 file can hold, becomes U+FFFD.

    Raises:
        UsageError: no such form or sample, or several captions an image and no sample chosen.
        BadData: captions that failed; ids that the form cannot have; two captions of one image.
    """
    if form not in FORMS:
        raise UsageError(f"no form is called {form!r}", f"there are: {', '.join(FORMS)}")
    chosen = of_sample(run, sample)
    doubled = [name for name, count in Counter(caption.id for caption in chosen).items() if count > 1]
    if doubled:
        raise BadData(f"{run.folder} has several captions of {', '.join(doubled[:20])}", cure="run it again: --fresh")
    gone = [caption for caption in chosen if caption.text is None]
    if gone and failed is None:
        faults = [Fault(f"image {caption.id}", caption.reason) for caption in gone]
        cure = "a server wants a caption of each image: --failed '' writes an empty one for these"
        raise BadData(f"{len(gone)} of {len(chosen)} captions failed:", faults, cure)
    ids = [caption.id for caption in chosen] if form == "textcaps" else numbers(chosen, form)
    texts = [failed if caption.text is None else caption.text for caption in chosen]
    rows = tuple(
        {"image_id": name, "caption": SURROGATES.sub("�", text or "")} for name, text in zip(ids, texts, strict=True)
    )
    return Results(rows, len(gone), sum(SURROGATES.search(text or "") is not None for text in texts))


def of_sample(run: Run, sample: int | None) -> list[Caption]:
    """The captions of one sample.

    Raises:
        UsageError: there are several and none was chosen, or not so many.
    """
    each = run.record.identity.samples
    if sample is None and each > 1:
        cure = f"choose one with --sample 0 to --sample {each - 1}"
        raise UsageError(f"the run has {each} captions an image, and a server takes one", cure)
    number = sample or 0
    if not 0 <= number < each:
        raise UsageError(f"the run has no sample {number}", f"it has {each} caption(s) an image, from 0")
    return [caption for caption in run.captions if caption.sample == number]


def numbers(captions: list[Caption], form: str) -> list[int]:
    """The ids as numbers, which must be written as JSON writes them: 42 and not 042.

    Raises:
        BadData: ids that are no numbers, all of them.
    """
    bad = [caption.id for caption in captions if NUMBER.fullmatch(caption.id) is None]
    if bad:
        faults = [Fault(f"image {name}", "this id is no whole number") for name in bad]
        cure = "score with the annotations of the server, whose ids are numbers; textcaps takes texts: --form textcaps"
        raise BadData(f"the form {form} has numbers for ids, and {len(bad)} of {len(captions)} are none:", faults, cure)
    return [int(caption.id) for caption in captions]


def write(found: Results, out: Path, inside: str = "") -> None:
    """Write the JSON file, or put it as ``inside`` into the zip ``out``, whose other files stay.

    Raises:
        UsageError: a zip without ``inside``, or the other way round; a name that COCO's server does not take; as
            ``place_for``.
        BadData: ``out`` is there and is no zip.
    """
    lines = ",\n".join(json.dumps(row, ensure_ascii=True, allow_nan=False) for row in found.rows)
    data = f"[\n{lines}\n]\n".encode()
    zipped = out.suffix.lower() == ".zip"
    if zipped != bool(inside):
        cure = "capbench export RUN results.zip --inside captions_val2014_NAME_results.json"
        raise UsageError("--inside names the file in a .zip, and a .zip needs it", cure)
    place_for(out)
    if not zipped:
        write_file(out, data)
        return
    if SERVER_NAME.fullmatch(inside) is None:
        cure = "captions_val2014_NAME_results.json or captions_test2014_NAME_results.json"
        raise UsageError(f"COCO's server takes no file {inside!r}", cure)
    write_file(out, with_file(out, inside, data))


def with_file(out: Path, inside: str, data: bytes) -> bytes:
    """A zip's bytes with one file added or replaced."""
    files: dict[str, bytes] = {}
    if out.exists():
        try:
            with zipfile.ZipFile(out) as before:
                files = {name: before.read(name) for name in before.namelist()}
        except (zipfile.BadZipFile, OSError) as error:
            raise BadData(f"{out} is no zip that can be read: {error}", cure="give another name") from error
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files | {inside: data}).items():
            archive.writestr(zipfile.ZipInfo(name, STAMP), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


__all__ = ["FORMS", "Results", "results", "write"]
