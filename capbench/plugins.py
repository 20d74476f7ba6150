"""Finding parts by name: entry points, one-file plugins, and the one spec syntax for both.

A spec is ``name``, ``name(param=1, other='x')``, ``dist/name``, ``./file.py:Attr(param=1)`` or
``pkg.module:Attr``. It is parsed with ``ast``: keywords and literals only, nothing is evaluated.
Listing reads package metadata only; a plugin is imported when it is used.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from capbench.errors import CapbenchError, UsageError

GROUPS = ("metrics", "captioners", "backends", "datasets")
OWN = "capbench"
SPEC = re.compile(r"\s*(?P<target>[^()]+?)\s*(?P<call>\(.*\))?\s*", re.DOTALL)
SIMPLE_TYPES = {"str": str, "int": int, "float": float, "bool": bool}


class Loaded(NamedTuple):
    """A part, and where it came from: "" for capbench's own, else by:dist@version or src:digest."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec: what to load and with which parameters."""

    target: str
    params: Mapping[str, Any]


def parse(text: str) -> Spec:
    """Read a spec.

    Raises:
        UsageError: not a name with keyword literals.
    """
    match = SPEC.fullmatch(text)
    if match is None:
        raise UsageError(f"cannot read {text!r}", "write name or name(param=1, other='x')")
    call = match["call"]
    if call is None:
        return Spec(match["target"], {})
    try:
        node = ast.parse("f" + call, mode="eval").body
        if not isinstance(node, ast.Call) or node.args or any(k.arg is None for k in node.keywords):
            raise ValueError("only keyword parameters")  # noqa: TRY301 -- one message for all of it
        params = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
    except (ValueError, SyntaxError) as error:
        raise UsageError(
            f"cannot read the parameters of {text!r}: {error}",
            "keywords with literal values only, as in name(size=100, order='file'); text needs quotes",
        ) from error
    return Spec(match["target"], params)


def installed(group: str) -> dict[str, list[EntryPoint]]:
    """Entry points of a group by name, from metadata alone; CAPBENCH_PLUGINS=off hides others' parts."""
    found: dict[str, list[EntryPoint]] = {}
    own_only = os.environ.get("CAPBENCH_PLUGINS") == "off"
    for entry in entry_points(group=f"{OWN}.{group}"):
        same = found.setdefault(entry.name, [])
        already = any(e.value == entry.value and distribution(e) == distribution(entry) for e in same)
        if not already and not (own_only and distribution(entry) != OWN):
            same.append(entry)
    return {name: entries for name, entries in sorted(found.items()) if entries}


def distribution(entry: EntryPoint) -> str:
    """The name of the package that declares an entry point."""
    return entry.dist.name if entry.dist is not None else "?"


def load(group: str, text: str) -> Loaded:
    """Build the part that a spec names.

    Raises:
        UsageError: unknown name, unknown or mistyped parameter, or the plugin fails to import.
    """
    spec = parse(text)
    target, origin = attribute(spec.target) if ":" in spec.target else entry_point(group, spec.target)
    return Loaded(build(target, spec, text), origin)


def entry_point(group: str, name: str) -> tuple[Any, str]:
    """The object behind ``name`` or ``dist/name``, and its origin."""
    wanted, _, short = name.rpartition("/")
    names = installed(group)
    entries = [e for e in names.get(short, []) if wanted in ("", distribution(e))]
    if not entries:
        near = difflib.get_close_matches(short, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"capbench list {group} shows what there is"
        raise UsageError(f"no {group.removesuffix('s')} is called {name!r}", hint)
    if len(entries) > 1:
        dists = [distribution(e) for e in entries]
        raise UsageError(f"{short!r} comes from {' and '.join(dists)}", f"write {dists[0]}/{short}")
    entry = entries[0]
    try:
        value = entry.load()
    except CapbenchError:
        raise
    except Exception as error:
        raise UsageError(
            f"the plugin {short!r} of {distribution(entry)} ({entry.value}) fails to import: "
            f"{type(error).__name__}: {error}",
            f"capbench -v list {group} shows the traceback",
        ) from error
    return value, origin_of(entry)


def origin_of(entry: EntryPoint) -> str:
    """by:dist@version for somebody else's entry point."""
    if entry.dist is None or entry.dist.name == OWN:
        return ""
    return f"by:{entry.dist.name}@{entry.dist.version}"


def attribute(target: str) -> tuple[Any, str]:
    """The object behind ``file.py:Attr`` or ``pkg.module:Attr``, and its origin."""
    place, _, name = target.rpartition(":")
    try:
        module, origin = file_module(Path(place)) if place.endswith(".py") else package_module(place)
    except CapbenchError:
        raise
    except Exception as error:
        raise UsageError(f"{place} fails to import: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, vars(module), n=2)
        raise UsageError(f"{place} has no {name!r}", f"did you mean {' or '.join(near)}?" if near else "")
    return getattr(module, name), origin


def file_module(path: Path) -> tuple[Any, str]:
    """Import one file under a name made of its digest, so that an edited file is a new module."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}", "give the path of the one-file plugin as ./file.py:Attr")
    digest = hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()
    name = f"capbench_file_{path.stem}_{digest}"
    if name not in sys.modules:
        found = importlib.util.spec_from_file_location(name, path)
        if found is None or found.loader is None:
            raise UsageError(f"{path} is not a Python file")
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        try:
            found.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name], f"src:{digest}"


def package_module(name: str) -> tuple[Any, str]:
    """Import an installed module; its origin is its distribution where that is known."""
    from importlib.metadata import packages_distributions, version

    module = importlib.import_module(name)
    dist = packages_distributions().get(name.partition(".")[0], ["?"])[0]
    if dist == OWN:
        return module, ""
    return module, f"by:{dist}@{version(dist) if dist != '?' else '?'}"


def build(target: Any, spec: Spec, text: str) -> Any:
    """Call the class with the spec's parameters, checked against its dataclass fields."""
    if not callable(target):
        if spec.params:
            raise UsageError(f"{spec.target} is a ready value and takes no parameters")
        return target
    make: Any = target
    if not dataclasses.is_dataclass(target):
        return make(**spec.params)
    fields = {f.name: f for f in dataclasses.fields(target) if f.init}
    for name, value in spec.params.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"{spec.target} has no parameter {name!r}", f"{hint}it takes: {', '.join(fields) or 'none'}"
            )
        check_type(spec.target, name, str(fields[name].type), value)
    required = [
        f.name for f in fields.values() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    absent = [name for name in required if name not in spec.params]
    if absent:
        raise UsageError(f"{text!r} lacks {', '.join(absent)}", f"write {spec.target}({absent[0]}=...)")
    widened = {n: float(v) if fields[n].type == "float" and isinstance(v, int) else v for n, v in spec.params.items()}
    return make(**widened)


def check_type(target: str, name: str, annotation: str, value: Any) -> None:
    """Refuse a value of another simple type; an int may stand for a float, a bool for nothing else."""
    wanted = SIMPLE_TYPES.get(annotation.removeprefix("<class '").removesuffix("'>"))
    if wanted is None or (type(value) is wanted) or (wanted is float and type(value) is int):
        return
    raise UsageError(f"{target}: {name} takes a {wanted.__name__}, not {value!r}")
