"""A client's end of a connection, a clock and a loop without a kernel under them.

Place: tests of server.http.
Rule: the transport does what uvloop's does in the order in which it does it: data is delivered and loss is reported
in a later turn (``Wire.pump``), pausing is reported inside ``write``. tests/wire runs on real sockets too.
Not here: what is expected of a server.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from server.config.limit_settings import Limits
from server.config.settings import Http
from server.http.around.proxy_header import ProxyHeader
from server.http.protocol import Connection
from server.http.request import Request
from server.http.routes import Handler
from server.http.server import HttpServer
from server.http.wheel import TICK_S


class FakeLoop:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.later: deque[Callable[[], None]] = deque()
        self.soon: deque[Callable[[], None]] = deque()
        self.is_held = False  # True: what is due soon waits for ``turns``.
        self._is_turning = False

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Callable[[], None]) -> None:
        """A turn of this loop is one call: what is left for its end is done at once, and in order."""
        self.soon.append(callback)
        if not self.is_held:
            self.turns()

    def turns(self) -> None:
        """Turn until nothing is due soon."""
        if not self._is_turning:
            self._is_turning = True
            try:
                while self.soon:
                    self.soon.popleft()()
            finally:
                self._is_turning = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Whoever asks asyncio for the running loop meanwhile is given this one."""
        asyncio._set_running_loop(cast(Any, self))
        try:
            yield
        finally:
            asyncio._set_running_loop(None)

    def call_later(self, delay_s: float, callback: Callable[..., None], *arguments: Any) -> None:
        """Kept until ``turn``."""
        self.later.append(partial(callback, *arguments))

    def turn(self) -> None:
        """Do the next of what is due later."""
        self.later.popleft()()


class FakeRow:
    """What the server writes of the scoreboard."""

    connections = 0


class FakeTransport:
    """Keeps what is written. ``takes_bytes`` None: the client reads at once; a number: so much and no more."""

    HIGH_BYTES = 65_536

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.sent = bytearray()
        self.writes = 0
        self.protocol: Connection | ProxyHeader
        self.takes_bytes: int | None = None
        self.unsent_bytes = 0
        self.is_reading = True
        self.is_half_closed = False
        self.is_aborted = False
        self._is_closing = False

    def get_extra_info(self, name: str) -> Any:
        return self.peer if name == "peername" else None

    def set_protocol(self, protocol: Connection) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        assert not self._is_closing and not self.is_half_closed, "written after the end"
        self.sent += data
        self.writes += 1
        if self.takes_bytes is not None:
            was_bytes, self.unsent_bytes = self.unsent_bytes, self.unsent_bytes + len(data)
            if was_bytes <= self.HIGH_BYTES < self.unsent_bytes:
                self.protocol.pause_writing()

    def take(self, size_bytes: int) -> None:
        """The client reads so much."""
        was_bytes, self.unsent_bytes = self.unsent_bytes, max(0, self.unsent_bytes - size_bytes)
        if was_bytes > self.HIGH_BYTES // 4 >= self.unsent_bytes:
            self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def abort(self) -> None:
        self._is_closing = self.is_aborted = True
        self.unsent_bytes = 0

    def write_eof(self) -> None:
        self.is_half_closed = True

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True


class Wire:
    """One client: ``send`` bytes, look at ``sent``."""

    def __init__(self, server: HttpServer, peer: Any = ("192.0.2.1", 4711)) -> None:
        self.transport = FakeTransport(peer)
        self.transport.protocol = server.connection()
        self._arriving: deque[bytes] = deque()
        self._is_lost = False
        self.transport.protocol.connection_made(cast(Any, self.transport))
        self.pump()

    @property
    def connection(self) -> Connection:
        """The server's end."""
        return cast(Connection, self.transport.protocol)

    @property
    def sent(self) -> bytes:
        """Everything that the server has written."""
        return bytes(self.transport.sent)

    def is_closed(self) -> bool:
        """True when the server sends no more."""
        return self._is_lost or self.transport.is_half_closed

    def is_lost(self) -> bool:
        """True when the connection is gone."""
        return self._is_lost

    def is_read(self) -> bool:
        """True while the server reads what the client sends."""
        return self.transport.is_reading

    @property
    def waiting_bytes(self) -> int:
        """What the client has sent and the server has not read."""
        return sum(map(len, self._arriving))

    def send(self, *pieces: bytes) -> None:
        """Send each piece in a read of its own, as far as the server reads."""
        self._arriving.extend(piece for piece in pieces if piece)
        self.pump()

    def send_eof(self) -> None:
        """Send no more."""
        if not self._is_lost and not self.connection.eof_received():
            self.transport.close()
        self.pump()

    def hang_up(self) -> None:
        """Be gone."""
        self.transport.abort()
        self.pump()

    def take(self, size_bytes: int) -> None:
        """Read so much of what was sent (when ``transport.takes_bytes`` is set)."""
        self.transport.take(size_bytes)
        self.pump()

    def pump(self) -> None:
        """Let the loop turn until nothing happens."""
        while self._arriving and self.transport.is_reading and not self.transport.is_closing():
            self.connection.data_received(self._arriving.popleft())
        if self.transport.is_closing() and self.transport.unsent_bytes == 0 and not self._is_lost:
            self._is_lost = True
            self.connection.connection_lost(None)
            del self.transport.protocol


