"""The replies that a run used, from its folder into one file that others can compute it from."""

from __future__ import annotations

from pathlib import Path

from capbench import plugins, store
from capbench.details import read_details
from capbench.errors import BadData, MissingPart
from capbench.judges.recorded import Recording, written
from capbench.protocols import JudgeReply
from capbench.replies import unpacked
from capbench.resolve import closure, is_derived
from capbench.store import write_file


def export(folders: list[Path], target: Path) -> tuple[int, int]:
    """Write every reply that these runs' judges gave; how many replies and judges that is.

    Raises:
        BadData: a folder is no run, or is damaged. MissingPart: a run has no judge's replies.
    """
    judges: dict[str, str] = {}
    replies: dict[str, dict[str, JudgeReply]] = {}
    for folder in folders:
        found = 0
        record = store.read_record(folder)
        names = {summary.short: summary.metric for summary in store.read_summary(folder)}
        for stated in record.metrics:
            details = read_details(folder, f"{names.get(stated.short, '')}#{stated.short}")
            exchanges = [one for line in details.values() for one in line.get("exchanges", ())]
            if not exchanges:
                continue
            name = judge_of(stated.spec)
            mark = judges[name] = record.backends[name]
            kept = replies.setdefault(mark, {})
            own = {one["key"]: unpacked(one["reply"], str(folder)) for one in exchanges if "reply" in one}
            kept.update(own)
            found += len(own)
        if not found:
            raise MissingPart(
                f"{folder} holds no replies of a judge", "run it with a judge: -m \"judge(rubric='clair')\""
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
