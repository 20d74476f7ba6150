"""The folders of runs below another one: found, and picked by the word that a user has for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from capbench.errors import CapbenchError, UsageError
from capbench.store import RUN, Record, read_record


def pick_run(word: str, root: Path) -> Path:
    """The folder of the run that a word means.

    word: a folder that holds a run, the beginning of a run's folder name or of its id (the 6 digits at the
    end) below ``root``, or ``latest``: the run below ``root`` that finished last.

    Raises:
        UsageError: none or several are meant.
    """
    if (Path(word) / RUN).exists():
        return Path(word)
    folders = find_runs(root)
    if word == "latest":
        finished = [
            (str(record.circumstance.get("finished", "")), (folder / RUN).stat().st_mtime_ns, folder)
            for folder, record in finished_runs(folders)
        ]
        if not finished:
            raise UsageError(f"there is no finished run below {root}", "capbench run CAPTIONER -b BENCHMARK")
        return max(finished)[2]
    if not word:
        raise UsageError("an empty word names no run")
    meant = [f for f in folders if f.name == word or str(f.relative_to(root)) == word]
    meant = meant or [f for f in folders if f.name.startswith(word) or f.name.rpartition("-")[2].startswith(word)]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UsageError(
            f"{word!r} may be any of {len(meant)} runs: {', '.join(str(f) for f in meant[:5])}", "write more of one"
        )
    names = ", ".join(f.name for f in folders[:10]) or "there is none"
    raise UsageError(
        f"no run is called {word!r} below {root}", f"give a folder, `latest`, or the start of one: {names}"
    )


def finished_runs(folders: Iterable[Path]) -> Iterator[tuple[Path, Record]]:
    """Those that are finished and can be read."""
    for folder in folders:
        try:
            record = read_record(folder)
        except (CapbenchError, OSError):
            continue
        if record.status == "finished":
            yield folder, record


def find_runs(root: Path) -> list[Path]:
    """The folders below ``root`` that hold a run, in name order."""
    return sorted(path.parent for path in root.glob("**/" + RUN))
