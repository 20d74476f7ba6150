"""Run folders with chosen numbers, and real ones of the drawn world."""

import json

import numpy as np
import pytest

import capbench
from capbench import stats, store
from capbench.signature import short_hash
from capbench.store import Identity, Record, Stated
from capbench.tables import Scored
from capbench.types import Caption, Rows, Summary

SIGNATURE = "{column}|encoder:e/1|data:d0d0|v:1"


@pytest.fixture
def folder_of(tmp_path):
    """folder_of(label, {column: values}, ...) -> the folder of a finished run with those numbers an item."""

    def make(
        label, columns, *, ids=None, better=None, signature=SIGNATURE, benchmark="bench", status="finished", bags=None,
        samples=None, captions=None, labels=None, place="", finished="2026-01-01T00:00:00+00:00", mark="",
    ):  # fmt: skip
        n = len(next(iter(columns.values())))
        ids = ids or [f"i{k:03d}" for k in range(n)]
        names = list(dict.fromkeys(ids))
        samples = np.zeros(n, np.int64) if samples is None else np.asarray(samples, np.int64)
        summaries, scored, stated = [], [], []
        for column, values in columns.items():
            text = signature.format(column=column)
            short = short_hash(text)
            items = np.array([names.index(i) for i in ids])
            rows = Rows({column: np.asarray(values, float)}, items, None if bags is None else np.asarray(bags))
            value, low, high = (None if np.isnan(x) else float(x) for x in stats.intervals(rows)[column])
            holes = int(np.isnan(rows.columns[column]).sum())
            way, shown = (better or {}).get(column, "high"), (labels or {}).get(column, column)
            summaries.append(
                Summary("clipscore", column, shown, way, value, low, high, n - holes, holes, 0, 0, 0, text, short, mark)
            )
            scored.append(Scored(f"clipscore#{short}", rows, {}, samples))
            stated.append(Stated("clipscore()", "", text, short, not stated))
        identity = Identity(benchmark, 1, "d", f"cap/{label}/{len(names)}", len(names), int(samples.max()) + 1)
        folder = tmp_path / "runs" / (place or f"run-{identity.short}")
        folder.mkdir(parents=True)
        store.write_scores(folder, scored, names)
        store.write_summary(folder, summaries)
        if captions is not None:
            lines = [
                store.caption_line(Caption(i, text, sample=int(k)))
                for i, text, k in zip(ids, captions, samples, strict=True)
            ]
            (folder / store.CAPTIONS).write_text("".join(lines))
        store.write_record(folder, Record(status, label, identity, {"finished": finished}, {}, stated))
        return folder

    return make


@pytest.fixture(scope="session")
def drawn_runs(tmp_path_factory):
    """label -> Run of captioners of the drawn world, with a corpus metric, BLEU's fold and retrieval."""
    root = tmp_path_factory.mktemp("drawn")
    bench = "scenes(n=120)"
    metrics = ["cider", "bleu", "rouge_l"]
    specs = ["speaker", "speaker(flaw='miscount')", "speaker(flaw='invent')"]
    return {s: capbench.run(s, bench, metrics, runs=root) for s in specs}


def plain_json(text):
    """JSON without NaN or Infinity, as other programs read it."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def read_json():
    """Strict JSON."""
    return plain_json


# a picture is the last digit of its digest, a text the sum of its digits: the cosine of (1, a) with (1, b)
DIGITS = """
from contextlib import contextmanager
from dataclasses import dataclass
import numpy as np
from capbench.protocols import Encoded

@dataclass(frozen=True)
class Encoder:
    mark: str = "fake"
    name = "fake"
    kind = "encoder"
    opened = 0
    def fingerprint(self):
        return self.mark
    def check(self):
        return None
    @contextmanager
    def open(self, device):
        yield self
    def images(self, refs):
        return Encoded(np.array([[1, int(r.digest, 16) % 10] for r in refs], np.float32))
    def texts(self, texts):
        rows = [[1, sum(int(ch) for ch in text if ch.isdigit())] for text in texts]
        failures = {i: "cannot be encoded" for i, text in enumerate(texts) if "odd" in text}
        return Encoded(np.array(rows, np.float32), None, failures)
"""


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """An empty folder to be in, with ``encoder.py:Encoder`` and a cache of its own."""
    monkeypatch.setenv("CAPBENCH_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoder.py").write_text(DIGITS)
