"""What a server whose answers take very different times costs: asked batch by batch, and without waiting for the slowest.

    python tests/perf/bench_served.py [--requests 200] [--concurrency 16] [--slow 2.0] [--fast 0.05]

A server on loopback takes ``--slow`` seconds for one request among as many as are under way, and ``--fast`` for the
others. Batches: the session's ``caption`` is given so many requests at a time, as they were before there was a stream.
Stream: as ``capbench run`` asks, each answer synced to a file before another is asked for. The least possible is the
work divided by the requests under way; one slow answer at the end may add its own time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import loopback

from capbench.captioners.chat import Chat
from capbench.captioning import as_caption, from_session
from capbench.store import CaptionLog, recover_captions
from capbench.types import Generation, Request


def batches(captioner, requests, keep):
    with captioner.open("cpu") as session:
        for start in range(0, len(requests), captioner.concurrency):
            part = requests[start : start + captioner.concurrency]
            answers = session.caption(part, Generation())
            keep([as_caption(r.id, a, 0.0, 0) for r, a in zip(part, answers, strict=True)])


def stream(captioner, requests, keep):
    from_session(captioner, requests, Generation(), "cpu", keep)


def main():
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--requests", type=int, default=200)
    words.add_argument("--concurrency", type=int, default=16)
    words.add_argument("--slow", type=float, default=2.0)
    words.add_argument("--fast", type=float, default=0.05)
    asked = words.parse_args()
    requests = [Request(str(i), None, prompt=f"number {i}") for i in range(asked.requests)]
    times = {request.prompt: asked.fast for request in requests}
    times |= {request.prompt: asked.slow for request in requests[:: asked.concurrency]}

    def script(key, attempt, body):
        time.sleep(times[key])
        return "ok"

    took = {}
    for way in (batches, stream):
        with loopback.Server(script) as server, tempfile.TemporaryDirectory() as place:
            captioner = Chat(loopback.MODEL, server.url, concurrency=asked.concurrency)
            log = CaptionLog(Path(place))
            begun = time.perf_counter()
            way(captioner, requests, log.append)
            took[way.__name__] = time.perf_counter() - begun
            log.close()
            said = {caption.id: caption.text for caption in recover_captions(Path(place))}
        assert said == {request.id: request.prompt for request in requests}
    least = sum(times.values()) / asked.concurrency
    print(f"{asked.requests} requests, {asked.concurrency} at a time, every {asked.concurrency}th takes {asked.slow} s "
          f"and the others {asked.fast} s")  # fmt: skip
    print(f"batches {took['batches']:.1f} s, stream {took['stream']:.1f} s, least possible {least:.1f} s")


if __name__ == "__main__":
    main()
