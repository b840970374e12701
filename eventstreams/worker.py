"""One worker of EventStreams: joins the source, the hub and HTTP, and runs them on one uvloop.

Place: server.master forks → HERE; the composition root of everything on the way to a consumer.
Rules: everything is opened after the fork. A drain ends the streams over a while, each between two events.
Not here: the work of the parts.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from typing import TYPE_CHECKING, Final

import uvloop

from eventstreams.counts import Counts
from eventstreams.filters import Filters, compile_filter
from eventstreams.flow.hub import Hub
from eventstreams.metrics import StreamMeasures, StreamParts
from eventstreams.sources.make import make_source
from eventstreams.sources.pool import ReaderPool
from eventstreams.streams import public_streams
from eventstreams.web.admission import Admission
from eventstreams.web.pages import StreamPages
from eventstreams.web.requests import StreamRequests
from server.auth.access import Access
from server.auth.key_follower import KeyFollower
from server.errors import EXIT_BOOT, EXIT_DONE, BootError, SettingsError
from server.fetch.fetched import Fetched
from server.http.around.client_address import ClientAddress
from server.http.around.cors import Cors
from server.http.server import HttpServer
from server.shared.row import State
from server.timing.timers import hand_over
from server.worker.life import WorkerLife
from server.worker.memory import Memory

if TYPE_CHECKING:
    from eventstreams.generation import StreamsGeneration
    from server.catalog.snapshot import Snapshot
    from server.master.generation import WorkerContext

STREAMS_SHARE_OF_DRAIN: Final = 0.9
GC_EVERY: Final = 10_000
NOT_SENT_BYTES: Final = 131_072  # What the kernel holds for a client beyond its window would only be late.
KEEPALIVE_TRIES: Final = 3

_logger = logging.getLogger("eventstreams")


class StreamsWorker:
    """One worker process."""

    def __init__(self, materials: StreamsGeneration, context: WorkerContext) -> None:
        config = self._config = materials.config
        self._materials = materials
        self._context = context
        self._row = context.row
        self._life = WorkerLife(context, config.process.beat_s, _logger)
        self._memory = Memory()
        self._counts = Counts()
        address = self._address = ClientAddress(config.http)
        self._access = Access(config.auth, materials.credentials, address.is_from_proxy, address.holder)
        self._public_keys = KeyFollower(materials.credentials, self._access)
        self._fetched = Fetched(materials, self._use)
        make_reader, tail = make_source(config, materials.data_dir)
        pool = ReaderPool(make_reader, config.eventstreams.readers)
        self._hub = Hub(config.eventstreams, materials.public, pool, tail, self._counts)
        limits = config.eventstreams.limits
        self._admission = Admission(
            materials.admission, context.row, limits.max_clients, limits.max_clients_per_address
        )
        self._filters = Filters(materials.schemas)

    async def run(self) -> None:
        """Start, serve until told to stop, drain."""
        loop = asyncio.get_running_loop()
        self._life.hear_signals(loop)
        config = self._config
        cors = Cors(config.http.cors, ("Last-Event-ID",))
        requests = StreamRequests(self._hub, self._access, self._address, self._admission, self._filters, cors)
        pages = StreamPages(self._hub, self._filters, config, self._life.unready, self._info)
        self._pages = pages
        routes = requests.routes() | pages.routes()
        self._server = HttpServer(
            loop, config.http, routes, self._row, _logger, key_holder=self._access.key_holder, cors=cors
        )
        requests.use_server(self._server)
        self._measures = StreamMeasures(
            self._row, StreamParts(self._hub, self._server, self._counts, self._life.lags_s)
        )
        self._fetched.begin()
        self._row.set_streams(*self._fetched.mark())
        self._begin_to_beat(loop)
        self._hub.start()
        for listening in self._context.sockets:
            reap_half_open(listening, config.eventstreams.peer_timeout_s)
        self._server.start(self._context.sockets)
        self._row.set_state(State.READY)
        await self._life.stop.wait()
        self._row.set_state(State.DRAINING)
        seconds = self._life.drain_s(config.drain_s)
        start = loop.time()
        await self._server.drain(start + seconds * STREAMS_SHARE_OF_DRAIN)
        self._fetched.close()
        await self._server.finish(start + seconds)
        self._hub.close()
        self._beat()
        _logger.info("%d events were delivered to %d streams", self._counts.deliveries, sum(self._counts.ends.values()))

    def _begin_to_beat(self, loop: asyncio.AbstractEventLoop) -> None:
        looks = (self._memory.look, self._hub.look)
        follows = (self._fetched.look, self._public_keys.look)
        self._life.begin_to_beat(loop, self._beat, *looks, *follows)

    def _beat(self) -> None:
        hand_over(self._row.counters)
        self._measures.write()
        self._row.beat()

    def _use(self, snapshot: Snapshot) -> None:
        """Use other streams, between two requests. Settings that are wrong leave the old ones in force."""
        try:
            public = public_streams(snapshot, self._config.intake.stream_field, compile_filter)
        except (SettingsError, ValueError) as error:
            _logger.error("new streams are not taken up: %s", error)
            return
        self._hub.use(public)
        self._pages.forget()
        self._row.set_streams(*self._fetched.mark())

    def _info(self) -> dict[str, object]:
        return {
            "description": "event streams",
            "worker": {"slot": self._context.slot, "generation": self._context.generation},
            "streams": self._fetched.info(),
        }


def reap_half_open(listening: socket.socket, timeout_s: float) -> None:
    """Let the kernel end connections whose peer is gone without a word: accepted sockets inherit these options.

    Writing alone does not notice it, because a few bytes always fit into the kernel's buffer.
    """
    if listening.family == socket.AF_UNIX:
        return
    each_s = max(1, int(timeout_s / (KEEPALIVE_TRIES + 1)))
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, each_s),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, each_s),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_TRIES),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout_s * 1000)),
        (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_BYTES),
    ):
        listening.setsockopt(level, option, value)


def run(materials: StreamsGeneration, context: WorkerContext) -> int:
    """Be a worker until told to stop. Returns the exit code: 0 drained, 5 cannot start."""
    gc.set_threshold(GC_EVERY)

    async def serve() -> None:
        await StreamsWorker(materials, context).run()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    except BootError as error:
        _logger.error("worker %d cannot start: %s", context.slot, error)
        return EXIT_BOOT
    return EXIT_DONE
