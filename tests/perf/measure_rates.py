"""What one processor does in a second of each stage of a run: the rates that docs/scale.md reckons with.

    python tests/perf/measure_rates.py [--photos 1000] [--captions 20000]

Seconds are of the processor (user + system), so that a busy machine gives the same rates; each is the best of three
fresh measurements in one process. Photographs are Flickr8k's (224 x 224), and COCO's (short side 256) for decoding.
Bytes are of files as they are left on the disk; memory is what a sample adds to the resident set.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import resource
import tarfile
import tempfile
import time
import zipfile
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def rows(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def best(call, repeats=3):
    """The least seconds of the processor of several calls, and what the last gave."""
    times, made = [], None
    for _ in range(repeats):
        start = time.process_time()
        made = call()
        times.append(time.process_time() - start)
    return min(times), made


def say(stage, seconds, items, note=""):
    print(f"{stage:44} {items / seconds:12,.0f} a second  {1e6 * seconds / items:10.1f} us  {note}", flush=True)


def shard(folder, archives, count):
    """A shard of photographs as img2dataset and webdataset write them."""
    path = folder / "photos.tar"
    made = 0
    with tarfile.open(path, "w") as out:
        for archive in archives:
            with zipfile.ZipFile(archive) as photos:
                for name in photos.namelist()[: count - made]:
                    for suffix, data in ((".jpg", photos.read(name)), (".txt", b"a photograph of something")):
                        info = tarfile.TarInfo(f"{made:09d}{suffix}")
                        info.size = len(data)
                        out.addfile(info, io.BytesIO(data))
                    made += 1
    return path


def pictures(folder, count):
    """Reading, decoding, preprocessing and encoding of photographs in a shard; storing of their vectors."""
    from capbench import plugins
    from capbench.backends.mini import Mini, pixels
    from capbench.cache import open_cache, value_key
    from capbench.images import load
    from capbench.needs import Captions, Images, Vectors

    coco = shard(folder, sorted((DATA / "coco").glob("photos-*.zip")), 128)
    seconds, samples = best(plugins.load("datasets", f"webdataset(path={str(coco)!r})").value.load)
    decoding, _ = best(lambda: [load(s.image) for s in samples])
    say("fetch and decode, short side 256 (COCO)", decoding, len(samples))
    ready, _ = best(lambda: [pixels(s.image) for s in samples])
    say("preprocess: resize to 224 x 224 (mini)", ready - decoding, len(samples))
    flickr = shard(folder, sorted((DATA / "flickr8k").glob("photos_dev-*.zip")), count)
    seconds, samples = best(plugins.load("datasets", f"webdataset(path={str(flickr)!r})").value.load)
    say(
        "read a shard and digest its pictures",
        seconds,
        len(samples),
        f"{flickr.stat().st_size / len(samples):.0f} bytes each",
    )
    decoding, _ = best(lambda: [load(s.image) for s in samples])
    say("fetch and decode, 224 x 224 (Flickr8k)", decoding, len(samples))
    with Mini().open("cpu") as session:
        need = Vectors(Images(), "mini")
        seconds, values = best(lambda: need.compute(session, [s.image for s in samples]))
        say("fetch, decode, preprocess and encode (mini)", seconds, len(samples))
        texts = [f"a photograph of thing {i}" for i in range(len(samples))]
        say("encode a caption (mini)", best(lambda: Vectors(Captions(), "mini").compute(session, texts))[0], len(texts))
    packed = {value_key("vectors", "mini", "", str(i)): need.pack(v) for i, v in enumerate(values)}
    with open_cache(folder / "values.sqlite") as cache:
        seconds, _ = best(lambda: cache.put("vectors", "mini", packed))
        say("store vectors in the cache", seconds, len(packed))
        say("look vectors up", best(lambda: cache.get(list(packed)))[0], len(packed))
    with open_cache(folder / "values.sqlite") as cache:
        cache._db.execute("pragma wal_checkpoint(truncate)")
    size = (folder / "values.sqlite").stat().st_size
    print(f"{'':44} a vector of {len(next(iter(packed.values())))} bytes takes {size / len(packed):.0f} on the disk")


def texts(folder, count):
    """Keeping and scoring of captions with five references each; memory of samples."""
    from capbench import plugins
    from capbench.backends.ptb import Ptb
    from capbench.needs import Captions, Tokens
    from capbench.ragged import Ragged, ragged
    from capbench.store import CaptionLog
    from capbench.types import Caption

    refs = rows("coco/karpathy_test_refs.jsonl.gz")
    outputs = rows("coco/system_outputs_karpathy_test.jsonl.gz")
    system = min(outputs[0]["outputs"])
    said = [outputs[i % len(outputs)]["outputs"][system] + f" {i}" for i in range(count)]
    log = CaptionLog(folder)
    made = [Caption(str(i), text) for i, text in enumerate(said)]
    seconds, _ = best(lambda: [log.append(made[i : i + 16]) for i in range(0, count, 16)], 1)
    log.close()
    say(
        "keep captions, 16 a batch, each on the disk",
        seconds,
        count,
        f"{(folder / 'captions.jsonl').stat().st_size / count:.0f} bytes each",
    )
    references = ragged([[f"{r} {i}" for r in (refs[i % len(refs)]["refs"] * 5)[:5]] for i in range(count)])
    need = Tokens(Captions())
    with Ptb().open("cpu") as session:
        seconds, words = best(
            lambda: (need.gather(need.compute(session, said)), need.gather(need.compute(session, references.values))), 1
        )
    say("cut a caption and 5 references into words", seconds, count)
    both = (words[0], Ragged(words[1], references.offsets))
    for name in ("bleu", "rouge_l", "cider"):
        rows_of = plugins.load("metrics", name).value.rows
        more = (None,) if name == "cider" else ()
        say(f"score, {name}", best(partial(rows_of, *both, *more), 1)[0], count)


def memory(count):
    """What the driver holds for an item of a data set with a picture and a caption."""
    from capbench.types import ImageRef, Sample

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = [
        Sample(
            f"{i:09d}",
            ImageRef(f"/mnt/data/{i // 10000:05d}.tar#{i:09d}.jpg@{i * 20480}+20000", f"{i:032x}"),
            (f"a photograph of some thing, and number {i} of it",),
        )
        for i in range(count)
    ]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{'a sample with one reference':44} {1024 * grown / len(held):12,.0f} bytes of memory")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--captions", type=int, default=20_000)
    options = parser.parse_args()
    memory(500_000)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CAPBENCH_CACHE"] = scratch
        pictures(Path(scratch), options.photos)
        texts(Path(scratch), options.captions)


if __name__ == "__main__":
    main()
