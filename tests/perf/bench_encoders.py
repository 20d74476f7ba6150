"""What encoding costs: torch against ONNX Runtime, and the engine against a bare loop, on real photographs.

    python tests/perf/bench_encoders.py [--photos 1000] [--runs 3] [--model FOLDER]

Both parts need open_clip_torch and the extra ``export``. Every figure is the median of fresh processes, the sides in
turn; each is measured from the open model on, after one batch to warm up. The bare loop is what one writes
without a harness: read, decode, prepare, and a forward pass for each batch of 32, on one thread besides the
model's own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
BATCH = 32
SIDES = ("torch", "onnx")


def unpacked(folder, count):
    """Photographs as files, and a caption each; the name of a file is the photograph's."""
    data = SHARED / "data" / "flickr8k"
    rows = [json.loads(line) for line in gzip.open(data / "photos.jsonl.gz", "rt", encoding="utf-8")]
    captions = {row["image"]: row["captions"][0] for row in rows if row["set"] == "dev"}
    for archive in sorted(data.glob("photos_dev-*.zip")):
        with zipfile.ZipFile(archive) as photos:
            for name in photos.namelist():
                if len(list(folder.glob("*.jpg"))) < count:
                    (folder / name).write_bytes(photos.read(name))
    lines = [{"file_name": p.name, "captions": [captions[p.name]]} for p in sorted(folder.glob("*.jpg"))]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return lines


def encoder(side, model, export):
    """The backend of a side."""
    from capbench import plugins

    spec = f"onnx(folder={export!r})" if side == "onnx" else f"open_clip(model={model!r}, runtime='torch')"
    return spec, plugins.load("backends", spec).value


def measured(call, items):
    """Seconds of the clock and of the processor an item, and what came out."""
    start, cpu = time.perf_counter(), time.process_time()
    made = call()
    return {
        "wall": 1000 * (time.perf_counter() - start) / items, "cpu": 1000 * (time.process_time() - cpu) / items,
    }, made  # fmt: skip


def speed(side, model, export, folder, out):
    """Pictures and texts through a session."""
    import numpy as np

    from capbench.images import reference

    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    refs = [reference(folder / line["file_name"]) for line in lines]
    texts = [line["captions"][0] for line in lines]
    with encoder(side, model, export)[1].open("cpu") as session:
        session.images(refs[:BATCH])
        session.texts(texts[:BATCH])
        pictures, seen = measured(lambda: session.images(refs).vectors, len(refs))
        read, said = measured(lambda: session.texts(texts).vectors, len(texts))
    np.savez(out, seen=seen, said=said)
    return {"picture": pictures, "text": read}


def bare(side, model, export, folder):
    """The loop that one would write."""
    import numpy as np
    from PIL import Image

    paths = sorted(folder.glob("*.jpg"))
    if side == "torch":
        import open_clip
        import torch

        net, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{model}")
        net.eval()

        def forward(batch):
            with torch.inference_mode():
                return net.encode_image(torch.stack(batch)).numpy()
    else:
        import onnxruntime

        from capbench.backends.onnx import IMAGE, read_card

        prepare = read_card(Path(export)).pixels.array
        net = onnxruntime.InferenceSession(Path(export) / IMAGE, providers=["CPUExecutionProvider"])

        def forward(batch):
            return net.run(None, {"pixel_values": np.stack(batch)})[0]

    def loop(names):
        found = []
        for start in range(0, len(names), BATCH):
            batch = [prepare(Image.open(path).convert("RGB")) for path in names[start : start + BATCH]]
            found.append(forward(batch))
        vectors = np.concatenate(found)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    loop(paths[:BATCH])
    return measured(lambda: loop(paths), len(paths))[0]


def forward_only(side, model, export):
    """Milliseconds of the image tower alone, a photograph."""
    import numpy as np

    backend = encoder(side, model, export)[1]
    with backend.open("cpu") as session:
        size = backend.load().pixels() if side == "torch" else None
        from capbench.backends.onnx import read_card

        size = size or read_card(Path(export)).pixels
        batch = {"pixel_values": np.zeros((BATCH, 3, size.height, size.width), np.float32)}
        see = session._towers.see
        see(batch)
        return measured(lambda: [see(batch) for _ in range(5)], 5 * BATCH)[0]


