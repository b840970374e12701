"""The HTTP side of a worker: its connections, its one timer, its counters, its drain.

Place: worker → HERE → http.listener → http.protocol.
Rules: one timer serves everything (``_tick``); without connections it fires more rarely. Counters are plain ints; the
worker copies them on its beat.
The drain has two steps, with the sink's drain between them. ``drain`` accepts no more connections, answers requests
under way and closes after them, and gives idle connections ``GRACE_S``, since a request may be on its way. Requests
that arrive until the deadline are served with ``Connection: close``; then the connections that are owed no answer are
cut off.
``finish`` follows when the sink has settled every ack and so every answer is given: it lets the answers leave, then
cuts off the remaining connections.
Not here: what is served (http.routes), when to drain (worker).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from server.host.descriptors import HARD_PART
from server.http import head
from server.http.around.client_address import ClientAddress, holder, normalised, trusted_proxies
from server.http.around.cors import Cors
from server.http.around.decompress import Decompressor
from server.http.around.proxy_header import ProxyHeader
from server.http.around.request_rate import RateLimit
from server.http.head_cache import HeadCache
from server.http.limits import GRACE_S, KINDS, RequestLimits
from server.http.listener import Listener
from server.http.outgoing import Outgoing
from server.http.problem import Refusal
from server.http.protocol import ANSWER, Connection
from server.http.response import Heads
from server.http.routes import Routes, Table
from server.http.wheel import TICK_S, Carried, Wheel
from server.log import Limited
from server.timing.rate_limit import TokenBuckets
from server.timing.timers import Timer
from server.timing.turns import Turns

if TYPE_CHECKING:
    from server.config.settings import Http
    from server.http.request import Request
    from server.shared.row import WorkerRow

REST_S: Final = 0.5  # Time between ticks without connections.
_FAR = 1e9  # In seconds on the wheel: an instant that never comes.
ALWAYS_BELIEVED = ("x-forwarded-for", "forwarded")  # Headers of trusted proxies that we or our consumers believe.


class Watcher(Protocol):
    """Looks at refused requests, for the console."""

    def on_answer(self, request: Request, status: int, phrase: str, body: bytes) -> None:
        """Look at a request that was refused or failed, after its answer was given to the connection."""

    def on_fault(self, fault: Refusal, request: Request | None) -> None:
        """Look at an answer that ends a connection. ``request`` is the one whose body was not read, if its head was."""


class HttpServer:
    """The HTTP server of one worker. Its public attributes are counters, and objects that connections share."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Http,
        routes: Table,
        row: WorkerRow,
        log: logging.Logger,
        *,
        believed: Iterable[str] = (),
        key_holder: Callable[[Request], str] | None = None,
        cors: Cors | None = None,
        turns: Turns | None = None,
        is_exempt: Callable[[Request], bool] | None = None,
    ) -> None:
        """``cors`` is the one that wraps the handlers of ``routes``, unless it is made from the settings alone.
        ``believed`` are headers that are believed of a trusted proxy, besides those that name the client.
        ``key_holder`` returns the holder of a request's key or token, "" if it has none that is valid. ``turns`` are
        shared with the long jobs of handlers. Requests of which ``is_exempt`` says so have no rate limit."""
        self._loop = loop
        self._row = row
        self._limited = Limited(log)
        self._listener: Listener | None = None
        self._timer: Timer | None = None
        self._is_resting = False
        self._unix_s = 0
        self._gone: asyncio.Future[None] | None = None
        self._connections: set[Carried] = set()
        self._of_address: Counter[str] = Counter()  # Connections of each address, if their number has a limit.
        self._proxies = trusted_proxies(settings.trusted_proxies)
        self._has_proxy_header = settings.proxy_protocol
        self._client_address = ClientAddress(settings)
        self._key_holder = key_holder
        # Objects that connections share.
        bounds = self.bounds = RequestLimits(settings.limits)
        self.hard_max_connections = bounds.max_connections + bounds.max_connections // HARD_PART
        self.shadows = head.shadows((*ALWAYS_BELIEVED, settings.client_ip_header or "", *believed))
        self.rare = head.RARE | self.shadows
        self.heads = Heads()
        self.outgoing = Outgoing(loop)
        self.head_cache = HeadCache()
        self.cors = cors or Cors(settings.cors)
        self.decompressor = Decompressor(loop.time, self, bounds, turns or Turns(loop.call_soon, loop.time))
        self.call_soon = loop.call_soon
        self.call_later = loop.call_later
        shortest_s = min(bounds.head_s, bounds.body_stall_s, bounds.idle_s, bounds.write_stall_s, bounds.answer_s)
        self.wheel = Wheel(loop.time(), shortest_s)
        self.deadlines = [0.0, 0.0, 0.0, _FAR, 0.0]  # By a reader's stage, then ANSWER; set at the last tick.
        self.is_draining = False
        self.in_flight_bytes = 0
        self._held_by: Counter[str] = Counter()  # Bytes in flight by client, of requests whose client is known.
        # Counters.
        self.connections = 0  # Connections that were opened.
        self.requests = 0  # Requests that were handed to a handler or refused in their turn.
        self.by_route: dict[bytes, list[int]] = {}  # Responses by path of the table, if it has any, then status.
        self.unrouted = [0] * 600  # Responses to paths that are not served, by status.
        self.unread = [0] * 600  # Responses to bytes that were not a whole request.
        self.body_bytes = 0  # Bytes in the bodies of ``requests``.
        self.refused = dict.fromkeys(KINDS, 0)
        self.abandoned = 0  # Requests whose client disconnected before the answer.
        self.late_replies = 0  # Answers to clients that had disconnected.
        self.parse_errors = 0
        self.handler_errors = 0
        limits = settings.limits
        if limits.requests_per_s_per_key and key_holder is not None:
            buckets = TokenBuckets(limits.requests_per_s_per_key, limits.burst_per_key)
            of_key = RateLimit("key", key_holder, buckets, loop.time, self.refused, self.cors, is_exempt=is_exempt)
            routes = of_key.routes(routes)
        if limits.requests_per_s_per_address:  # It goes before the keys, since it is cheaper to check.
            buckets = TokenBuckets(limits.requests_per_s_per_address, limits.burst_per_address)
            whose = self._client_address.holder
            of_address = RateLimit(
                "address", whose, buckets, loop.time, self.refused, self.cors, is_of_head=True, is_exempt=is_exempt
            )
            routes = of_address.routes(routes)
        self.routes = Routes(routes)
        self.watcher: Watcher | None = None  # Told of every refused request.
        self._set_deadlines()

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Start the timer and begin to accept connections."""
        self._timer = Timer(self._loop, TICK_S, self._tick)
        self._timer.start()
        self._listener = Listener(
            self._loop, sockets, self.connection, self._row, max_connections=self.hard_max_connections
        )
        self._listener.start()

    def connection(self) -> Connection | ProxyHeader:
        """Make the protocol of a new connection."""
        if self._is_resting:
            self._wake()
        return ProxyHeader(self, Connection(self), self._proxies) if self._has_proxy_header else Connection(self)

    async def drain(self, deadline: float) -> int:
        """Do the first step of the drain, until ``loop.time()`` = deadline at the latest. Returns how many connections
        were then cut off in the middle of something."""
        self.is_draining = True
        if self._listener is not None:
            self._listener.stop()
        grace = self.wheel.now + GRACE_S
        for connection in self._connections:
            connection.drain(grace)
        await self._while(self._is_busy, deadline)
        return self._cut([connection for connection in self._connections if not connection.is_owed()])

    async def finish(self, deadline: float) -> int:
        """Do the second step of the drain. Returns how many connections were cut off in the middle of something, such
        as an answer that its client does not read before the deadline."""
        self.outgoing.flush()
        await self._while(self._owes, deadline)  # uvloop writes at once, so bytes in the kernel are not waited for.
        cut = self._cut(list(self._connections))
        self.close()
        return cut

    def close(self) -> None:
        """Stop now and cut off every connection."""
        self.is_draining = True
        if self._listener is not None:
            self._listener.stop()
        self._cut(list(self._connections))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _while(self, is_so: Callable[[], bool], deadline: float) -> None:
        while is_so() and self._loop.time() < deadline:
            self._gone = self._loop.create_future()
            pause_s = min(deadline - self._loop.time(), TICK_S)
            handle = self._loop.call_later(max(pause_s, 0.0), self._on_gone)
            await self._gone
            handle.cancel()

    def _cut(self, connections: Iterable[Carried]) -> int:
        self.outgoing.flush()
        return sum([connection.abort() for connection in connections])

    def _owes(self) -> bool:
        return any(connection.is_owed() for connection in self._connections)

    def _is_busy(self) -> bool:
        return bool(self._connections) or (self._listener is not None and not self._listener.is_idle())

    def _on_gone(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _tick(self) -> None:
        self.turn(self._loop.time(), time.time())
        self._is_resting = not self._connections
        if self._timer is not None:
            self._timer.pace(REST_S if self._is_resting else TICK_S)

    def _wake(self) -> None:  # cold: for the first connection after a rest
        self.turn(self._loop.time(), time.time())  # The deadlines of a new connection are those of the last tick.
        self._is_resting = False
        if self._timer is not None:
            self._timer.pace(TICK_S)

    def turn(self, loop_s: float, unix_s: float) -> None:
        """Advance the clocks to ``loop_s``, by ``loop.time()``, and ``unix_s``, the date to send."""
        if int(unix_s) != self._unix_s:
            self._unix_s = int(unix_s)
            self.heads.refresh(unix_s)
        self.wheel.turn(loop_s)
        self.head_cache.turn()
        self._set_deadlines()

    def _set_deadlines(self) -> None:
        bounds, after = self.bounds, self.wheel.after
        self.deadlines[:3] = after(bounds.idle_s), after(bounds.head_s), after(bounds.body_stall_s)
        self.deadlines[ANSWER] = after(bounds.answer_s)

    def accept_errors(self) -> int:
        """Connections that could not be taken for lack of descriptors or memory."""
        return self._listener.errors if self._listener is not None else 0

    def accept_waits(self) -> int:
        """Turns in which a new connection was left to a worker that holds fewer."""
        return self._listener.waits if self._listener is not None else 0

    # Connections call.

    def carry(self, connection: Carried) -> int:
        """Watch the deadline of one more connection, also during a drain. Returns the number of connections."""
        self._connections.add(connection)
        self._row.connections = len(self._connections)
        self.wheel.add(connection)
        if self.is_draining:
            connection.drain(self.wheel.now + GRACE_S)
        return len(self._connections)

    def drop(self, connection: Carried) -> None:
        """Forget a connection that is gone, or that another protocol has taken over."""
        self.wheel.remove(connection)
        self._connections.discard(connection)
        self._row.connections = len(self._connections)
        if not self._connections:
            self._on_gone()

    def on_open(self, connection: Connection) -> Refusal | None:
        """Count a connection in. Returns a refusal if there are too many."""
        self.connections += 1
        bounds = self.bounds
        refusal = self._too_many(connection, self.carry(connection), bounds.max_connections, bounds.many_connections)
        if bounds.max_connections_per_address and (name := self._holder(connection.peer)):
            self._of_address[name] += 1
            limit = bounds.max_connections_per_address
            refusal = self._too_many(connection, self._of_address[name], limit, bounds.many_of_address) or refusal
        return refusal

    def _too_many(self, connection: Connection, count: int, limit: int, refusal: Refusal) -> Refusal | None:
        if count > limit + limit // HARD_PART:
            self.refused[refusal.kind] += 1
            connection.abort()
        return refusal if count > limit else None

    def on_lost(self, connection: Carried, peer: str) -> None:
        """Count a connection out."""
        self.drop(connection)
        if self.bounds.max_connections_per_address and (name := self._holder(peer)):
            self._of_address[name] -= 1
            if not self._of_address[name]:
                del self._of_address[name]

    def _holder(self, peer: str) -> str:
        """The holder that a connection of ``peer`` counts for; "" for our own proxies, which have many clients."""
        address = normalised(peer) or ""
        return holder(address) if address and address not in self._proxies else ""

    def client_of(self, request: Request) -> str:
        """Name the client with whose other requests this one shares turns and memory. The name joins the client's
        address (IPv6: its /64), or that of a proxy of ours that names no client, and the holder of a valid key or
        token."""
        client = request.client
        if not client:
            key = self._key_holder(request) if self._key_holder is not None else ""
            client = request.client = f"{self._client_address.sharer(request)} {key}"
            if request.held_bytes:
                self._held_by[client] += request.held_bytes
        return client

    def hold(self, request: Request, held_bytes: int) -> None:
        """Count the bytes that a request holds while it waits; call it again as more of the request arrives."""
        more_bytes = held_bytes - request.held_bytes
        self.in_flight_bytes += more_bytes
        request.held_bytes = held_bytes
        if request.client:
            self._held_by[request.client] += more_bytes

    def release(self, request: Request) -> None:
        """Count the request out: it holds nothing any longer."""
        self.in_flight_bytes -= request.held_bytes
        if request.client:
            self.forget(request)
        request.held_bytes = 0

    def forget(self, request: Request) -> None:
        """Stop counting the request for its client: it is answered or gone."""
        left_bytes = self._held_by[request.client] - request.held_bytes
        if left_bytes > 0:
            self._held_by[request.client] = left_bytes
        else:
            del self._held_by[request.client]
        request.client = ""

    def is_too_much(self, request: Request) -> bool:
        """Whether the worker holds more than it may, or all requests of this one's client hold more than is left for
        the other clients (Choudhury and Hahne, "Dynamic queue length thresholds", 1998): one client gets half of the
        room at most, ten get ten elevenths, and a new client always finds some."""
        left_bytes = self.bounds.max_in_flight_bytes - self.in_flight_bytes
        return left_bytes < 0 or self._held_by[self.client_of(request)] > max(left_bytes, request.held_bytes)

    def elsewhere(self, path: bytes) -> list[int]:
        """Return the counters of a path that has had no response, or that is not literally in the table."""
        entry = self.routes.entry_of(path)
        if not entry:
            return self.unrouted
        return self.by_route.setdefault(entry, [0] * 600)

    def answered(self, status: int) -> int:
        """Return the number of all responses with this status."""
        return sum(counts[status] for counts in (*self.by_route.values(), self.unrouted, self.unread))

    def count(self, refusal: Refusal) -> None:
        """Count a refusal that names a limit."""
        if refusal.kind:
            self.refused[refusal.kind] += 1

    def on_stray_reply(self, *, is_late: bool) -> None:
        """Count a reply without a request: its client has disconnected, or it was answered before, which is a bug."""
        if is_late:
            self.late_replies += 1
            return
        self.handler_errors += 1
        where = "".join(traceback.format_stack(limit=6))
        self._limited.warning("second_reply", "a request was answered twice; the second is dropped\n%s", where)

    def on_overdue(self, request: Request) -> None:
        """Log that a handler made no reply: what it waits for was lost, by us or by the sink."""
        path = request.path.decode("latin-1")  # It is one of the routes: no other path has a handler.
        self._limited.warning(
            "overdue", "internal error: a request to %s had no answer after %g s", path, self.bounds.answer_s,
            request_id=request.request_id,
        )  # fmt: skip

    def on_handler_error(self, request: Request | None = None) -> None:
        """Log the exception being handled with its traceback, and count it."""
        self.handler_errors += 1
        self._limited.warning(
            "handler", "a request failed with an internal error\n%s", traceback.format_exc(),
            request_id=request.request_id if request is not None else "",
        )  # fmt: skip