class Harness:
    """A server with a clock of its own, and the requests that its handlers saw."""

    def __init__(
        self,
        *,
        routes: Mapping[str, Mapping[str, Handler]] | None = None,
        http: Mapping[str, Any] | None = None,
        key_holder: Callable[[Request], str] | None = None,
        is_exempt: Callable[[Request], bool] | None = None,
        **limits: Any,
    ) -> None:
        self.loop = FakeLoop()
        self.row = FakeRow()
        self.seen: list[Request] = []
        self.wires: list[Wire] = []
        self.on_request: Callable[[Request], None] = reply_with_body
        if routes is None:
            routes = {"/events": {"POST": self.handle}, "/page": {"GET": self.handle}}
        settings = Http(limits=Limits(**limits), **(http or {}))
        made: Any = {"loop": self.loop, "row": self.row, "log": logging.getLogger("test")}
        self.server = HttpServer(settings=settings, routes=routes, key_holder=key_holder, is_exempt=is_exempt, **made)
        self.server.heads.refresh(0.0)

    def handle(self, request: Request) -> None:
        """The handler: keep the request, then do what the test says."""
        self.seen.append(request)
        self.on_request(request)

    def wire(self, peer: Any = ("192.0.2.1", 4711)) -> Wire:
        """One more client."""
        wire = Wire(self.server, peer)
        self.wires.append(wire)
        return wire

    def hold(self) -> None:
        """Let handlers keep requests without answering."""
        self.on_request = keep

    def pass_time(self, seconds: float) -> None:
        """Let the server's timer fire through so many seconds."""
        until_s = self.loop.now_s + seconds
        while self.loop.now_s < until_s:
            self.loop.now_s += TICK_S
            self.server.turn(self.loop.now_s, 0.0)
            for wire in self.wires:
                wire.pump()


def reply_with_body(request: Request) -> None:
    """Answer with the body that came."""
    request.reply(200, "OK", request.body or b"-", b"text/plain")


def keep(request: Request) -> None:
    """Do not answer yet."""


def post(body: bytes = b"hi", headers: bytes = b"", path: bytes = b"/events") -> bytes:
    """A request."""
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (path, headers, len(body), body)


def get(path: bytes = b"/page", headers: bytes = b"") -> bytes:
    """A request without a body."""
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (path, headers)


class Response:
    """One response, taken apart."""

    def __init__(self, status: int, phrase: str, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.phrase = phrase
        self.headers = headers
        self.body = body


def responses(sent: bytes, heads: frozenset[int] = frozenset()) -> list[Response]:
    """Take what a server sent apart; ``heads`` are the indices of answers to HEAD. Raises when bytes are left over."""
    found: list[Response] = []
    while sent:
        head, end, sent = sent.partition(b"\r\n\r\n")
        assert end, f"half a head: {head!r}"
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, phrase = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines), f"a header twice: {head!r}"
        length = 0 if len(found) in heads else int(headers.get("Content-Length", 0))
        body, sent = sent[:length], sent[length:]
        assert len(body) == length, "half a body"
        found.append(Response(int(status), phrase, headers, body))
    return found


def statuses(wire: Wire) -> list[int]:
    """The statuses that a client got."""
    return [response.status for response in responses(wire.sent)]
