"""A page of 5,000 images and ten systems in Chromium: how soon it paints, what it holds, how it scrolls.

    python tests/perf/bench_page.py [--items 5000] [--systems 10] [--columns 8]

Captions, scores and pictures are made up; their number and length are those of COCO's Karpathy test split.
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from capbench import images, pages, stats, store
from capbench.benchmark import Benchmark, data_digests, reference_digest
from capbench.signature import short_hash
from capbench.store import Identity, Record, Stated
from capbench.tables import Scored
from capbench.types import Caption, Rows, Sample, Summary

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-precise-memory-info",
)  # fmt: skip
WORDS = [
    "a", "man", "dog", "woman", "on", "in", "the", "street", "grass", "red", "riding", "skateboard",
    "of", "two", "people", "standing", "next", "to", "table",
]  # fmt: skip
PICTURES = 200  # different ones; the files are as many as there are pictures, each image has one of them


def sentence(random_):
    return " ".join(random_.choices(WORDS, k=random_.randint(8, 13))) + "."


def made_benchmark(folder, items):
    """Photograph-like noise, five references an image."""
    random_, noise = random.Random(0), np.random.default_rng(0)
    refs = []
    for k in range(PICTURES):
        small = Image.fromarray(noise.integers(0, 255, (12, 16, 3), dtype=np.uint8))
        small.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{k}.jpg", quality=85)
        refs.append(images.reference(folder / f"{k}.jpg"))
    samples = tuple(
        Sample(str(391895 + 7 * i), refs[i % PICTURES], tuple(sentence(random_) for _ in range(5)))
        for i in range(items)
    )
    return Benchmark("five-thousand", 1, samples, reference_digest(samples))


def write_run(root, bench, number, columns):
    """One system's folder."""
    random_, noise = random.Random(number), np.random.default_rng(number)
    folder = root / f"system-{number}"
    folder.mkdir()
    ids = [s.id for s in bench.samples]
    summaries, scored, stated = [], [], []
    for k in range(columns):
        signature = f"metric{k}|v:1"
        rows = Rows({f"m{k}": noise.gamma(2, 0.3, len(ids)) + number / 100})
        value, low, high = stats.intervals(rows)[f"m{k}"]
        short = short_hash(signature)
        summaries.append(
            Summary("rouge_l", f"m{k}", f"Metric {k}", "high", value, low, high, len(ids), 0, 0, 0, 0, signature, short)
        )
        scored.append(Scored(f"rouge_l#{short}", rows, {}, np.zeros(len(ids), np.int64)))
        stated.append(Stated("rouge_l()", "", signature, short, headline=k == 0))
    captions = [Caption(i, sentence(random_)) for i in ids]
    (folder / store.CAPTIONS).write_text("".join(map(store.caption_line, captions)))
    store.write_scores(folder, scored, ids)
    store.write_summary(folder, summaries)
    identity = Identity(bench.name, 1, data_digests(bench)[0], f"system/{number}", len(ids))
    store.write_record(folder, Record("finished", f"System {number}", identity, {}, {}, stated))


def measure(page, repeats):
    """Seconds to the first contentful paint and to the drawn page, megabytes, and frames while scrolling."""
    found = {}
    for _ in range(repeats):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for word in (*OPTIONS, f"--user-data-dir={tempfile.mkdtemp()}", "--window-size=1280,900"):
            options.add_argument(word)
        browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        browser.get(page.as_uri())
        time.sleep(1.5)
        once = browser.execute_async_script(MEASURE)
        browser.quit()
        for name, value in once.items():
            found.setdefault(name, []).append(value)
    return {name: round(statistics.median(values), 3) for name, values in found.items()}


MEASURE = """
const done = arguments[arguments.length - 1];
const paints = Object.fromEntries(performance.getEntriesByType('paint').map((p) => [p.name, p.startTime / 1000]));
const timing = performance.getEntriesByType('navigation')[0];
const list = document.querySelector('.list');
const frames = [];
let last = performance.now(), left = 120;
const step = (now) => {
  frames.push(now - last);
  last = now;
  list.scrollTop += 700;
  if (left--) { requestAnimationFrame(step); return; }
  frames.sort((a, b) => a - b);
  const search = document.querySelector('#images input[type=search]');
  search.value = 'skateboard';
  search.dispatchEvent(new Event('input'));
  const begun = performance.now();
  const before = document.querySelector('#images .count').textContent;
  const poll = () => {
    if (document.querySelector('#images .count').textContent === before) { setTimeout(poll, 5); return; }
    const searched = performance.now() - begun - 120;
    const order = [...document.querySelectorAll('#images select')].at(-2);
    const start = performance.now();
    order.value = 'spread';
    order.dispatchEvent(new Event('change'));
    done({
      first_contentful_paint_s: paints['first-contentful-paint'],
      drawn_s: timing.domContentLoadedEventEnd / 1000,
      js_heap_mb: performance.memory.usedJSHeapSize / 1e6,
      nodes: document.querySelectorAll('*').length,
      frame_median_ms: frames[60],
      frame_95_ms: frames[Math.floor(frames.length * 0.95)],
      search_ms: Math.max(0, searched),
      sort_ms: performance.now() - start,
    });
  };
  poll();
};
requestAnimationFrame(step);
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--systems", type=int, default=10)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", default="")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(words.keep or temporary)
        (root / "photos").mkdir(parents=True)
        (root / "runs").mkdir()
        bench = made_benchmark(root / "photos", words.items)
        for number in range(words.systems):
            write_run(root / "runs", bench, number, words.columns)
        begun = time.perf_counter()
        pages.write_view([root / "runs"], root / "view.html", bench)
        written = time.perf_counter() - begun
        result = {"write_s": round(written, 1), "html_mb": round((root / "view.html").stat().st_size / 1e6, 1)}
        print(json.dumps(result | measure(root / "view.html", words.repeats), indent=1))


if __name__ == "__main__":
    main()