def through_run(side, model, export, folder):
    """The same photographs through ``capbench.run``, with an empty cache; the model is opened before."""
    from contextlib import contextmanager

    import capbench
    from capbench import plugins
    from capbench.images import reference

    spec, backend = encoder(side, model, export)
    kind = type(backend)
    refs = [reference(path) for path in sorted(folder.glob("*.jpg"))]
    with backend.open("cpu") as session:
        session.images(refs[:BATCH])

        @contextmanager
        def opened(self, device):
            yield session

        kind.open = opened
        assert plugins.load("backends", spec).value == backend
        what = f"folder(images={str(folder)!r})"
        cost, made = measured(
            lambda: capbench.run("constant", what, ["clip_cosine"], backends={"clip": spec}, runs=None), len(refs)
        )
    assert made.summaries[0].n == len(refs)
    return cost


def once(options):
    """One measurement, in a process of its own."""
    side, folder = options.side, Path(options.folder)
    if options.what == "speed":
        return speed(side, options.model, options.export, folder, options.out)
    if options.what == "bare":
        return bare(side, options.model, options.export, folder)
    if options.what == "forward":
        return forward_only(side, options.model, options.export)
    return through_run(side, options.model, options.export, folder)


def child(options, what, side, folder, out=""):
    """One measurement in a fresh process with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:  # empty, so that everything is encoded
        words = [sys.executable, __file__, "--what", what, "--side", side, "--folder", str(folder), "--out", str(out)]
        words += ["--model", options.model, "--export", options.export]
        environment = {**os.environ, "CAPBENCH_CACHE": cache}
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def median(rows, *keys):
    """The median of a figure over runs."""
    for key in keys:
        rows = [row[key] for row in rows]
    return statistics.median(rows)


def difference(first, second):
    """The largest difference of a cosine of a photograph and a caption, 500 of each."""
    import numpy as np

    def cosines(path):
        found = np.load(path)
        seen, said = (found[k][:500].astype(np.float64) for k in ("seen", "said"))
        unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (seen, said)]
        return unit[0] @ unit[1].T, len(seen)

    (a, n), (b, _) = cosines(first), cosines(second)
    return np.abs(a - b).max(), n


def show_speed(found, outs):
    """The table of torch against ONNX Runtime."""
    print(f"{'':26}{'torch':>12}{'onnx':>12}{'ratio':>9}")
    for key in ("picture", "text"):
        for unit in ("wall", "cpu"):
            a, b = (median(found["speed", side], key, unit) for side in SIDES)
            print(f"{key + ', ' + unit:26}{a:12.2f}{b:12.2f}{a / b:8.1f}x")
    for unit in ("wall", "cpu"):
        a, b = (median(found["forward", side], unit) for side in SIDES)
        print(f"{'image tower alone, ' + unit:26}{a:12.2f}{b:12.2f}{a / b:8.1f}x")
    worst, n = difference(*outs.values())
    print(f"largest difference of a cosine, {n} photographs x {n} captions: {worst:.1e}")


def show_overhead(found, sides):
    """The table of the engine against a bare loop."""
    print(f"{'':26}{'bare loop':>12}{'run':>12}{'ratio':>9}{'overhead':>10}")
    for side in sides:
        for unit in ("wall", "cpu"):
            a, b = (median(found[what, side], unit) for what in ("bare", "run"))
            print(f"{side + ', ' + unit:26}{a:12.2f}{b:12.2f}{b / a:8.2f}x{b - a:10.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default=str(SHARED / "models" / "mini-baseline"))
    parser.add_argument("--parts", nargs="+", choices=("speed", "overhead"), default=("speed", "overhead"))
    parser.add_argument("--overhead-of", nargs="+", choices=SIDES, default=SIDES)
    for hidden in ("--what", "--side", "--folder", "--out", "--export"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what:
        print(json.dumps(once(options)))
        return
    from capbench import exporting

    wanted = [(what, side) for what in ("speed", "forward") for side in SIDES if "speed" in options.parts]
    wanted += [(what, side) for side in options.overhead_of for what in ("bare", "run") if "overhead" in options.parts]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        count = len(unpacked(folder, options.photos))
        options.export = str(Path(scratch) / "export")
        exporting.export(f"open_clip(model={options.model!r})", options.export)
        outs = {side: Path(scratch) / f"{side}.npz" for side in SIDES}
        found = {key: [] for key in wanted}
        for _ in range(options.runs):
            for what, side in wanted:
                found[what, side].append(child(options, what, side, folder, outs[side]))
        print(f"{count} photographs and captions, medians of {options.runs} processes a side, milliseconds an item")
        if "speed" in options.parts:
            show_speed(found, outs)
    if "overhead" in options.parts:
        show_overhead(found, options.overhead_of)


if __name__ == "__main__":
    main()
