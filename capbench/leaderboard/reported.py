"""Numbers that stand in papers and were not run here: kept in a file of their own, shown in a table of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from capbench import codec
from capbench.errors import BadData, Fault

NAME = "reported.toml"


@dataclass(frozen=True, slots=True)
class Reported:
    """One system of one source. values: a column's label -> the number as the source prints it.

    source: paper and table. url: where it is. note: what makes it differ, such as another tokenizer.
    """

    captioner: str
    source: str
    values: Mapping[str, float]
    url: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReportedFile:
    """A file of reported numbers: [[rows]]."""

    rows: Sequence[Reported]


def read_reported(path: Path) -> tuple[Reported, ...]:
    """The rows of a file.

    Raises:
        BadData: not of this form, a row without a source or numbers, or an address that is no web address.
    """
    rows = tuple(codec.read_toml(path, ReportedFile).rows)
    faults = []
    for number, row in enumerate(rows, start=1):
        where = f"{path} rows[{number}]"
        if not row.captioner.strip() or not row.source.strip() or not row.values:
            faults.append(Fault(where, "a reported row needs a captioner, a source and values"))
        if row.url and not row.url.startswith(("https://", "http://")):
            faults.append(Fault(where, f"url is no web address: {row.url!r}"))
    if faults:
        raise BadData(f"{path} is not as it should be:", faults)
    return rows
