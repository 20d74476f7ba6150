"""Full-gallery retrieval against the bare matrix product, and the mining of bags, on random vectors.

    python tests/perf/bench_retrieval.py                     20,000 captions against 20,000 images of 512
    python tests/perf/bench_retrieval.py --items 100000
    python tests/perf/bench_retrieval.py --noise 100         captions that say nothing: targets in the bulk
    python tests/perf/bench_retrieval.py --mine              bags of 3, 5 and 7, by images and texts (2 x 512)

The bare product is the same number of float32 multiplications through numpy's BLAS, in blocks whose results are
thrown away: the fastest of three block shapes. Each side runs in fresh processes, in turn; memory is the
peak beyond that of the inputs.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

SHAPES = ((1024, 0), (4096, 4096), (2048, 2048))  # 0: all columns at once
MIB = 1024


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def vectors(items, width, noise):
    """Unit images, and texts that are images with noise; made in blocks, so that making them is not the peak."""
    import numpy as np

    random = np.random.default_rng(0)
    image, text = np.empty((2, items, width), np.float32)
    for start in range(0, items, 4096):
        part = slice(start, start + 4096)
        image[part] = random.standard_normal(image[part].shape, np.float32)
        image[part] /= np.linalg.norm(image[part], axis=1, keepdims=True)
        text[part] = image[part] + noise * random.standard_normal(image[part].shape, np.float32)
        text[part] /= np.linalg.norm(text[part], axis=1, keepdims=True)
    return image, text


def bare(image, text, shape):
    import numpy as np

    rows, columns = shape[0], shape[1] or len(image)
    out = np.empty((rows, columns), np.float32)
    for start in range(0, len(text), rows):
        part = text[start : start + rows]
        for other in range(0, len(image), columns):
            tile = image[other : other + columns]
            np.matmul(part, tile.T, out=out[: len(part), : len(tile)])
    return {}


def scored(image, text):
    import numpy as np

    from capbench.bags import galleries, make_bags
    from capbench.metrics.retrieval import SelfRetrieval

    ids = [str(i) for i in range(len(image))]
    rows = SelfRetrieval(bags="full").rows(image, text, galleries(make_bags("full", "full", ids), ids))
    return {name: round(float(np.mean(column)), 6) for name, column in rows.columns.items()}


def mined(image, text):
    from capbench.facts import Facts
    from capbench.mining import Recipe, mine
    from capbench.ragged import ragged

    n = len(image)
    ids = tuple(f"{i:06d}" for i in range(n))
    found = mine(Facts(ids, (None,) * n, ragged([[]] * n), ({},) * n), image, text, Recipe())
    return {name: len(bags) for name, bags in found.bags.items()}


def measure(what, items, width, noise):
    """One process's work; prints one JSON line."""
    import capbench.metrics.retrieval
    import capbench.mining  # noqa: F401 -- imports are no part of what is measured

    image, text = vectors(items, width, noise)
    before, wall, used = peak(), time.perf_counter(), cpu()
    call = {"capbench": scored, "mine": mined}.get(what) or (lambda a, b: bare(a, b, SHAPES[int(what)]))
    found = call(image, text)
    seconds = {"wall": time.perf_counter() - wall, "cpu": cpu() - used}
    print(json.dumps({**seconds, "MiB beyond": peak() - before, "MiB": peak(), "found": found}))


def run(what, options):
    words = [sys.executable, __file__, "--child", what, "--items", options.items, "--width", options.width]
    done = subprocess.run([*map(str, words), "--noise", str(options.noise)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--shapes", type=int, default=len(SHAPES), help="how many block shapes of the bare product to try"
    )
    parser.add_argument("--mine", action="store_true")
    parser.add_argument("--child", default="")
    options = parser.parse_args()
    if options.child:
        measure(options.child, options.items, options.width, options.noise)
        return
    if options.mine:
        print(json.dumps(run("mine", options)))
        return
    sides = ["capbench", *map(str, range(options.shapes))]
    found = {side: [] for side in sides}
    for _ in range(options.repeats):
        for side in sides:
            found[side].append(run(side, options))
    print(f"{options.items} captions x {options.items} images of {options.width}, noise {options.noise}")
    middle = {
        s: {k: statistics.median(r[k] for r in runs) for k in ("wall", "cpu", "MiB beyond")}
        for s, runs in found.items()
    }
    for side, numbers in middle.items():
        name = side if side == "capbench" else f"bare product, blocks of {SHAPES[int(side)]}"
        print(f"{name:40}" + "".join(f"{k} {v:10.2f}  " for k, v in numbers.items()))
    for kind in ("wall", "cpu"):
        best = min(middle[side][kind] for side in sides[1:])
        print(f"ratio to the fastest bare product, {kind}: {middle['capbench'][kind] / best:.3f}")
    print(found["capbench"][0]["found"])


if __name__ == "__main__":
    main()
