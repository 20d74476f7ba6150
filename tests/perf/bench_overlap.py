"""CPU time and memory of BLEU, ROUGE-L and CIDEr: pycocoevalcap 1.2 and capbench, tokenizers included.

    python tests/perf/bench_overlap.py                  one system on the 5,000 Karpathy test images
    python tests/perf/bench_overlap.py --stacked 8      eight systems as 40,000 images with ids of their own
    python tests/perf/bench_overlap.py --images 500     the first 500 images

Each side runs in fresh processes, in turn. CPU is user + system time of the process and of the Java
programs that it starts. ``whole`` is from the start of the interpreter to its end, reading included;
``scoring`` is without imports and reading. Both sides must give the same scores to 1e-9.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco"
REFERENCES = "karpathy_test_refs.jsonl.gz"
OUTPUTS = "system_outputs_karpathy_test.jsonl.gz"
SIDES = ("pycocoevalcap", "capbench")
MIB = 1024


def cpu():
    """Seconds of this process and of its ended children."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def peak(who):
    return resource.getrusage(who).ru_maxrss / MIB


def read(images, stacked):
    """[(id, candidate, references)], the systems one after the other."""

    def rows(name):
        with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines][: images or None]

    references = {row["image_id"]: row["refs"] for row in rows(REFERENCES)}
    outputs = rows(OUTPUTS)
    systems = sorted(outputs[0]["outputs"])
    return [
        (f"{i}/{row['image_id']}", row["outputs"][systems[i % len(systems)]], references[row["image_id"]])
        for i in range(stacked)
        for row in outputs
    ]


def pycocoevalcap(items):
    """Corpus scores by the reference implementation, and the seconds of each part."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    clock = Clock()
    gts = PTBTokenizer().tokenize({key: [{"caption": text} for text in texts] for key, _, texts in items})
    res = PTBTokenizer().tokenize({key: [{"caption": text}] for key, text, _ in items})
    clock.lap("tokenize")
    with contextlib.redirect_stdout(io.StringIO()):
        scores = {f"bleu{n}": score for n, score in enumerate(Bleu(4).compute_score(gts, res)[0], 1)}
    clock.lap("bleu")
    scores["rouge_l"] = Rouge().compute_score(gts, res)[0]
    clock.lap("rouge_l")
    scores["cider"] = Cider().compute_score(gts, res)[0]
    clock.lap("cider")
    return scores, clock.laps


def capbench(items):
    """The same by capbench, through the needs and the metrics as a run does."""
    from capbench.backends.ptb import Ptb
    from capbench.metrics.bleu import Bleu
    from capbench.metrics.cider import Cider
    from capbench.metrics.rouge import RougeL
    from capbench.needs import Captions, Tokens
    from capbench.ragged import Ragged, ragged

    need = Tokens(Captions())
    clock = Clock()
    texts = ragged(texts for _, _, texts in items)
    with Ptb().open("cpu") as session:
        candidates = need.gather(need.compute(session, [text for _, text, _ in items]))
        references = Ragged(need.gather(need.compute(session, texts.values)), texts.offsets)
    clock.lap("tokenize")
    rows = Bleu().rows(candidates, references)
    scores = {name: part[0] for name, part in Bleu().reduce({k: v.sum(keepdims=True) for k, v in rows.items()}).items()}
    clock.lap("bleu")
    scores["rouge_l"] = RougeL().rows(candidates, references)["rouge_l"].mean()
    clock.lap("rouge_l")
    scores["cider"] = Cider().rows(candidates, references)["cider"].mean()
    clock.lap("cider")
    return scores, clock.laps


class Clock:
    """CPU seconds of named parts."""

    def __init__(self):
        self.laps = {}
        self.last = cpu()

    def lap(self, name):
        now = cpu()
        self.laps[name] = now - self.last
        self.last = now


def child(side, images, stacked):
    items = read(images, stacked)
    loaded = peak(resource.RUSAGE_SELF)
    scores, laps = {"pycocoevalcap": pycocoevalcap, "capbench": capbench}[side](items)
    report = {
        "scores": {name: float(score) for name, score in scores.items()}, "laps": laps, "loaded": loaded,
        "peak": peak(resource.RUSAGE_SELF), "peak_java": peak(resource.RUSAGE_CHILDREN), "images": len(items),
    }  # fmt: skip
    print(json.dumps(report))


def measure(side, images, stacked):
    """One fresh process: its report with ``whole``, all of its CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, __file__, "--side", side, "--images", str(images), "--stacked", str(stacked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(done.stdout.splitlines()[-1])
    report["whole"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report["scoring"] = sum(report["laps"].values())
    return report


def show(runs):
    """Medians of both sides and their ratios."""
    first = {side: reports[0] for side, reports in runs.items()}
    worst = max(abs(first[SIDES[0]]["scores"][name] - score) for name, score in first[SIDES[1]]["scores"].items())
    print(f"{first['capbench']['images']} images, medians of {len(runs['capbench'])} processes a side")
    print(f"largest difference of a corpus score: {worst:.1e}")
    print(f"{'':24}{SIDES[0]:>15}{SIDES[1]:>12}{'ratio':>9}")
    lines = [("CPU s, " + name, lambda r, n=name: r["laps"][n]) for name in first["capbench"]["laps"]]
    lines += [(f"CPU s, {name}", lambda r, n=name: r[n]) for name in ("scoring", "whole")]
    lines += [
        ("MiB, peak", lambda r: r["peak"]),
        ("MiB, data read", lambda r: r["loaded"]),
        ("MiB, Java", lambda r: r["peak_java"]),
    ]
    for label, value in lines:
        left, right = (statistics.median(value(report) for report in runs[side]) for side in SIDES)
        ratio = f"{left / right:8.1f}x" if right else ""
        print(f"{label:24}{left:15.2f}{right:12.2f}{ratio:>9}")
    if worst > 1e-9:
        sys.exit("the two sides disagree")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=0, help="the first N images (0: all 5,000)")
    parser.add_argument("--stacked", type=int, default=1, help="how many systems, one after the other")
    parser.add_argument("--repeats", type=int, default=3, help="processes a side")
    parser.add_argument("--side", choices=SIDES, help="run one side in this process and print JSON")
    given = parser.parse_args()
    if not (DATA / REFERENCES).is_file():
        sys.exit(f"no {DATA / REFERENCES}: the shared data is to be in a folder `shared` beside the checkout")
    if given.side:
        child(given.side, given.images, given.stacked)
        return
    runs = {side: [] for side in SIDES}
    for _ in range(given.repeats):
        for side in SIDES:
            runs[side].append(measure(side, given.images, given.stacked))
    show(runs)


if __name__ == "__main__":
    main()
