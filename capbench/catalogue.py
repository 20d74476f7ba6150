"""What is installed, for ``capbench list``: from metadata and source text, without importing plugins."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from capbench import benchmark, plugins
from capbench.errors import CapbenchError, UsageError

Entry = dict[str, str]


def names(group: str, runs: str = "runs", *, load: bool = False) -> list[Entry]:
    """name, about and perhaps broken of each part of a group; load: also try to import others' parts."""
    if group == "benchmarks":
        return [{"name": name, "about": benchmark.read(name)[0].description} for name in benchmark.shipped()]
    if group == "runs":
        return run_names(Path(runs))
    found = []
    for name, entries in plugins.installed(group).items():
        for entry in entries:
            shown = name if len(entries) == 1 else f"{plugins.distribution(entry)}/{name}"
            line = {"name": shown, "about": about(entry)}
            broken = why_broken(group, entry) if load and plugins.distribution(entry) != plugins.OWN else ""
            found.append(line | ({"broken": broken} if broken else {}))
    return found


def run_names(root: Path) -> list[Entry]:
    """The runs below a folder, with what they are."""
    from capbench import run_folders, store

    found = []
    for folder in run_folders.find_runs(root):
        try:
            record = store.read_record(folder)
            text = f"{record.label} on {record.identity.benchmark}, {record.identity.items} items, {record.status}"
            found.append({"name": str(folder), "about": text})
        except CapbenchError as error:
            found.append({"name": str(folder), "about": "", "broken": error.message})
    return found


def about(entry: EntryPoint) -> str:
    """The first line of what the part says of itself; for other packages' parts, whose they are."""
    if plugins.distribution(entry) != plugins.OWN:
        dist = entry.dist
        return f"of {dist.name} {dist.version}: {dist.metadata['Summary'] or ''}" if dist is not None else ""
    module, _, name = entry.value.partition(":")
    place = Path(__file__).parent.joinpath(*module.split(".")[1:])
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not source.is_file():
        return "missing from this installation"
    classes = [node for node in ast.parse(source.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    docs = [ast.get_docstring(node) or "" for node in classes if node.name == name]
    return docs[0].partition("\n")[0] if docs else ""


def why_broken(group: str, entry: EntryPoint) -> str:
    """Why the part does not import, or "" when it does."""
    try:
        plugins.entry_point(group, f"{plugins.distribution(entry)}/{entry.name}")
    except UsageError as error:
        return error.message
    return ""


def describe(name: str) -> dict[str, Any]:
    """What a part takes and gives: group, parameters with defaults, columns, needs.

    Raises:
        UsageError: no part of any group is called that, or it fails to import.
    """
    if name in benchmark.shipped():
        return describe_benchmark(name)
    groups = [group for group in plugins.GROUPS if name.rpartition("/")[2] in plugins.installed(group)]
    if not groups:
        everything = [n for group in plugins.GROUPS for n in plugins.installed(group)]
        import difflib

        near = difflib.get_close_matches(name, everything, n=3)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"groups: {', '.join(plugins.GROUPS)}, benchmarks, runs"
        )
        raise UsageError(f"nothing is called {name!r}", hint)
    return {"name": name, "parts": [describe_part(group, name) for group in groups]}


def describe_part(group: str, name: str) -> dict[str, Any]:
    """One part of one group."""
    target, origin = plugins.entry_point(group, name)
    part: dict[str, Any] = {
        "group": group,
        "about": inspect.getdoc(target) or "",
        "origin": origin or plugins.OWN,
    }
    if dataclasses.is_dataclass(target):
        part["parameters"] = {f.name: parameter(f) for f in dataclasses.fields(target) if f.init}
    if group == "metrics":
        part["columns"] = {key: dataclasses.asdict(column) for key, column in target.columns.items()}
        try:
            part["needs"] = {key: repr(need) for key, need in target().needs.items()}
        except TypeError:  # a metric with a parameter that has no default
            part["needs"] = {}
    return part


def parameter(field: dataclasses.Field[Any]) -> str:
    """A field's type and default."""
    kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    return str(kind) if field.default is dataclasses.MISSING else f"{kind} = {field.default!r}"


def describe_benchmark(name: str) -> dict[str, Any]:
    """What a shipped benchmark's file says."""
    made, _ = benchmark.read(name)
    return {
        "name": name,
        "parts": [{"group": "benchmarks", "about": made.description, **dataclasses.asdict(made)}],
    }


def text_of(described: dict[str, Any]) -> str:
    """The description for people."""
    lines: list[str] = []
    for part in described["parts"]:
        lines += [f"{described['name']} ({part['group']})", "", part["about"], ""]
        for key, value in part.items():
            if key in ("group", "about") or not value:
                continue
            lines.append(f"{key}:")
            pairs = value.items() if isinstance(value, dict) else [("", value)]
            lines += [f"  {k}: {v}" if k else f"  {v}" for k, v in pairs]
    return "\n".join(lines).rstrip()
