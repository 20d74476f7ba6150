"""How well and how fast ``mini`` tells Flickr8k's 1,000 dev photographs apart: the figures of docs/mini.md.

    python tests/perf/measure_mini.py                      recall, RD100, and milliseconds a photograph
    python tests/perf/measure_mini.py --data DIR           where flickr8k/ is (shared/data beside the checkout)

Text to image: each of the 5,000 captions looks for its photograph among all 1,000. Image to text: each
photograph looks for one of its 5 captions among all 5,000. RD100: one caption a photograph looks for it in a block
of 100, blocks in the order of the names; photographs behind the last whole block are left out. A tie is a miss.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from capbench.backends.mini import Mini
from capbench.images import reference

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
BLOCK = 100


def lines(path: Path) -> list[dict]:
    """Lines of JSON."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def recall(scores: np.ndarray, own: np.ndarray, k: int) -> float:
    """Percent of rows whose own column is among the k best."""
    mine = scores[np.arange(len(own)), own][:, None]
    return float(100 * ((scores >= mine).sum(1) <= k).mean())


def in_blocks(pictures: np.ndarray, texts: np.ndarray) -> float:
    """RD100."""
    whole = len(texts) // BLOCK * BLOCK
    blocks = [slice(at, at + BLOCK) for at in range(0, whole, BLOCK)]
    return float(np.mean([recall(texts[b] @ pictures[b].T, np.arange(BLOCK), 1) for b in blocks]))


def measure(data: Path, folder: Path) -> dict[str, float]:
    """All figures; photographs are unpacked into the folder."""
    for part in sorted((data / "flickr8k").glob("photos_dev-*.zip")):
        zipfile.ZipFile(part).extractall(folder)
    rows = [row for row in lines(data / "flickr8k" / "photos.jsonl.gz") if row["set"] == "dev"]
    rows.sort(key=lambda row: row["image"])
    place = {row["image"]: i for i, row in enumerate(rows)}
    refs = [reference(folder / row["image"]) for row in rows]
    with Mini().open("cpu") as session:
        session.images(refs[:8])
        began = time.perf_counter()
        encoded = session.images(refs)
        seconds = time.perf_counter() - began
        pictures = unit(encoded.vectors)
        texts = unit(session.texts([caption for row in rows for caption in row["captions"]]).vectors)
        own = np.repeat(np.arange(len(rows)), 5)
        scores = texts @ pictures.T
        found = {f"text to image R@{k}": recall(scores, own, k) for k in (1, 5, 10)}
        found["image to text R@1"] = float(100 * (own[scores.argmax(0)] == np.arange(len(rows))).mean())
        found["RD100, first human reference"] = in_blocks(pictures, texts[::5])
        outputs = sorted(lines(data / "flickr8k" / "system_outputs.jsonl.gz"), key=lambda row: row["image"])
        some = np.array([place[row["image"]] for row in outputs])
        found[f"RD100, first human reference, {len(some)} photographs"] = in_blocks(pictures[some], texts[::5][some])
        for name in sorted(outputs[0]["outputs"]):
            said = unit(session.texts([row["outputs"][name] for row in outputs]).vectors)
            found[f"RD100, {name}, {len(some)} photographs"] = in_blocks(pictures[some], said)
    found["ms a photograph"] = 1000 * seconds / len(rows)
    return found


def main() -> None:
    """Print one figure a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(parser.parse_args().data, Path(folder))
    print(Mini().fingerprint())
    for name, value in found.items():
        print(f"{value:7.1f}  {name}")


if __name__ == "__main__":
    main()
