"""Measure what a change of streams costs clients that send meanwhile: latency with and without, and their answers.

Place: `python -m bench reloads` → HERE → a whole service with two workers, under 64 connections.
Rules: two declarations take turns; each has one of two streams, and every request sends an event to both. So exactly
one of them must be accepted: none or both would be an answer out of two snapshots. ``--by refresh`` changes what a URL
answers, ``--by hup`` the file, with a signal. A reload begins ``--pause-s`` after the one before was taken up by every
worker. Bounded in requests a second, in reloads and in time.
Not here: throughput (quick).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from bench import measure
from bench.events import ROOT
from bench.servers import Child

RESULTS = Path(__file__).parent / "results" / "reloads.json"
CONNECTIONS = 64
RELOAD_S = 20.0
TURN = ("a", "b")
WORKERS = 2
DONE = "streams are now those of"  # Each worker says so.


class Handler(BaseHTTPRequestHandler):
    """One request of the fetcher: answered with what the file says now."""

    protocol_version = "HTTP/1.1"
    file: Path

    def do_GET(self) -> None:  # http.server names it.
        """Every path is the API."""
        body = self.file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def site(file: Path) -> Iterator[str]:
    """A web server over one file, in a process of its own: its work must not be taken for latency. Gives its URL."""
    Handler.file = file
    server = HTTPServer(("127.0.0.1", 0), Handler)
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        process.terminate()
        process.join()
        server.server_close()


def declared(turn: str, streams: int) -> bytes:
    """What changes from turn to turn, beside so many streams that do too."""
    settings = {"schema_title": "app/tick"}
    others = {f"app.other.{index}": settings | {"turn": turn} for index in range(streams)}
    return json.dumps({"streams": {f"app.tick.{turn}": settings, **others}}).encode()


def request() -> bytes:
    """One event to each stream."""
    events = [
        {"$schema": "/app/tick/1.0.0", "meta": {"stream": f"app.tick.{turn}", "dt": "2026-01-02T03:04:05Z"}, "count": 1}
        for turn in TURN
    ]
    body = json.dumps(events).encode()
    return b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Load:
    """Kept connections with a pause after each answer; times by phase, and what was answered."""

    def __init__(self, port: int, per_s: float) -> None:
        self._port = port
        self._pause_s = CONNECTIONS / per_s
        self.phase = "warm-up"
        self.times_ms: dict[str, list[float]] = {}
        self.answers: Counter[str] = Counter()
        self.is_over = False

    async def run(self) -> None:
        """Until ``is_over``."""
        await asyncio.gather(*(self._client(index) for index in range(CONNECTIONS)))

    async def _client(self, index: int) -> None:
        raw = request()
        await asyncio.sleep(self._pause_s * index / CONNECTIONS)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not self.is_over:
            begun, phase = time.perf_counter(), self.phase
            try:
                writer.write(raw)
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.answers[type(error).__name__] += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                continue
            self.times_ms.setdefault(phase, []).append((time.perf_counter() - begun) * 1000)
            self.answers[head.split(b"\r\n", 1)[0].split(b" ", 1)[1].decode()] += 1
            if b"connection: close" in head.lower():
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.sleep(self._pause_s)
        writer.close()


def put(file: Path, text: bytes) -> None:
    """In one step: whoever reads must not see half of it."""
    beside = file.with_suffix(".new")
    beside.write_bytes(text)
    beside.replace(file)


def reload_often(load: Load, options: argparse.Namespace, file: Path, service: Child, log: Path) -> None:
    """Wait, then reload again and again, each time until it is done. It runs in a thread, during the load."""
    try:
        time.sleep(2.0)
        load.phase = "without"
        time.sleep(options.seconds)
        load.phase = "during"
        with log.open() as said:
            said.seek(0, os.SEEK_END)
            for number in range(options.reloads):
                put(file, declared(TURN[(number + 1) % 2], options.streams))
                if options.by == "hup":
                    os.kill(service.pid, signal.SIGHUP)
                deadline, left = time.monotonic() + RELOAD_S, WORKERS
                while left > 0:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"reload {number} is not done:\n{log.read_text()[-2000:]}")
                    time.sleep(0.05)
                    left -= said.read().count(DONE)
                time.sleep(options.pause_s)
    finally:
        load.is_over = True


def run(arguments: list[str]) -> int:
    """Print one JSON object; ``--keep`` puts it beside that of the other way in bench/results."""
    parser = argparse.ArgumentParser(prog="python -m bench reloads")
    parser.add_argument("--keep", action="store_true", help=f"write the figures to bench/results/{RESULTS.name}")
    parser.add_argument("--pause-s", type=float, default=0.5, help="between two reloads")
    parser.add_argument("--by", choices=("refresh", "hup"), default="refresh")
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--streams", type=int, default=250, help="streams in addition to the one that is sent to")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to measure without reloads")
    parser.add_argument("--per-s", type=float, default=500.0, help="requests a second")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        found = measured(options, Path(name))
    print(json.dumps(found, indent=1))
    if options.keep:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        found["environment"] = measure.environment() | {"load_average": os.getloadavg()[0]}
        RESULTS.write_text(json.dumps(kept | {options.by: found}, indent=1) + "\n", encoding="utf-8")
    return 0


def measured(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Start a site and a service, load it, and sum up."""
    file = directory / "streams.yaml"
    put(file, declared(TURN[0], options.streams))
    with site(file) as url:
        load = serve(options, directory, file, url if options.by == "refresh" else str(file))
    counts = {"by": options.by, "reloads": options.reloads, "streams": options.streams, "answers": dict(load.answers)}
    found: dict[str, Any] = counts | {phase: summary(load.times_ms[phase]) for phase in ("without", "during")}
    return found | {"p99_ratio": round(found["during"]["p99_ms"] / found["without"]["p99_ms"], 2)}


def serve(options: argparse.Namespace, directory: Path, file: Path, source: str) -> Load:
    """The load of one whole run."""
    settings = directory / "settings.yaml"
    settings.write_text(
        json.dumps(
            {
                "workers": WORKERS,
                "http": {"listen": ["127.0.0.1:0"]},
                "admin": {"listen": "127.0.0.1:0"},
                "process": {"beat_s": 0.1},
                "schemas": {"base_uris": [str(ROOT / "server/examples/schemas")]},
                "streams": {"sources": [source]} | ({"refresh_s": 0.2} if options.by == "refresh" else {}),
                "sink": {"kind": "memory"},
            }
        )
    )
    log = directory / "service.log"
    cores = os.sched_getaffinity(0)
    with Child("service", ["server", "serve", "-c", str(settings)], cores, directory) as service:
        deadline = time.monotonic() + RELOAD_S
        while not (found := re.search(r"ready: .* on http://127.0.0.1:(\d+)", log.read_text())):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the service is not ready:\n{log.read_text()}")
            time.sleep(0.05)
        load = Load(int(found[1]), options.per_s)

        async def both() -> None:
            reloads = asyncio.to_thread(reload_often, load, options, file, service, log)
            await asyncio.gather(load.run(), reloads)

        asyncio.run(both())
    return load


def summary(times_ms: list[float]) -> dict[str, float]:
    """Quantiles."""
    cuts = statistics.quantiles(times_ms, n=1000)
    return {
        "requests": len(times_ms),
        "p50_ms": round(cuts[499], 2),
        "p99_ms": round(cuts[989], 2),
        "p999_ms": round(cuts[998], 2),
        "max_ms": round(max(times_ms), 2),
    }
