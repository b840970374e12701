"""Describe the work that servers are given: which events, in which shape, over how many connections.

Place: events → HERE → load.client, latency; quick, peers, compare and scaling choose by name.
Rules: the same seed gives the same requests to all. What is counted is events of requests that were answered 2xx;
``accepted`` of each request are valid.
Not here: how requests are sent (load.client), who serves them (servers).
"""

from __future__ import annotations

import gzip
from typing import NamedTuple

from bench.events import Workload, best, workload

REQUESTS = 64  # Different ones, per client. A batch of 100 makes 3 MB of them.


class Work(NamedTuple):
    """One line of the tables.

    ``form``: ``json``, ``ndjson``, ``gzip`` (of JSON), or ``beacon`` (text/plain, a connection for each request).
    ``every_invalid``: of so many events one is invalid; 0, none. ``is_ours_alone``: peers have no such
    thing. ``is_main``: all peers are given it.
    """

    name: str
    title: str
    events: str = "real"
    batch: int = 1
    connections: int = 64
    is_hasty: bool = True
    form: str = "json"
    every_invalid: int = 0
    is_ours_alone: bool = False
    is_main: bool = True

    @property
    def workload(self) -> Workload:
        """The events; the project's own where there is no corpus."""
        return workload(best(self.events))

    @property
    def target(self) -> str:
        """Path and query."""
        if self.form == "beacon":
            return "/v1/beacon"
        return "/v1/events?hasty=true" if self.is_hasty else "/v1/events"

    @property
    def accepted(self) -> int:
        """How many events of one request are valid."""
        return self.batch - (self.batch // self.every_invalid if self.every_invalid else 0)

    def body(self, number: int) -> bytes:
        """The body of the ``number``-th request."""
        chosen = self.workload.batch(self.batch, number * self.batch, self.every_invalid)
        if self.form == "ndjson":
            return b"\n".join(chosen) + b"\n"
        body = chosen[0] if self.batch == 1 else b"[" + b",".join(chosen) + b"]"
        return gzip.compress(body, 6, mtime=0) if self.form == "gzip" else body

    def headers(self) -> list[tuple[str, str]]:
        """Beside Host and Content-Length."""
        kinds = {"ndjson": "application/x-ndjson", "beacon": "text/plain;charset=UTF-8"}
        found = [("User-Agent", "bench/1"), ("Content-Type", kinds.get(self.form, "application/json"))]
        if self.form == "gzip":
            found.append(("Content-Encoding", "gzip"))
        return found

    def requests(self) -> list[bytes]:
        """Whole requests, head and body."""
        head = f"POST {self.target} HTTP/1.1\r\nHost: bench.example\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers())
        bodies = [self.body(number) for number in range(REQUESTS if self.batch <= 100 else REQUESTS // 4)]
        return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


WORKS = {
    work.name: work
    for work in (
        Work("single-hasty", "single, hasty"),
        Work("single-1", "single, guaranteed, 1 connection", connections=1, is_hasty=False, is_main=False),
        Work("single-16", "single, guaranteed, 16 connections", connections=16, is_hasty=False, is_main=False),
        Work("single-256", "single, guaranteed, 256 connections", connections=256, is_hasty=False),
        Work("batch-20-hasty", "batch of 20, hasty", batch=20, connections=16),
        Work("batch-20", "batch of 20, guaranteed", batch=20, connections=16, is_hasty=False),
        Work("batch-100", "batch of 100, hasty", batch=100, connections=16),
        Work("batch-1000", "batch of 1000, hasty", batch=1000, connections=4, is_main=False),
        Work("mixed-100", "ten schemas, batch of 100, hasty", events="mixed", batch=100, connections=16),
        Work("invalid-100", "10 % invalid, batch of 100, hasty", batch=100, connections=16, every_invalid=10),
        Work("beacon", "beacon, text/plain, a connection each", form="beacon", is_main=False),
        Work("gzip-100", "gzip, batch of 100, hasty", batch=100, connections=16, form="gzip", is_ours_alone=True),
        Work("ndjson-100", "NDJSON, batch of 100, hasty", batch=100, connections=16, form="ndjson", is_ours_alone=True),
        Work("big", "single of 20 kB, hasty", events="big", connections=16, is_main=False),
        Work("example", "the project's own page view, single, hasty", events="example"),
        Work("example-100", "the project's own page view, batch of 100, hasty", "example", 100, 16),
    )
}


def together() -> list[str]:
    """The works that one server can be given: their schemas are in one directory."""
    place = WORKS["single-hasty"].workload.base_uri
    return [name for name, work in WORKS.items() if work.workload.base_uri == place]
