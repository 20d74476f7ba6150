"""What a metric can say of each item beside its numbers, as files of a run's folder.

    details/<metric>-<short signature>.jsonl.gz   one line an item of which there is something to say: id, details

They are shown and read, and no number of a run is made from them: a folder without them is whole.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from capbench.errors import BadData
from capbench.store import Run, write_file
from capbench.tables import Scored

FOLDER = "details"
END = ".jsonl.gz"

Details = Mapping[str, Mapping[str, Any]]


def file_of(folder: Path, key: str) -> Path:
    """Where the details of a metric are. key: as in scores.parquet, name#short."""
    return folder / FOLDER / (re.sub(r"[^\w.-]+", "-", key) + END)


def write_details(folder: Path, scored: Sequence[Scored]) -> None:
    """Write the details that these metrics have, items in order; the same details give the same bytes."""
    for metric in scored:
        if metric.details:
            lines = [
                json.dumps({"id": name, "details": own}, ensure_ascii=True, allow_nan=False)
                for name, own in metric.details.items()
            ]
            target = file_of(folder, metric.key)
            target.parent.mkdir(exist_ok=True)
            write_file(target, gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0))


def read_details(folder: Path, key: str) -> dict[str, dict[str, Any]]:
    """The details of a metric by the items' ids; none where the folder has none.

    Raises:
        BadData: the file is damaged.
    """
    path = file_of(folder, key)
    if not path.exists():
        return {}
    try:
        lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        return {str(line["id"]): dict(line["details"]) for line in lines}
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        cure = "run it again with --fresh, or remove the file: no number is made from it"
        raise BadData(f"{path} is damaged: {error}", cure=cure) from error


def details_of(run: Run, metric: str) -> Details:
    """What a metric of a run said of each item, by id; nothing where it said nothing. metric: name, or name#short.

    Raises:
        BadData: the file is damaged.
    """
    found = [one for one in run.scored if metric in (one.key, one.key.partition("#")[0])]
    for one in found:
        said = one.details or (read_details(run.folder, one.key) if run.folder is not None else {})
        if said:
            return said
    return {}


def forget_details(folder: Path) -> None:
    """Remove the details of all metrics."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)


def by_id(details: Sequence[Mapping[str, Any] | None], ids: Sequence[str]) -> Details:
    """The items of which there is something to say."""
    return {name: own for name, own in zip(ids, details, strict=True) if own is not None}
