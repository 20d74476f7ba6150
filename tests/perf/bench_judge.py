"""Wall time of a judge's 1,000 questions against a server that answers each in 100 ms.

    python tests/perf/bench_judge.py                      1,000 captions, 16 questions under way at a time
    python tests/perf/bench_judge.py --concurrency 64

The server is a process of its own on loopback. The bare minimum is questions x 0.1 s / concurrency. ``asked``: an empty
cache, every reply written to it as it comes (modules are imported before the clock starts). ``again``: the same command, with every reply in the cache.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import capbench

SECONDS = 0.1
REPLY = {
    "model": "m", "usage": {"prompt_tokens": 100, "completion_tokens": 5},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"score": 70}'}}],
}  # fmt: skip


async def answer(reader, writer):
    """HTTP enough for a client that keeps its connection."""
    while not reader.at_eof():
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        length = next(
            (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
        )
        await reader.readexactly(length)
        if head.startswith(b"POST"):
            await asyncio.sleep(SECONDS)
        data = json.dumps(REPLY if head.startswith(b"POST") else {"data": [{"id": "m"}]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        await writer.drain()
    writer.close()


def serve(pipe):
    """A server of its own."""

    async def main():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    asyncio.run(main())


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--captions", type=int, default=1000)
    options.add_argument("--concurrency", type=int, default=16)
    given = options.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    spec = f"judge(model=\"judge_chat(model='m', url='{url}', concurrency={given.concurrency})\")"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CAPBENCH_CACHE"] = str(folder / "cache")
        ids = range(given.captions)
        (folder / "captions.json").write_text(json.dumps({str(i): f"caption {i}" for i in ids}))
        (folder / "references.json").write_text(json.dumps({str(i): [f"reference {i}", "another"] for i in ids}))
        (folder / "one.json").write_text('{"0": "caption"}')
        (folder / "one_reference.json").write_text('{"0": ["caption"]}')
        capbench.score(folder / "one.json", folder / "one_reference.json", ["judge(model='scripted_judge')"])  # imports
        for label in ("asked", "again"):
            begun, cpu = time.perf_counter(), time.process_time()
            run = capbench.score(folder / "captions.json", folder / "references.json", [spec])
            wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
            assert run.summaries[0].n == given.captions
            print(
                f"{label:6s} {given.captions} questions, {given.concurrency} at a time: {wall:6.2f} s wall, {cpu:5.2f} s CPU"
            )
    bare = given.captions * SECONDS / given.concurrency
    print(f"bare minimum: {bare:.2f} s")
    server.terminate()


if __name__ == "__main__":
    main()
