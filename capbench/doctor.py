"""What is installed, what is missing, and what to type."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import tomllib
from pathlib import Path
from typing import Any

from capbench import benchmark, plugins, testing
from capbench.cache import cache_file
from capbench.catalogue import why_broken
from capbench.errors import CapbenchError, UsageError
from capbench.paths import ELSEWHERE, no_folder

EXTRAS = {
    "pycocoevalcap": "coco",
    "sacrebleu": "lang",
    "MeCab": "ja",
    "bert_score": "bert",
    "eccv_caption": "eccv",
    "faiss": "faiss",
    "open_clip": "clip",
    "transformers": "hf",
    "onnxruntime": "onnx",
    "onnxscript": "export",
}  # module -> the extra that brings it
Line = dict[str, str]


def look() -> list[Line]:
    """One line a finding: state ("ok", "missing", "broken"), what, cure."""
    why = no_folder("")
    cache = line("missing", f"cache: {why}", ELSEWHERE) if why else line("ok", f"cache {cache_file()}")
    lines = [line("ok", f"Python {platform.python_version()}"), cache]
    lines += [package(name) for name in ("numpy", "pandas", "pyarrow", "pillow", "click", "cattrs", "tqdm")]
    for module, extra in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        lines.append(line("ok" if there else "missing", module, "" if there else f"pip install 'capbench[{extra}]'"))
    java = shutil.which("java")
    lines.append(
        line(
            "ok" if java else "missing",
            f"java {java or ''}".strip(),
            "" if java else "only ptb_java needs it: install a JRE",
        )
    )
    return [*lines, *parts(), *entries_against_project(), *benchmarks()]


def line(state: str, what: str, cure: str = "") -> Line:
    """One finding."""
    return {"state": state, "what": what, "cure": cure}


def package(name: str) -> Line:
    """A package of the base install, with its version."""
    try:
        return line("ok", f"{name} {importlib.metadata.version(name)}")
    except importlib.metadata.PackageNotFoundError:
        return line("missing", name, f"pip install {name}")


def parts() -> list[Line]:
    """Every installed part: whether it imports."""
    lines = []
    for group in plugins.GROUPS:
        broken = [
            line("broken", why, f"pip install --force-reinstall {plugins.distribution(entry)}")
            for entries in plugins.installed(group).values()
            for entry in entries
            if (why := why_broken(group, entry))
        ]
        lines += broken or [line("ok", f"{len(plugins.installed(group))} {group} import")]
    return lines


def entries_against_project() -> list[Line]:
    """In a checkout: whether the installed entry points are those of pyproject.toml."""
    project = Path(__file__).parent.parent / "pyproject.toml"
    if not project.is_file():
        return []
    stated = tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("entry-points", {})
    lines = []
    for group in plugins.GROUPS:
        own = {
            name
            for name, entries in plugins.installed(group).items()
            if any(plugins.distribution(e) == plugins.OWN for e in entries)
        }
        wanted = set(stated.get(f"{plugins.OWN}.{group}", {}))
        if own != wanted:
            names = ", ".join(sorted(own ^ wanted))
            lines.append(line("broken", f"{group} edited but not reinstalled: {names}", "pip install -e ."))
    return lines


def benchmarks() -> list[Line]:
    """Each shipped benchmark: whether its data are there."""
    lines = []
    for name in benchmark.shipped():
        try:
            made = benchmark.load(name)
            lines.append(line("ok", f"benchmark {name}: {len(made.samples)} items"))
        except CapbenchError as error:
            lines.append(line("missing", f"benchmark {name}: {error.message.splitlines()[0]}", error.cure))
    return lines


def check_spec(spec: str) -> list[str]:
    """Put a plugin through the checks of its kind; what was checked.

    Raises:
        CheckFailed: with everything that does not hold.
        UsageError: it is no metric, captioner, backend or dataset.
    """
    value, origin = find(spec)
    kinds = {
        "metric": hasattr(value, "rows"),
        "backend": hasattr(value, "kind") and hasattr(value, "open"),
        "captioner": any(hasattr(value, name) for name in ("captions", "open", "inner")),
        "dataset": hasattr(value, "load"),
    }
    kind = next((name for name, fits in kinds.items() if fits), "")
    if not kind:
        raise UsageError(
            f"{spec} is no metric, captioner, backend or dataset", "docs/plugins.md shows the shape of each"
        )
    checks: Any = {
        "metric": testing.check_metric,
        "backend": testing.check_backend,
        "captioner": testing.check_captioner,
        "dataset": testing.check_dataset,
    }
    passed: list[str] = checks[kind](value)
    return [f"{spec} is a {kind}" + (f" ({origin})" if origin else ""), *passed]


def find(spec: str) -> plugins.Loaded:
    """The part behind a spec, in whichever group it is."""
    if ":" in plugins.parse(spec).target:
        return plugins.load("metrics", spec)
    target = plugins.parse(spec).target.rpartition("/")[2]
    groups = [group for group in plugins.GROUPS if target in plugins.installed(group)]
    return plugins.load(groups[0] if groups else "metrics", spec)
