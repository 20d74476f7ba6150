"""A chat server on loopback that answers for each picture what only that picture can get, and misbehaves as told."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "tiny-eyes"


def caption_of(data: bytes) -> str:
    """The one right caption of a picture's bytes."""
    return f"a thing called {hashlib.sha256(data).hexdigest()[:10]}"


def completion(text, finish="stop", **message):
    return {
        "id": "c", "object": "chat.completion", "model": MODEL,
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
    }  # fmt: skip


class Server:
    """``script(key, attempt, body)`` gives the name of a behaviour below, a status with a body, or a completion.

    key: the right caption of the request's (first) picture, or its text where it has none. attempt: from 1.
    ``seen`` counts the attempts of each key, ``bodies`` and ``headers`` are what came, ``at`` when.
    """

    def __init__(self, script=None):
        self.script = script or (lambda key, attempt, body: "ok")
        self.seen, self.bodies, self.headers, self.at = Counter(), [], [], []
        self.models, self.list_status = [MODEL], 200
        self.files = {}  # path -> bytes
        self.under_way = self.most = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    def __enter__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # else a body waits 40 ms behind its headers, for the other side's receipt

            def log_message(self, *_):
                pass

            def do_GET(self):
                if server.stopping.is_set():
                    self.reset("")
                    return
                server.headers.append(dict(self.headers))
                if self.path in server.files:
                    self.reply(200, server.files[self.path])
                    return
                listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in server.models]}
                self.reply(server.list_status, listed if server.list_status == 200 else b"no list")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = key_of(body)
                with server.lock:
                    server.seen[key] += 1
                    attempt = server.seen[key]
                    server.bodies.append(body)
                    server.headers.append(dict(self.headers))
                    server.at.append(time.monotonic())
                    server.under_way += 1
                    server.most = max(server.most, server.under_way)
                try:
                    act = "reset" if server.stopping.is_set() else server.script(key, attempt, body)
                    with contextlib.suppress(OSError):
                        getattr(self, act)(key) if isinstance(act, str) else self.reply(*act)
                finally:
                    with server.lock:
                        server.under_way -= 1

            def reply(self, status, value, headers=()):
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in dict(headers).items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def ok(self, key):
                self.reply(200, completion(key))

            def slow(self, key):
                time.sleep(0.05)
                self.ok(key)

            def busy(self, key):
                self.reply(429, {"error": {"message": "slow down", "code": "rate_limit"}}, {"Retry-After": "0.2"})

            def broken(self, key):
                self.reply(500, b"<html>Internal Server Error</html>")

            def hang(self, key):
                server.stopping.wait(30)
                self.close_connection = True

            def reset(self, key):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.rfile.close()
                self.connection.close()
                self.close_connection = True

            def half(self, key):
                self.reply(200, json.dumps(completion(key)).encode()[:60])

            def cut(self, key):
                """Fewer bytes than the header says."""
                data = json.dumps(completion(key)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[:40])
                self.close_connection = True

            def garbage(self, key):
                self.reply(200, b"\x00\xff\xfe no json at all")

            def wrong(self, key):
                self.reply(200, {"choices": [{"message": {"content": 7}}]})

            def drip(self, key):
                """One byte now and then: each read succeeds, the answer never ends."""
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                while not server.stopping.wait(0.05):
                    self.wfile.write(b" ")
                    self.wfile.flush()

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def key_of(body):
    if "prompt" in body:
        return body["prompt"]
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            continue
        for part in content:
            if part["type"] == "image_url":
                return caption_of(base64.b64decode(part["image_url"]["url"].partition(",")[2]))
    last = body["messages"][-1]["content"]
    return last if isinstance(last, str) else last[-1]["text"]


if __name__ == "__main__":  # a process of its own, for tests that kill or interrupt the other side
    import sys

    with Server(lambda key, attempt, body: sys.argv[1] if len(sys.argv) > 1 else "ok") as server:
        print(server.url, flush=True)
        sys.stdin.read()
