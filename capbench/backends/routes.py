"""Which way an encoder of torch is computed: by torch, or on the CPU by an export that was found equal to it.

docs/decisions/encoder-routes.md says why the route is not in the signature.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from capbench.backends.encoding import Session
from capbench.backends.onnx import CARD, Onnx, read_card
from capbench.backends.torch_towers import torch_session
from capbench.errors import MissingPart
from capbench.paths import cache_root
from capbench.protocols import Problem
from capbench.signature import short_hash

RUNTIMES = ("auto", "torch", "onnx")
EQUAL = 1e-5  # the largest difference of a cosine with which an export may stand for its original unasked
EXPORT = "make one: capbench export-encoder SPEC"


def cached_folder(fingerprint: str) -> Path:
    """Where an export lies that stands for an encoder with this fingerprint."""
    return cache_root() / "encoders" / short_hash(fingerprint)


def stand_in(fingerprint: str) -> Path | None:
    """The export in the cache that may compute in an encoder's name, if there is one.

    It must have been made from this very encoder and have agreed with it to ``EQUAL``, by the ONNX Runtime that is
    installed now.
    """
    folder = cached_folder(fingerprint)
    if not (folder / CARD).is_file() or Onnx(str(folder)).check() is not None:
        return None
    card = read_card(folder)
    agreed = card.agreement
    if card.source != fingerprint or agreed is None or agreed.onnxruntime != importlib.metadata.version("onnxruntime"):
        return None
    return folder if max(agreed.cosine, agreed.vector) <= EQUAL else None


def route(runtime: str, precision: str, device: str, fingerprint: Callable[[], str]) -> Path | None:
    """The export to compute with; None for torch.

    Raises:
        MissingPart: an export is insisted on, and there is none.
    """
    if runtime == "torch" or (runtime == "auto" and (device != "cpu" or precision != "fp32")):
        return None
    folder = stand_in(fingerprint())
    if folder is None and runtime == "onnx":
        raise MissingPart("no export in the cache stands for this encoder", EXPORT)
    return folder


def opened(encoder: Any, device: str) -> AbstractContextManager[Session]:
    """A session of an encoder of torch (``OpenClip`` or ``Hf``): of the export that stands for it, or its own."""
    export = route(encoder.runtime, encoder.precision, device, encoder.fingerprint)
    if export is not None:
        return Onnx(str(export), encoder.batch, encoder.threads).open(device)
    return torch_session(encoder.load(), device, encoder.precision, encoder.batch, encoder.threads)


def route_problem(runtime: str, precision: str, fingerprint: Callable[[], str]) -> Problem | None:
    """What keeps the runtime that was asked for from being used."""
    if runtime not in RUNTIMES:
        return Problem(f"runtime is one of {', '.join(RUNTIMES)}, not {runtime!r}", "leave it out for auto")
    if runtime != "onnx":
        return None
    if precision != "fp32":
        return Problem("exports compute in fp32 only", "leave out runtime, or precision")
    return None if stand_in(fingerprint()) else Problem("no export in the cache stands for this encoder", EXPORT)
