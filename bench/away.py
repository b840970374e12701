"""One worker, brokers that can be taken away from it, and hasty events that can be told apart.

Place: shutdown, outage → HERE → a served intake, the soak's mock cluster, steady.
Rules: what was answered 202 is remembered by its number, and looked for where it may be: in the brokers' log, in the
spool. The brokers are those of the soak, so a dead one refuses connections and a hung one is a stopped process.
Not here: when they go, and what is measured.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench import measure
from bench.events import ROOT
from bench.servers import Child, free_port
from bench.steady import Answer, Steady
from server.shared.ledger import Ledger, Numbers
from soak.brokers import PARTITIONS, Mock
from soak.topic_reader import TopicReader

BATCH = 10
CONNECTIONS = 64
STREAM = "web.page_view"
DRAIN_S = 10.0
MESSAGE_TIMEOUT_S = 4.0


class Stand:
    """A service with one worker, up."""

    def __init__(self, service: Child, port: int, spool: Path) -> None:
        self.service = service
        self.port = port
        self._spool = spool
        self._ledger = Ledger.open(service.pid)

    def books(self) -> Numbers:
        """Of the stream that is sent to; they can be read when the service is gone."""
        return self._ledger.totals().get(STREAM, {})

    def worker_rss_mb(self) -> float:
        """Resident memory of the only worker."""
        pages = Path(f"/proc/{measure.worker(self.service.pid)}/statm").read_text().split()[1]
        return round(int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)

    def spooled(self) -> set[int]:
        """The numbers of the events on disk. The service must be gone."""
        found = set()
        for path in self._spool.glob("spool-*.db"):
            database = sqlite3.connect(path)
            found |= {_number(json.loads(value)) for (value,) in database.execute("SELECT value FROM event")}
            database.close()
        return found


@contextmanager
def stand(directory: Path, servers: str, **settings: Any) -> Iterator[Stand]:
    """Start it, and stop it."""
    port, spool = free_port(), directory / "spool"
    file = directory / "settings.yaml"
    examples = ROOT / "server" / "examples"
    kafka = {
        "bootstrap.servers": servers,
        "message.timeout.ms": int(MESSAGE_TIMEOUT_S * 1000),
        "max.in.flight.requests.per.connection": Mock.most_in_flight,
    }
    written = {
        "workers": 1,
        "drain_s": DRAIN_S,
        "http": {"listen": [f"127.0.0.1:{port}"]},
        "schemas": {"base_uris": [str(examples / "schemas")]},
        "streams": {"sources": [str(examples / "streams.yaml")]},
        "sink": {"kind": "kafka", "kafka": kafka},
        "spool": {"path": str(spool)},
    }
    file.write_text(json.dumps(written | settings), encoding="utf-8")
    with Child("service", ["server", "serve", "-c", str(file)], set(os.sched_getaffinity(0)), directory) as service:
        service.wait_for(port)
        yield Stand(service, port, spool)


@contextmanager
def brokers() -> Iterator[Mock]:
    """Three of them, with the topic."""
    mock = Mock()
    mock.create([STREAM])
    try:
        yield mock
    finally:
        with suppress(OSError):
            mock.go_on()
        mock.stop()


class Hasty(Steady):
    """``per_s`` hasty events a second in batches of BATCH. ``told`` are the numbers of those that were answered 202."""

    def __init__(self, port: int, per_s: float) -> None:
        super().__init__(port, per_s / BATCH, lambda number: request(number * BATCH, BATCH, is_hasty=True), self._hear)
        self.told: set[int] = set()

    def _hear(self, number: int, answer: Answer) -> str | None:
        if answer[0] != 202:
            return str(answer[0])
        self.told.update(range(number * BATCH, (number + 1) * BATCH))
        return None


class Guaranteed(Steady):
    """Single events; ``by_status_ms`` are the times of the answers of each status. There are connections enough for
    those that wait for a hung broker: a request that is due must not wait behind them."""

    def __init__(self, port: int, per_s: float) -> None:
        super().__init__(
            port, per_s, lambda number: request(-1 - number, 1, is_hasty=False), self._hear, int(8 * per_s)
        )
        self.by_status_ms: dict[int, list[float]] = {}

    def _hear(self, _number: int, answer: Answer) -> None:
        self.by_status_ms.setdefault(answer[0], []).append(self.times_s[-1] * 1000)


def request(first: int, count: int, *, is_hasty: bool) -> bytes:
    """Events with the numbers from ``first`` on."""
    events = [
        {
            "$schema": "/web/page_view/1.1.0",
            "meta": {"stream": STREAM, "request_id": str(number)},
            "page": f"/articles/{number:x}",
            "referrer": "https://search.example/?q=tea-water-gate-wheel-mill-pond",
        }
        for number in range(first, first + count)
    ]
    body = json.dumps(events).encode()
    path = b"/v1/events?hasty=true" if is_hasty else b"/v1/events"
    head = b"POST %b HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (path, len(body)) + body


def delivered(mock: Mock) -> list[int]:
    """The numbers of all events that the brokers hold, each as often as it is there."""
    reader = TopicReader(mock.servers, [STREAM], PARTITIONS)
    reader.start()
    reader.finish()
    if reader.gaps:
        raise RuntimeError(f"the mock brokers have thrown records away ({reader.gaps} gaps): send fewer")
    return [_number(one.event) for one in reader.found]


def percentile(times_ms: list[float], share: float) -> float:
    """0.0 of nothing."""
    ordered = sorted(times_ms)
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 2) if ordered else 0.0


def _number(event: dict[str, Any]) -> int:
    return int(event["meta"]["request_id"])
