"""EventStreams in one process on a log in memory, and a client that reads what it sends byte by byte.

Rule: the log has the faults that real ones have (offsets without events, retention, another log under the same name),
made on order. Everything between the log and the socket is the product's.
Not here: real sources (test_sqlite, test_kafka).
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from eventstreams.counts import Counts
from eventstreams.filters import Filters, compile_filter
from eventstreams.flow.hub import Hub
from eventstreams.record import Place, Record
from eventstreams.sources.base import Batch, Bounds, Described, Gap, OnLost, OnRecords, SourceError
from eventstreams.sources.pool import ReaderPool
from eventstreams.streams import PublicStreams, public_streams
from eventstreams.web.admission import Admission, AdmissionMemory
from eventstreams.web.pages import StreamPages
from eventstreams.web.requests import StreamRequests
from server.auth.access import Access
from server.auth.credentials import Credentials
from server.catalog.snapshot import build
from server.config.catalog_settings import SchemaSettings
from server.config.eventstreams_settings import EventStreams
from server.config.framework import document
from server.config.settings import Config
from server.http.around.client_address import ClientAddress
from server.http.around.cors import Cors
from server.http.server import HttpServer
from server.schemas.repository import open_schemas
from server.shared.scoreboard import Scoreboard
from server.timing.timers import Timer
from tests.eventstreams.reading import PATIENCE_S, Answer, Message

EXAMPLES = Path(__file__).parents[2] / "server" / "examples"
__all__ = ["PATIENCE_S", "STREAMS", "Answer", "InProcess", "Log", "Message", "public", "running"]

STREAMS = """
default_settings:
  consumers: {eventstreams: {enabled: true}}
streams:
  a: {schema_title: web/page_view}
  b: {schema_title: web/page_view, stream_aliases: [bee]}
  two.dcs: {schema_title: web/page_view, topic_prefixes: [x., y.]}
  secret: {schema_title: web/page_view, consumers: {eventstreams: {enabled: false}}}
  '/^app\\.tick\\..+/': {schema_title: app/tick}
"""


class Log:
    """Partitions of records. ``low`` is the first offset that is kept."""

    def __init__(self, partitions: Mapping[str, int], cluster: str = "one") -> None:
        self.cluster = cluster
        self.records: dict[Place, list[Record]] = {
            (topic, partition): [] for topic, count in partitions.items() for partition in range(count)
        }
        self.low: dict[Place, int] = {}
        self.high: dict[Place, int] = {}
        self.ids: dict[Place, str] = dict.fromkeys(self.records, "first")
        self.tails: list[FakeTail] = []
        self.is_away = False
        self.reads = 0
        self.may_return = threading.Event()  # Readers hold what they have read until it is set.
        self.may_return.set()

    def bounds(self, place: Place) -> Bounds:
        return Bounds(self.low.get(place, 0), self.high.get(place, 0))

    def append(
        self,
        topic: str = "a",
        partition: int = 0,
        *,
        name: str | None = None,
        ms: int = 1000,
        hole: int = 0,
        value: bytes | None = None,
        is_live: bool = True,
        **members: Any,
    ) -> Record:
        """Store one event; ``hole`` offsets before it have none. Its ``meta.id`` is its place unless it has a name."""
        place = (topic, partition)
        offset = self.bounds(place).high + hole
        if value is None:
            stream = members.pop("stream", topic.removeprefix("x.").removeprefix("y."))
            meta = {"stream": stream, "id": name or f"{topic}/{partition}/{offset}"} | members.pop("meta", {})
            value = json.dumps({"meta": meta, **members}).encode()
        record = Record(topic, partition, offset, ms, None, value)
        self.records.setdefault(place, []).append(record)
        self.high[place] = offset + 1
        if is_live:
            self.deliver([record])
        return record

    def deliver(self, records: list[Record]) -> None:
        """Let the live readers have these records, of those that they follow."""
        for tail in self.tails:
            tail.take(records)

    def hole(self, place: Place, count: int = 1) -> None:
        """End the partition with offsets that have no event, as a transaction does."""
        self.high[place] = self.bounds(place).high + count

    def retain(self, place: Place, low: int) -> None:
        """Delete what is before an offset."""
        self.low[place] = low
        self.records[place] = [one for one in self.records[place] if one.offset >= low]

    def recreate(self, place: Place) -> None:
        """Replace the log of a partition by an empty one."""
        self.swap(place)
        for tail in self.tails:
            tail.lose(place)

    def swap(self, place: Place) -> None:
        """Replace the log of a partition by an empty one so that live readers do not notice."""
        self.records[place], self.low[place], self.high[place] = [], 0, 0
        self.ids[place] = f"after-{self.ids[place]}"


class FakeReader:
    """The contract is sources.base.Reader."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def describe(self, topics: Sequence[str]) -> Described:
        if self._log.is_away:
            raise SourceError("no broker")
        places = [place for place in self._log.records if place[0] in topics]
        bounds = {place: self._log.bounds(place) for place in places}
        return Described(self._log.cluster, bounds, {place: self._log.ids.get(place, "") for place in places})

    def at_times(self, times_ms: Mapping[Place, int]) -> dict[Place, int | None]:
        return {
            place: next((one.offset for one in self._log.records[place] if one.timestamp_ms >= time_ms), None)
            for place, time_ms in times_ms.items()
        }

    def read(self, positions: Mapping[Place, int], most_bytes: int, most_events: int) -> Batch:
        if self._log.is_away:
            raise SourceError("no broker")
        self._log.reads += 1
        batch = Batch([], {})
        for place, asked in positions.items():
            at, bounds = asked, self._log.bounds(place)
            if not bounds.low <= at <= bounds.high:
                batch.gaps.append(Gap(*place, at, bounds.low, bounds.high))
                continue
            for record in self._log.records[place]:
                if record.offset >= at and len(batch.records) < most_events and most_bytes > 0:
                    batch.records.append(Record(*record.place, record.offset, record.timestamp_ms, None, record.value))
                    most_bytes -= record.weight_bytes
                    at = record.offset + 1
            if not self._log.records[place] or at > self._log.records[place][-1].offset:
                at = bounds.high
                batch.at_end.add(place)
            batch.reached[place] = at
        self._log.may_return.wait(PATIENCE_S)
        return batch

    def close(self) -> None:
        """Nothing is open."""


