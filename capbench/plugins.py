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
import importlib.abc
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
        params = keywords(ast.parse("f" + call, mode="eval").body)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise UsageError(
            f"cannot read the parameters of {text!r}: {error}",
            "keywords with literal values only, as in name(size=100, order='file'); text needs quotes",
        ) from error
    return Spec(match["target"], params)


def keywords(node: ast.expr) -> dict[str, Any]:
    """The literal keyword parameters of one plain call.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        raise ValueError("only keyword parameters")
    params: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in params:
            raise ValueError("each parameter once, by its name")
        params[keyword.arg] = ast.literal_eval(keyword.value)
    return params


def installed(group: str) -> dict[str, list[EntryPoint]]:
    """Entry points of a group by name, from metadata alone; CAPBENCH_PLUGINS=off hides others' parts."""
    found: dict[str, list[EntryPoint]] = {}
    own_only = os.environ.get("CAPBENCH_PLUGINS") == "off"
    names: dict[int, str] = {}  # by package: for its name all its metadata is parsed
    for entry in entry_points(group=f"{OWN}.{group}"):
        if (package := names.get(id(entry.dist))) is None:
            package = names[id(entry.dist)] = distribution(entry)
        same = found.setdefault(entry.name, [])
        already = any(e.value == entry.value and names[id(e.dist)] == package for e in same)
        if not already and not (own_only and package != OWN):
            same.append(entry)
    return {name: entries for name, entries in sorted(found.items()) if entries}


def distribution(entry: EntryPoint) -> str:
    """The name of the package that declares an entry point."""
    return entry.dist.name if entry.dist is not None else "?"


def load(group: str, text: str, defaults: Mapping[str, Any] | None = None) -> Loaded:
    """Build the part that a spec names.

    defaults: values of parameters that the spec leaves out; a part that has no such parameter goes without.

    Raises:
        UsageError: unknown name, unknown or mistyped parameter, or the plugin fails to import.
    """
    spec = parse(text)
    target, origin = named(group, spec.target)
    spec = Spec(spec.target, {**usable(target, defaults or {}), **spec.params})
    return Loaded(build(target, spec, text), origin)


def named(group: str, target: str) -> tuple[Any, str]:
    """The object that a spec's target names, and its origin."""
    return attribute(target) if ":" in target else entry_point(group, target)


def parameters(group: str, text: str) -> dict[str, Any]:
    """The parameters that the part behind a spec takes, with the types they state; none for what is no dataclass.

    Raises:
        UsageError: an unknown name, or the plugin fails to import.
    """
    return parameters_of(named(group, parse(text).target)[0])


def parameters_of(target: Any) -> dict[str, Any]:
    """The fields that a dataclass is made with, and their types."""
    if not isinstance(target, type) or not dataclasses.is_dataclass(target):
        return {}
    return {field.name: field.type for field in dataclasses.fields(target) if field.init}


def usable(target: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Of these values, those for which a dataclass has a field of that name and type."""
    kinds = {name: simple_type(kind) for name, kind in parameters_of(target).items()}
    return {name: value for name, value in defaults.items() if name in kinds and kinds[name] in (None, type(value))}


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
    data = path.read_bytes()
    digest = hashlib.blake2b(data, digest_size=6).hexdigest()
    name = f"capbench_file_{path.stem}_{digest}"
    if name not in sys.modules:
        found = importlib.util.spec_from_file_location(name, path, loader=FromBytes(str(path.resolve()), data))
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


class FromBytes(importlib.abc.SourceLoader):
    """Loads the very bytes that were digested: bytecode of an earlier edit within the second is not asked for."""

    def __init__(self, path: str, data: bytes) -> None:
        self._path, self._data = path, data

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002 -- the protocol's shape
        """Where the file is."""
        return self._path

    def get_data(self, path: str) -> bytes:  # noqa: ARG002 -- the protocol's shape
        """What is in it."""
        return self._data


def package_module(name: str) -> tuple[Any, str]:
    """Import an installed module; its origin is its distribution where that is known."""
    from importlib.metadata import packages_distributions, version

    module = importlib.import_module(name)
    if name.partition(".")[0] == OWN:  # an editable install does not say which modules are its own
        return module, ""
    dist = packages_distributions().get(name.partition(".")[0], ["?"])[0]
    return module, f"by:{dist}@{version(dist) if dist != '?' else '?'}"


def build(target: Any, spec: Spec, text: str) -> Any:
    """Call the class with the spec's parameters, checked against its dataclass fields."""
    if not callable(target):
        if spec.params:
            raise UsageError(f"{spec.target} is a ready value and takes no parameters")
        return target
    make: Any = target
    if not dataclasses.is_dataclass(target):
        return made(make, spec.params, text)
    fields = {f.name: f for f in dataclasses.fields(target) if f.init}
    for name, value in spec.params.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"{spec.target} has no parameter {name!r}", f"{hint}it takes: {', '.join(fields) or 'none'}"
            )
        check_type(spec.target, name, fields[name].type, value)
    required = [
        f.name for f in fields.values() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    absent = [name for name in required if name not in spec.params]
    if absent:
        raise UsageError(f"{text!r} lacks {', '.join(absent)}", f"write {spec.target}({absent[0]}=...)")
    widened = {
        n: float(v) if simple_type(fields[n].type) is float and type(v) is int else v for n, v in spec.params.items()
    }
    return made(make, widened, text)


def made(make: Any, params: Mapping[str, Any], text: str) -> Any:
    """Call a class; what it refuses is a fault of the spec.

    Raises:
        UsageError: it does not take these parameters.
    """
    try:
        return make(**params)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{text!r} cannot be built: {type(error).__name__}: {error}") from error


def simple_type(annotation: Any) -> type | None:
    """The simple type that a field's annotation names, be it text or the type itself."""
    return SIMPLE_TYPES.get(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", ""))


def check_type(target: str, name: str, annotation: Any, value: Any) -> None:
    """Refuse a value of another simple type; an int may stand for a float, a bool for nothing else."""
    wanted = simple_type(annotation)
    if wanted is None or (type(value) is wanted) or (wanted is float and type(value) is int):
        return
    raise UsageError(f"{target}: {name} takes a {wanted.__name__}, not {value!r}")
