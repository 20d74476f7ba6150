"""What captioning costs beside the model: the engine against a bare loop over the same captioner and the same model.

    python tests/perf/bench_captioning.py [--photos 256] [--batch 16] [--runs 3] [--device cpu] [--sleep 0]

The model is a seeded GIT of the size that needs 20 ms a picture or more on this machine (``--layers``), in a folder, as
a user has it. Sides, in turn, each from the open model on, after one batch to warm up:

- library: what one writes without a harness: open the pictures, the processor, ``generate``, decode, batch by batch;
- adapter: the session of ``hf`` in a plain loop, one batch after the other, nothing announced;
- engine: what ``capbench run`` does with it once the plan is made, every batch on the disk before the next, in a new
  folder of runs.

Printed: milliseconds a picture, of the clock and of the processor; the share of the throughput of the other sides that
the engine reaches, and what it adds. The fastest run of each side is compared, since other work on the machine only
adds. The processor's time of all threads shows what a busy machine's clock hides. With ``--sleep MS`` a captioner that only waits so long
a picture stands in the model's place: the engine's own cost without the noise of a computation.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from capbench import api, engine
from capbench.captioners.hf import HfCaptioner
from capbench.images import load, reference
from capbench.types import Generation, Request

WORDS = 12


def photographs(folder, count):
    """Noise at the size of a photograph, as JPEG."""
    noise = np.random.default_rng(0)
    for i in range(count):
        pixels = noise.integers(0, 256, (24, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{i:04d}.jpg", quality=90)


def model_folder(folder, layers):
    """A GIT with BERT's words and so many layers in both towers."""
    import transformers

    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "tiny_captioners.py")
    tiny = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    words = tiny.bert_words()
    size = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": layers, "num_attention_heads": 4}
    config = transformers.GitConfig(
        **size, vision_config={**size, "image_size": 224, "patch_size": 16}, vocab_size=len(words), pad_token_id=0,
        bos_token_id=words.cls_token_id, eos_token_id=words.sep_token_id,
    )  # fmt: skip
    processor = transformers.GitProcessor(
        transformers.CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}), words
    )
    return tiny.kept(transformers.GitForCausalLM(config), folder, processor, scale=0.05)


@dataclass(frozen=True)
class Sleeper:
    """A model that takes its time and nothing else."""

    milliseconds: float
    batch: int
    name: ClassVar[str] = "sleeper"

    def fingerprint(self):
        return f"sleeper({self.milliseconds})"

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield self

    def caption(self, requests, params):
        time.sleep(self.milliseconds / 1000 * len(requests))
        return ["a picture"] * len(requests)


class Opened:
    """A captioner whose session is open already, so that loading is not measured."""

    def __init__(self, captioner, session):
        self.name, self.batch, self._own, self._session = captioner.name, captioner.batch, captioner, session

    def fingerprint(self):
        return self._own.fingerprint()

    def check(self):
        return None

    @contextmanager
    def open(self, device):
        yield self._session


def timed(call, count):
    """Milliseconds of the clock and of the processor a picture."""
    start, cpu = time.perf_counter(), time.process_time()
    call()
    return 1000 * (time.perf_counter() - start) / count, 1000 * (time.process_time() - cpu) / count


def by_library(session, requests, params, batch):
    """The loop without a harness, over the same model and processor."""
    import torch

    family = session.asker.family
    told = []
    for i in range(0, len(requests), batch):
        pictures = [load(request.image) for request in requests[i : i + batch]]
        inputs = family.processor(images=pictures, return_tensors="pt").to(family.model.device)
        with torch.inference_mode():
            ids = family.model.generate(**inputs, do_sample=False, max_new_tokens=params.max_tokens)
        told += [text.strip() for text in family.writer.batch_decode(ids, skip_special_tokens=True)]
    return told


def by_adapter(session, requests, params, batch):
    """The session in a loop."""
    return [text for i in range(0, len(requests), batch) for text in session.caption(requests[i : i + batch], params)]


def measure(captioner, session, photos, params, runs, sides):
    """The milliseconds of each side's runs, in turn, and one line of captions a side."""
    requests = [Request(path.name, reference(path)) for path in sorted(photos.iterdir())]
    found, said = {name: [] for name in (*sides, "engine")}, {}
    session.caption(requests[: captioner.batch], params)
    for _ in range(runs):
        for name, side in sides.items():
            found[name].append(
                timed(
                    lambda side=side, name=name: said.update({name: side(session, requests, params, captioner.batch)}),
                    len(requests),
                )
            )
        with tempfile.TemporaryDirectory() as runs_folder:
            spec = f"folder(images={str(photos)!r})"
            job = api.job_of("speaker", spec, runs=Path(runs_folder), generation=params)
            plan = engine.plan(replace(job, captioner=Opened(captioner, session), label="opened"))
            made = []
            found["engine"].append(timed(lambda plan=plan, made=made: made.append(engine.run(plan)), len(requests)))
            said["engine"] = [caption.text for caption in made[0].run.captions]
    assert len({tuple(texts) for texts in said.values()}) == 1, "all sides say the same"
    return found


def main():
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--photos", type=int, default=256)
    words.add_argument("--batch", type=int, default=16)
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--layers", type=int, default=4)
    words.add_argument("--device", default="cpu")
    words.add_argument("--sleep", type=float, default=0)
    asked = words.parse_args()
    params = Generation(max_tokens=WORDS)
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        photos.mkdir()
        photographs(photos, asked.photos)
        if asked.sleep:
            captioner, sides = Sleeper(asked.sleep, asked.batch), {"adapter": by_adapter}
        else:
            captioner = HfCaptioner(str(model_folder(Path(place) / "model", asked.layers)), batch=asked.batch)
            sides = {"library": by_library, "adapter": by_adapter}
        with captioner.open(asked.device) as session:
            found = measure(captioner, session, photos, params, asked.runs, sides)
    print(f"{asked.photos} pictures of 640 x 480, batches of {asked.batch}, {asked.device}, ms a picture")
    best = {name: [min(part) for part in zip(*times, strict=True)] for name, times in found.items()}
    for name, times in found.items():
        clock = [run[0] for run in times]
        print(f"{name:8} best {best[name][0]:7.2f}  median {statistics.median(clock):7.2f}  processor {best[name][1]:7.2f}   "
              f"runs {', '.join(f'{t:.2f}' for t in clock)}")  # fmt: skip
    for name in sides:
        clock, cpu = (best[name][i] / max(best["engine"][i], 1e-9) for i in (0, 1))
        print(f"engine against {name}: {clock:.1%} of its throughput, {best['engine'][0] - best[name][0]:+.2f} ms a picture; "
              f"by the processor {cpu:.1%}, {best['engine'][1] - best[name][1]:+.2f} ms")  # fmt: skip
    sys.exit(best["adapter"][0] / best["engine"][0] < 0.9)


if __name__ == "__main__":
    main()
