"""Files of models: where the hub's own tools have put them, and what stands for their content in signatures.

Nothing is fetched here, so a run's model cannot change under it; the plan says what is missing and what to type.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
DESCRIPTIONS = ("*.json", "*.txt", "*.model")  # configurations, vocabularies, merges


def files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of a folder by name, each pattern's in turn."""
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def files_digest(paths: Iterable[Path]) -> str:
    """A hash of files' names and bytes, read anew only when one of them has changed."""
    return stamped_digest(tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths))


@lru_cache(maxsize=32)
def stamped_digest(stamps: tuple[tuple[str, int, int], ...]) -> str:
    """The hash of these files' names and bytes."""
    state = hashlib.blake2b(digest_size=8)
    for path, size, _ in stamps:
        state.update(f"{Path(path).name}\n{size}\n".encode())
        with Path(path).open("rb") as file:
            while block := file.read(1 << 24):
                state.update(block)
    return state.hexdigest()


def hub_file(model: str, name: str, revision: str = "") -> Path | None:
    """A file of a model in the hub's cache; None where it is not there, ``model`` can be no hub id, or there is no hub.

    revision: a branch, tag or commit ("": the main branch).
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, name, revision=revision or None)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None
