"""Runs in other people's forms: the model-index of Hugging Face model cards, and Every Eval Ever's records.

model-index: https://github.com/huggingface/hub-docs/blob/main/modelcard.md. Every Eval Ever: eval.schema.json
0.2.1 of https://github.com/evaleval/every_eval_ever. Every text is written as a JSON string, which YAML reads too.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from capbench import codec, stats, store
from capbench.leaderboard.boards import Board, Head, Line
from capbench.leaderboard.entries import Entry
from capbench.types import Summary

SCHEMA = "0.2.1"


def model_index(boards: Sequence[Board]) -> str:
    """All systems as the ``model-index`` of a model card, in YAML; a card keeps its own model's part."""
    names: dict[str, list[tuple[Board, Line]]] = {}
    for board in boards:
        for line in board.lines:
            names.setdefault(line.label, []).append((board, line))
    lines = ["model-index:"]
    for name, places in names.items():
        lines += [f"- name: {text(name)}", "  results:"]
        for board, line in places:
            lines += result_lines(board, line)
    return "\n".join(lines) + "\n"


def result_lines(board: Board, line: Line) -> Iterator[str]:
    """One benchmark's numbers of one system."""
    yield "  - task:"
    yield "      type: image-to-text"
    yield "      name: Image captioning"
    yield "    dataset:"
    yield f"      type: {text(board.benchmark)}"
    yield f"      name: {text(board.benchmark)}"
    yield f"      revision: {text(line.data)}"
    yield "      args:"
    yield f"        version: {board.version}"
    yield f"        items: {board.items}"
    yield "    metrics:"
    for column, found in numbers(board, line):
        yield f"    - type: {text(column.column)}"
        yield f"      name: {text(column.label)}"
        yield f"      value: {json.dumps(found.value)}"
        yield "      args:"
        yield f"        signature: {text(found.signature)}"
        yield f"        n: {found.n}"
        yield f"        unscored: {found.unscored}"
        if found.low is not None and found.high is not None:
            yield f"        interval_95: [{json.dumps(found.low)}, {json.dumps(found.high)}]"


def text(value: str) -> str:
    """A JSON string; lone surrogates, which no YAML file can hold, are written out first."""
    return json.dumps(value.encode("utf-8", "backslashreplace").decode(), ensure_ascii=True)


def numbers(board: Board, line: Line) -> Iterator[tuple[Head, Summary]]:
    """The numbers that a system has."""
    for column, found in zip(board.columns, line.cells, strict=True):
        if found is not None and found.value is not None:
            yield column, found


def export(boards: Sequence[Board], entries: Sequence[Entry], target: Path) -> list[Path]:
    """Write one Every Eval Ever record a run below ``target``, named as the run's folder is.

    Raises:
        UsageError: a file is in the place of the folder.
    """
    by_run = {(e.record.identity.benchmark, e.record.identity.version, e.folder.name): e for e in entries}
    written = []
    for board in boards:
        place = target / slug(board.benchmark)
        store.make_folder(place)
        for line in board.lines:
            entry = by_run[board.benchmark, board.version, line.run]
            path = place / f"{line.run}.json"
            store.write_file(path, (codec.to_json(record_of(board, line, entry)) + "\n").encode())
            written.append(path)
    return written


def slug(name: str) -> str:
    """A benchmark's name as a folder's."""
    return "".join(ch if ch.isalnum() or ch in "._-" else "-" for ch in name).strip(".") or "benchmark"


def record_of(board: Board, line: Line, entry: Entry) -> dict[str, Any]:
    """One run; who evaluated it and for whom is not known here, and said so."""
    circumstance = entry.record.circumstance
    finished = str(circumstance.get("finished", ""))
    epoch = str(int(dt.datetime.fromisoformat(finished).timestamp())) if finished else "0"
    details = {"captioner": line.captioner, "device": str(circumstance.get("device", ""))}
    if line.seconds is not None:
        details["seconds_a_caption"] = repr(line.seconds)
    return {
        "schema_version": SCHEMA,
        "evaluation_id": f"{board.benchmark}/{line.run}/{epoch}",
        "evaluation_timestamp": finished,
        "retrieved_timestamp": epoch,
        "source_metadata": {
            "source_name": "capbench",
            "source_type": "evaluation_run",
            "source_organization_name": "not stated",
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "capbench", "version": made_with(circumstance)},
        "model_info": {"name": line.label, "id": line.label, "additional_details": details},
        "evaluation_results": [result_of(board, line, column, found) for column, found in numbers(board, line)],
    }


def made_with(circumstance: dict[str, Any]) -> str:
    """The release that scored the run."""
    versions = circumstance.get("versions")
    return str(versions.get("capbench", version("capbench"))) if isinstance(versions, dict) else version("capbench")


def result_of(board: Board, line: Line, column: Head, found: Summary) -> dict[str, Any]:
    """One number."""
    score: dict[str, Any] = {"score": found.value, "details": {"unscored": str(found.unscored)}}
    if found.low is not None and found.high is not None:
        score["uncertainty"] = {
            "confidence_interval": {
                "lower": found.low, "upper": found.high, "confidence_level": stats.LEVEL,
                "method": "percentile bootstrap",
            },
            "num_samples": found.n,
            "num_bootstrap_samples": stats.RESAMPLES,
        }  # fmt: skip
    return {
        "evaluation_name": column.label,
        "source_data": {
            "dataset_name": board.benchmark,
            "source_type": "other",
            "additional_details": {"version": str(board.version), "items": str(board.items), "data": line.data},
        },
        "metric_config": {
            "evaluation_description": found.signature,
            "lower_is_better": column.better == "low",
            "additional_details": {"signature": found.signature, "column": found.column},
        },
        "score_details": score,
    }
