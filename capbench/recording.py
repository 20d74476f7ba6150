"""The replies that a run used, from its folder into one file that others can compute it from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from capbench import plugins, store
from capbench.details import Details, read_details
from capbench.errors import BadData, MissingPart
from capbench.judges.recorded import Recording, written
from capbench.protocols import JudgeReply
from capbench.replies import unpacked
from capbench.resolve import closure, is_derived
from capbench.store import Record, Run, write_file

Source = tuple[str, Record, Mapping[str, Details]]  # what it is called, and the details of metrics by short signature
Exchanges = Iterable[Mapping[str, Any]]


def export(folders: Iterable[Path], target: Path) -> tuple[int, int]:
    """Write every reply that these runs' judges gave; how many replies and judges that is.

    Raises:
        BadData: a folder is no run, or is damaged. MissingPart: a run has no judge's replies.
    """
    return write(map(kept_in, folders), target)


def export_run(run: Run, target: Path) -> tuple[int, int]:
    """As ``export``, of a run that has just been made and is kept in no folder."""
    said = {one.key.rpartition("#")[2]: one.details for one in run.scored}
    return write([(run.record.label, run.record, said)], target)


def export_asked(judge: str, fingerprint: str, exchanges: Exchanges, target: Path) -> None:
    """As ``export``, of a judge that was asked outside of any run: there may be no reply at all.

    judge: the spec or alias it is named by. exchanges: all that was asked, as ``details`` of a run has it.
    """
    recording = Recording({judge: fingerprint}, {fingerprint: replies_in(exchanges, judge)})
    write_file(target, written(recording))


def replies_in(exchanges: Exchanges, where: str) -> dict[str, JudgeReply]:
    """Key -> reply of what was answered."""
    return {one["key"]: unpacked(one["reply"], where) for one in exchanges if "reply" in one}


def kept_in(folder: Path) -> Source:
    """What a run's folder holds."""
    record = store.read_record(folder)
    names = {summary.short: summary.metric for summary in store.read_summary(folder)}
    shorts = [stated.short for stated in record.metrics]
    return str(folder), record, {short: read_details(folder, f"{names.get(short, '')}#{short}") for short in shorts}


def write(sources: Iterable[Source], target: Path) -> tuple[int, int]:
    """Write the replies of runs; how many of them, and of how many judges."""
    judges: dict[str, str] = {}
    replies: dict[str, dict[str, JudgeReply]] = {}
    for where, record, said in sources:
        found = 0
        for stated in record.metrics:
            exchanges = [one for line in said.get(stated.short, {}).values() for one in line.get("exchanges", ())]
            if not exchanges:
                continue
            name = judge_of(stated.spec)
            mark = judges[name] = record.backends[name]
            own = replies_in(exchanges, where)
            replies.setdefault(mark, {}).update(own)
            found += len(own)
        if not found:
            raise MissingPart(
                f"{where} holds no replies of a judge", "run it with a judge: -m \"judge(rubric='clair')\""
            )
    write_file(target, written(Recording(judges, replies)))
    return sum(map(len, replies.values())), len(replies)


def judge_of(spec: str) -> str:
    """The spec or alias of the judge that a metric names.

    Raises:
        BadData: it names none.
    """
    metric = plugins.load("metrics", spec).value
    names = [n.backend for n in closure(metric.needs.values()) if is_derived(n) and n.backend_kind == "judge"]
    if not names:
        raise BadData(f"the metric {spec} has replies and no judge")
    return names[0]
