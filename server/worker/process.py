"""One worker: joins sink, intake and HTTP, runs them on one uvloop, and closes them in reverse.

Place: server.master forks → HERE; the composition root of everything on an event's way.
Rule: the parts start in the order sink and spool → intake → http, so that every accepted event can be passed on; they
drain in reverse, so that no part is closed while another needs it. Everything is opened after the fork.
Not here: the work of the parts. This file only passes their bound methods to one another.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Final, Protocol

import uvloop

from server.auth.access import Access
from server.auth.canary_pass import pass_of
from server.auth.key_follower import KeyFollower
from server.catalog.views import Views
from server.config.settings import HTTP_SHARE_OF_DRAIN
from server.console.copying.tap import Tap
from server.errors import EXIT_BOOT, EXIT_DONE, EXIT_FOUND, BootError
from server.fetch.fetched import Fetched
from server.http.around import content
from server.http.around.beacon import Beacon
from server.http.around.client_address import ClientAddress
from server.http.around.cors import Cors
from server.http.around.webhook import Webhooks
from server.http.server import HttpServer
from server.intake.arrival import Clock
from server.intake.error_events import ErrorEvents
from server.intake.forms.forms import Forms
from server.intake.pipeline import make_pipeline
from server.intake.private.checks import PrivateChecks
from server.intake.receive import Receiver
from server.intake.sending import Sender
from server.intake.text.name_hints import NameHints
from server.intake.trace import header_of
from server.metrics.declare import WorkerParts
from server.pages.documents import Documents
from server.pages.published import PATHS, Published
from server.pages.receipt import ReceiptPage
from server.pages.service import ServicePages
from server.paths import Paths
from server.privacy.applied import make_privacy
from server.privacy.keys import HashKeys
from server.shared.row import State
from server.timing.timers import hand_over
from server.timing.turns import Turns
from server.tracing.make import make as make_tracing
from server.version import VERSION
from server.worker.background import make_alarms, make_background
from server.worker.concerns import ALL, Concerns
from server.worker.durability import Durability
from server.worker.life import WorkerLife
from server.worker.memory import Memory
from server.worker.troubles import Troubles

if TYPE_CHECKING:
    from pathlib import Path

    from server.auth.credentials import Credentials
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config
    from server.console.copying.channel import Channel
    from server.fetch.link import Link
    from server.http.request import Request
    from server.http.routes import Table
    from server.intake.background.checks import Take
    from server.intake.event import Event
    from server.master.generation import WorkerContext
    from server.privacy.keys import HashKey
    from server.schemas.repository import SchemaRepository

SINK_SHARE_OF_DRAIN = 0.9  # The rest then goes to the spool, which takes milliseconds.
FINISH_SHARE_OF_DRAIN = 0.98  # Time for clients to read their last answers.
SPANS_SHARE_OF_DRAIN = 0.99


log = logging.getLogger("worker")

# Number of new objects after which the garbage collector looks for cycles; by default 700, which is a look at every
# hundredth event. measured: bench worker, a request 0.98.
GC_EVERY: Final = 10_000


class Materials(Protocol):
    """The result of one reading of the settings (boot.generation)."""

    config: Config
    data_dir: Path
    snapshot: Snapshot
    schemas: SchemaRepository
    credentials: Credentials
    link: Link
    channel: Channel | None
    hash_keys: tuple[Path | None, tuple[HashKey, ...]]


class Worker:
    """One worker process."""

    def __init__(self, materials: Materials, context: WorkerContext, concerns: Concerns = ALL) -> None:
        config = materials.config
        self._config = config
        self._context = context
        self._concerns = concerns
        self._row = context.row
        self._life = WorkerLife(context, config.process.beat_s, log)
        channel = materials.channel
        self._hash_keys = HashKeys(*materials.hash_keys)
        self._privacy = make_privacy(config, materials.schemas, self._hash_keys)
        self._tap = Tap(config.console, channel, context.slot, self._is_private) if channel is not None else None
        self._memory = Memory()
        self.is_balanced = True
        self._durability = Durability(
            config, materials.data_dir, materials.snapshot, context.row.ring(), self._on_dropped, concerns
        )
        delivery, tallies = self._durability.delivery, self._durability.tallies
        views = Views(materials.snapshot.sections, config.streams.wiki)
        self._published = Published(views, config.service_name, materials.schemas)
        clock = Clock()
        address = ClientAddress(config.http)
        access = self._access = Access(config.auth, materials.credentials, address.is_from_proxy, address.holder)
        self._public_keys = KeyFollower(materials.credentials, access)
        key_file = config.canary.key_file
        self._canary_pass = pass_of(
            context.row.board.secret, materials.data_dir / key_file if key_file is not None else None
        )
        self._hints = NameHints(materials.snapshot.streams(), materials.schemas.versions)
        self._background = make_background(config, materials.schemas, context.row.pages().examples)
        self._pipeline = make_pipeline(
            config,
            materials.schemas.find_telling,
            materials.snapshot.find,
            tallies,
            access.guard,
            self._hints,
            PrivateChecks(self._background.of).of,
            self._privacy,
            materials.schemas.latest,
        )
        self._fetched = Fetched(materials, self._use)
        self._turns = Turns()
        self._tracing = make_tracing(config, context.slot, header_of)
        self._error_events = ErrorEvents(self._pipeline, delivery.submit_own, clock, config, self._fetched.fetcher)
        self._alarms = make_alarms(config, self._pipeline, delivery.submit_own, context.row)
        self._sender = Sender(self._durability.sink, delivery, self._durability.receipts, self._error_events)
        self._receiver = Receiver(
            config,
            self._pipeline,
            self._durability.sink,
            delivery,
            self._sender,
            address.of,
            clock,
            Forms(config, materials.schemas.find_here, content.format_of, content.FORMATS),
            self._fetched.fetcher,
            self._turns,
            self._client_of,
            self._has_room,
            concerns.measured_every,
        )

        self._background.on_needed = self._show_to_background

    def _show_to_background(self, take: Take | None) -> None:
        self._receiver.choose, self._receiver.until_chosen = take, 0

    def _on_dropped(self, event: Event) -> None:
        self._sender.on_dropped(event)
        if self._tap is not None:
            self._tap.on_dropped(event)

    def _is_private(self) -> bool:
        return self._privacy.is_used

    def _client_of(self, request: Request) -> str:
        return self._server.client_of(request)

    def _has_room(self, request: Request, more_bytes: int) -> bool:
        self._server.hold(request, request.held_bytes + more_bytes)
        return not self._server.is_too_much(request)

    async def run(self) -> None:
        """Start, serve until told to stop, drain. Raises BootError when it cannot start."""
        loop = asyncio.get_running_loop()
        self._life.hear_signals(loop)
        identity_header = self._config.auth.identity_header
        headers = (self._config.intake.schema_uri_header, self._config.intake.stream_header)
        cors = Cors(self._config.http.cors, filter(None, headers))
        self._server = HttpServer(
            loop,
            self._config.http,
            self._routes(cors),
            self._row,
            log,
            believed=[identity_header] if identity_header else [],
            key_holder=self._access.key_holder,
            cors=cors,
            turns=self._turns,
            is_exempt=self._canary_pass.is_shown,
        )
        parts = WorkerParts(
            self._server,
            self._receiver.counts,
            self._durability,
            self._error_events,
            self._tracing,
            self._life.lags_s,
            self._background,
        )
        self._measures = self._concerns.measures(self._row, parts, self._pipeline)
        if self._tap is not None:
            self._server.watcher = self._tap
            self._sender.on_faults = self._tap.on_faults
            self._tap.start(loop, self._receiver, self._context.sockets)
        shows_text = self._config.log.client_text
        self._troubles = Troubles(self._server, self._receiver.counts, shows_text=shows_text)
        self._fetched.begin()
        self._row.set_streams(*self._fetched.mark())
        self._begin_to_beat(loop)
        await self._durability.open()
        self._server.start(self._context.sockets)
        self._row.set_state(State.READY)
        await self._life.stop.wait()
        self._row.set_state(State.DRAINING)
        await self._drain(loop.time())
        self._copy_counters()
        self._row.beat()
        self._troubles.look(loop.time(), is_last=True)
        self._say_what_was_done()
        self.is_balanced = self._durability.close_books()

    def _say_what_was_done(self) -> None:
        books = self._durability.tallies
        log.info(
            "%d events received, %d accepted, %d delivered; validated: %d while they were read, %d after fields were "
            "filled in, %d by the slow reference",
            self._receiver.counts.received,
            books.accepted,
            books.delivered,
            *self._judged(),
        )

    async def _drain(self, start: float) -> None:
        """Drain in order: accept no more, finish requests in progress, then the sink, then the last answers.

        Each step has its share of the time, as a deadline. Requests that wait for acks outlast HTTP's share: closing
        the sink settles every ack.
        """
        seconds = self._life.drain_s(self._config.drain_s)
        cut = await self._server.drain(start + seconds * HTTP_SHARE_OF_DRAIN)
        self._receiver.close()
        self._fetched.close()  # Requests that wait for schemas are answered now.
        self._error_events.flush()
        self._background.close()
        await self._durability.drain(start + seconds * SINK_SHARE_OF_DRAIN)
        cut += await self._server.finish(start + seconds * FINISH_SHARE_OF_DRAIN)
        await self._tracing.close(start + seconds * SPANS_SHARE_OF_DRAIN)
        if cut:
            text = "%d connections were cut off when the drain ended, in the middle of a request or an answer"
            log.warning(text, cut)

    def _begin_to_beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the checks of every ``process.beat_s``; a check that fails does not keep the beat from being
        written."""
        looks = (self._look_at_clients, self._tracing.look, self._memory.look, self._alarms.look)
        follows = (self._fetched.look, self._public_keys.look, self._hash_keys.look)
        self._life.begin_to_beat(loop, self._copy_counters, self._row.beat, *looks, *follows)

    def _look_at_clients(self) -> None:
        self._troubles.look(asyncio.get_running_loop().time())

    def _routes(self, cors: Cors) -> Table:
        receiver = self._receiver
        beacon = Beacon(receiver.handle_query)
        routes = receiver.routes()
        routes[Paths.BEACON] |= {"GET": beacon.handle, "HEAD": None}  # HEAD None: these GETs send events.
        routes[Paths.PIXEL] = {"GET": beacon.handle_pixel, "HEAD": None}
        routes[Paths.RECEIPTS] = {"GET": ReceiptPage(self._row.rings, self._durability.receipts.flush).handle}
        routes = Webhooks(self._config.http).table(cors.table(self._tracing.table(routes)))
        if self._tap is not None:
            routes = self._tap.table(routes)
        name = self._config.service_name or "penstock"
        self._documents = Documents(asyncio.get_running_loop(), self._published.ask, log)
        listen = self._config.admin.listen
        is_shown = self._config.profile == "internal" and listen.startswith(("127.", "[::1]")) and listen[-2:] != ":0"
        pages = ServicePages(name, VERSION, self._life.unready, self._info, f"http://{listen}" if is_shown else "")
        return routes | self._documents.routes(PATHS) | pages.routes()

    def _info(self) -> dict[str, object]:
        return {
            "description": "HTTP event intake",
            "worker": {"slot": self._context.slot, "generation": self._context.generation},
            "streams": self._fetched.info(),
        }

    def _use(self, snapshot: Snapshot) -> None:
        """Swap the streams, between two requests."""
        self._hints.use(snapshot.streams())
        self._background.forget()
        self._pipeline.use(snapshot.find)
        self._receiver.begin_again()
        self._durability.use(snapshot)
        self._published.use(Views(snapshot.sections, self._config.streams.wiki))
        self._documents.forget()
        self._row.set_streams(*self._fetched.mark())

    def _judged(self) -> tuple[int, int, int]:
        """Return the numbers of events validated in one decode, in one pass, and by the reference, over all schemas."""
        ways = list(self._pipeline.judged)
        return sum(one.one_decode for one in ways), sum(one.one_pass for one in ways), sum(one.referred for one in ways)

    def _copy_counters(self) -> None:
        """Copy the counters of the parts to shared memory.

        The books come last, and readers read them first (admin.view): a reader that sees an event there, such as one in
        the spool, sees its bytes in the gauges too.
        """
        hand_over(self._row.counters)
        self._measures.write()
        self._row.write_books(self._durability.tallies)


def run(materials: Materials, context: WorkerContext, concerns: Concerns = ALL) -> int:
    """Be a worker until told to stop. Returns the exit code: 0 drained, 1 with wrong books, 5 cannot start."""
    gc.set_threshold(GC_EVERY)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            worker = Worker(materials, context, concerns)
            runner.run(worker.run())
    except BootError as error:
        log.error("worker %d cannot start: %s", context.slot, error)
        return EXIT_BOOT
    return EXIT_DONE if worker.is_balanced else EXIT_FOUND