class FakeTail:
    """The contract is sources.base.Tail. It calls back on a thread of its own, in the order of events."""

    def __init__(self, log: Log) -> None:
        self.followed: dict[Place, int] = {}
        self.log = log
        log.tails.append(self)
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._on_records: OnRecords
        self._on_lost: OnLost

    def start(self, on_records: OnRecords, on_lost: OnLost) -> None:
        self._on_records, self._on_lost = on_records, on_lost
        threading.Thread(target=self._run, name="fake tail", daemon=True).start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def follow(self, positions: Mapping[Place, int]) -> None:
        self.followed |= positions
        for place, at in positions.items():
            self.take([one for one in self.log.records.get(place, []) if one.offset >= at])

    def leave(self, places: Sequence[Place]) -> None:
        for place in places:
            self.followed.pop(place, None)

    def stop(self) -> None:
        self.followed.clear()
        self._calls.put(None)

    def take(self, records: list[Record]) -> None:
        wanted = [one for one in records if self.followed.get(one.place, 1 << 62) <= one.offset]
        if wanted:
            copies = [Record(*one.place, one.offset, one.timestamp_ms, one.key, one.value) for one in wanted]
            self._calls.put(lambda: self._on_records(copies))

    def lose(self, place: Place) -> None:
        if self.followed.pop(place, None) is not None:
            self._calls.put(lambda: self._on_lost(place))


class InProcess:
    """EventStreams on a log. ``async with running(log) as streams``."""

    def __init__(self, log: Log, config: Config, public: PublicStreams) -> None:
        loop = asyncio.get_running_loop()
        self.log = log
        self.counts = Counts()
        self._answers: list[Answer] = []
        settings = config.eventstreams
        self.pool = ReaderPool(lambda: FakeReader(log), settings.readers)
        self.tail = FakeTail(log)
        self.hub = Hub(settings, public, self.pool, self.tail, self.counts)
        schemas = open_schemas(SchemaSettings(base_uris=[str(EXAMPLES / "schemas")]), EXAMPLES)
        self.filters = Filters(schemas)
        row = Scoreboard(4).claim(0, 1)
        assert row is not None
        address = ClientAddress(config.http)
        access = Access(config.auth, Credentials(), address.is_from_proxy, address.holder)
        self.admission = Admission(
            AdmissionMemory(4), row, settings.limits.max_clients, settings.limits.max_clients_per_address
        )
        cors = Cors(settings.cors, ("Last-Event-ID",))
        requests = StreamRequests(self.hub, access, address, self.admission, self.filters, cors)
        pages = StreamPages(self.hub, self.filters, config, lambda: None, dict)
        http = msgspec.structs.replace(config.http, cors=settings.cors)
        self.server = HttpServer(
            loop, http, requests.routes() | pages.routes(), row, logging.getLogger("test"), cors=cors
        )
        requests.use_server(self.server)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.port: int = listening.getsockname()[1]
        self.hub.start()
        self.server.start([listening])
        self.beat = Timer(loop, 0.05, self.hub.look)
        self.beat.start()

    async def get(self, target: str, **headers: str) -> Answer:
        """Ask for a target, and return once the head of the answer is there."""
        answer = Answer(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22))
        self._answers.append(answer)
        await answer.ask(target, headers)
        return answer

    def close(self) -> None:
        """End everything, the clients too."""
        for answer in self._answers:
            answer.close()
        self.beat.cancel()
        self.server.close()
        self.hub.close()

    async def until(self, look: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not look():
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.005)


def public(text: str = STREAMS) -> PublicStreams:
    """Return the public streams of a declaration."""
    snapshot = build([document.parse(text, "streams.yaml")], topic_prefix="", wiki=None)
    return public_streams(snapshot, "meta.stream", compile_filter)


@asynccontextmanager
async def running(log: Log, streams: str = STREAMS, /, **settings: Any) -> AsyncIterator[InProcess]:
    """Serve a log until the end of the block. ``settings`` are those of ``eventstreams``."""
    config = Config(eventstreams=msgspec.convert({"keepalive_s": 3600.0, **settings}, EventStreams))
    served = InProcess(log, config, public(streams))
    try:
        yield served
    finally:
        served.close()
