"""Models of transformers, by the hub's id or in a folder: where they are, what they lack, their names and digests.

Encoders, parsers, captioners, judges and bertscore ask here, so that all of them say the same of the same model.
Nothing is fetched: a model of the hub is one that the hub's own tools have put into their cache.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from capbench.errors import CapbenchError, MissingPart
from capbench.libraries import libraries_problem
from capbench.protocols import Problem
from capbench.weights import DESCRIPTIONS, WEIGHTS, files, files_digest, hub_file

CONFIG = "config.json"


def is_folder(model: str) -> bool:
    """Whether a model is a folder, and not an id of the hub."""
    return (Path(model) / CONFIG).is_file()


def found(model: str, revision: str = "") -> Path | None:
    """Where a model is, if anywhere: the folder itself, or its snapshot of the revision in the hub's cache."""
    if is_folder(model):
        return Path(model)
    config = hub_file(model, CONFIG, revision)
    return config.parent if config else None


def folder_of(model: str, part: str, revision: str = "", note: str = "") -> Path:
    """Where a model is. part: the name under which it is given, for the cure. note: what is said besides.

    Raises:
        MissingPart: nowhere.
    """
    folder = found(model, revision)
    if folder is None:
        of, option = (f" of revision {revision}", f" --revision {revision}") if revision else ("", "")
        raise MissingPart(
            f"no model {model!r}{of}: neither a folder with a config.json nor in the hub's cache{note}",
            f"hf download {model}{option}, or give a folder: {part}",
        )
    return folder


def model_problem(libraries: Sequence[str], install: str, folder: Callable[[], Path]) -> Problem | None:
    """The first thing that is missing, if any: a library, the folder, or weights in it.

    folder: gives the folder, or raises MissingPart; it is not asked where a library is missing.
    """
    if (problem := libraries_problem(libraries, install)) is not None:
        return problem
    try:
        return weights_problem(folder())
    except MissingPart as error:
        return Problem(error.message, error.cure)


def weights_problem(folder: Path) -> Problem | None:
    """Whether there are no weights in a folder."""
    if files(folder, WEIGHTS):
        return None
    return Problem(f"no weights in {folder}", f"one of {', '.join(WEIGHTS)} belongs there")


def model_name(model: str) -> str:
    """What a model is called in signatures: its id, or the folder's name."""
    return Path(model).resolve().name if is_folder(model) else model


def model_digest(folder: Path) -> str:
    """A hash of weights, configuration and vocabulary in a folder."""
    return files_digest(files(folder, (*WEIGHTS, *DESCRIPTIONS)))


def model_version(model: str, folder: Path, *, code: bool) -> str:
    """What stands for a model's content: of the hub's its commit, of a folder its digest.

    code: whether the folder's own code is run, which then has a digest beside it.
    """
    if not is_folder(model):
        return folder.name
    own = files_digest(files(folder, ("*.py",))) if code else ""
    return model_digest(folder) + (f"+{own}" if own else "")


@contextmanager
def loading(what: str, cure: str = "", *, trust: bool = False) -> Iterator[dict[str, Any]]:
    """Load a model without a bar, warnings or the network; gives the settings that keep ``from_pretrained`` so.

    what: the words before the error's own, such as "transformers cannot load FOLDER". trust: run code of its own.

    Raises:
        CapbenchError: whatever the library raises, in its words.
    """
    from transformers.utils import logging

    quiet: Any = logging  # typed in some of its versions only
    quiet.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations inside the library
            yield {"local_files_only": True, "trust_remote_code": trust}
    except Exception as error:  # whatever a folder can hold
        raise CapbenchError(f"{what}: {type(error).__name__}: {error}", cure) from error
