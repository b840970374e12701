"""Answer a request for events: with a stream that takes its connection over, or with a refusal.

Place: server.http.routes → HERE → ask, start → client.
Rules: a request is read, allowed and admitted before anything is looked up for it; the place that it was given is
released when its stream or its refusal is over. A browser gives up on any status but 200, so that a page that finds all
places taken would never come back: it gets an empty stream that asks it to wait.
Not here: who may read (server.auth), where a stream begins (start), what is sent (client).
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

import msgspec

from eventstreams.flow.client import StreamClient
from eventstreams.flow.frames import Wire
from eventstreams.flow.projection import Projection
from eventstreams.refusal import RefusedError
from eventstreams.sources.base import SourceError
from eventstreams.web import ask, latest, start
from eventstreams.web.paths import StreamPaths
from server.http.protocol import Connection
from server.http.response import KEEP
from server.log import Limited

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from eventstreams.filters import Filters
    from eventstreams.flow.hub import Hub
    from eventstreams.streams import PublicStream
    from eventstreams.web.admission import Admission
    from server.auth.access import Access
    from server.auth.grant import Grants
    from server.http.around.client_address import ClientAddress
    from server.http.around.cors import Cors
    from server.http.request import Request
    from server.http.routes import Handler
    from server.http.server import HttpServer

PREFIX: Final = StreamPaths.BELOW_STREAM.encode()[:-1]
RETRY_S: Final = 5
BROWSER_RETRY_MS: Final = 30_000

_limited = Limited(logging.getLogger("eventstreams"))


class Reading:
    """A request as guards see it (server.auth.guard.Arrival)."""

    __slots__ = ("_address", "grants", "headers", "received_ms", "request")

    def __init__(self, request: Request, address: ClientAddress) -> None:
        self.request = request
        self.headers = request.headers
        self.received_ms = int(time.time() * 1000)
        self.grants: Grants | None = None
        self._address = address

    def address(self) -> str:
        return self._address.of(self.request)


class StreamRequests:
    """The handlers of streams."""

    def __init__(
        self,
        hub: Hub,
        access: Access,
        address: ClientAddress,
        admission: Admission,
        filters: Filters,
        cors: Cors,
    ) -> None:
        self._hub = hub
        self._access = access
        self._address = address
        self._admission = admission
        self._filters = filters
        self._cors = cors
        self._server: HttpServer
        self._starting: set[asyncio.Task[None]] = set()

    def use_server(self, server: HttpServer) -> None:
        """Set the server, which is made with the routes of this object."""
        self._server = server

    def routes(self) -> dict[str, dict[str, Handler | None]]:
        """Return the route of streams."""
        preflight = self._cors.over(self._cors.preflight("GET, HEAD")) if self._cors.is_on else None
        return {StreamPaths.BELOW_STREAM: {"GET": self.handle, "OPTIONS": preflight}}

    def handle(self, request: Request) -> None:
        """Begin a stream, or refuse."""
        counts = self._hub.counts
        try:
            names = ask.names_of(request.path, PREFIX)
            if self._server.is_draining:
                raise RefusedError(
                    503, "draining", "Service Unavailable", "The server drains. Try again.", retry_after_s=1
                )
            settings = self._hub.settings
            if (of_latest := latest.asked_of(names, request.params().get("n", ""))) is not None:
                self._handle_latest(request, *of_latest)
                return
            most = settings.limits.max_streams
            asked = ask.read(request, names, self._hub.streams, most, compresses=settings.compression)
            given = {stream.name for name in names if (stream := self._hub.streams.by_name.get(name)) is not None}
            streams = self._allow(request, asked.streams, {stream.name for stream in asked.streams} - given)
            asked = msgspec.structs.replace(asked, streams=streams)
            projection = self._projection(asked)
            if request.method == b"HEAD":
                self._cors.share(request)
                more = b"Cache-Control: no-store\r\nContent-Type: " + asked.content_type + b"\r\n"
                request.reply(200, "OK", more=more)
                return
            holder = self._address.holder(request)
            self._admit(holder)
        except RefusedError as refused:
            self._refuse(request, refused)
            return
        task = asyncio.get_running_loop().create_task(self._begin(request, asked, projection, holder))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        counts.starts[asked.kind] += 1

    def _handle_latest(self, request: Request, name: str, count: int) -> None:
        """Answer with the newest events of one stream."""
        (stream,) = self._hub.streams.find([name], 1)
        self._allow(request, [stream])
        holder = self._address.holder(request)
        self._admit(holder)  # It takes a reader as the start of a stream does, so it counts as one while it lasts.
        task = asyncio.get_running_loop().create_task(self._send_latest(request, stream, count, holder))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _send_latest(self, request: Request, stream: PublicStream, count: int, holder: str) -> None:
        try:
            body = await latest.newest(self._hub, stream, count)
            self._cors.share(request)
            request.reply(200, "OK", body, more=b"Cache-Control: no-store\r\n")
        except SourceError as failed:
            self._hub.on_failed(failed)
            self._refuse(request, _unreadable())
        except Exception:
            self._fail(request)
        finally:
            self._admission.release(holder)

    def _fail(self, request: Request) -> None:
        """Answer 500 for the exception that is handled now, and log it."""
        self._server.handler_errors += 1
        _limited.warning("begin", "internal error: a stream could not begin\n%s", traceback.format_exc())
        request.problem(500, "internal: the server failed on this request, and has logged it. Try again later.")

    def _projection(self, asked: ask.Asked) -> Projection:
        text, test = "", None
        if asked.filter_text:
            text, test = self._filters.compile(asked.filter_text, asked.streams)
        if asked.fields:
            self._filters.check_fields(asked.fields, asked.streams)
        projection = Projection(
            frozenset(stream.name for stream in asked.streams),
            asked.topics,
            filter_text=text,
            test=test,
            fields=asked.fields,
            sample=asked.sample,
            has_canaries=asked.has_canaries,
        )
        shared = self._hub.shared(projection)
        if shared is projection and self._hub.projection_count() > self._hub.settings.limits.max_filters:
            detail = "Too many different filters are in use. Try again, or filter what you get."
            raise RefusedError(503, "too_many_filters", "Service Unavailable", detail, retry_after_s=RETRY_S)
        return shared

    def _allow(
        self, request: Request, streams: Sequence[PublicStream], optional: Set[str] = frozenset()
    ) -> tuple[PublicStream, ...]:
        """Return the streams without those of ``optional``, for which only a star stands, that the client may not read.
        Raises RefusedError if it may not read another one, or none is left."""
        reading: Reading | None = None
        allowed: list[PublicStream] = []
        error: RefusedError | None = None
        for stream in streams:
            guard = self._access.guard(stream.reading) if stream.reading is not None else None
            reading = reading or Reading(request, self._address)
            refused = guard.refuses(reading) if guard is not None else None
            if refused is None:
                allowed.append(stream)
                continue
            error = _not_allowed(stream.name, needs_credentials=refused == "unauthorized")
            if stream.name not in optional:
                raise error
        if error is not None and not allowed:
            raise error
        return tuple(allowed)

    def _admit(self, holder: str) -> None:
        refused = self._admission.admit(holder)
        if refused == "address":
            detail = "Your address has as many open streams as it may have. Read several streams in one request."
            raise RefusedError(
                429, "too_many_requests", "Too Many Concurrent Connections From Your Client IP", detail,
                retry_after_s=RETRY_S,
            )  # fmt: skip
        if refused == "full":
            detail = "The server has as many open streams as it may have. Try again later."
            raise RefusedError(503, "full", "Service Unavailable", detail, retry_after_s=RETRY_S)

    async def _begin(self, request: Request, asked: ask.Asked, projection: Projection, holder: str) -> None:
        """Look up where the stream begins, and begin it."""
        is_begun = False
        try:
            begun = await start.resolve(asked, self._hub)
            is_begun = self._open(request, asked, projection, begun, holder)
        except RefusedError as refused:
            self._refuse(request, refused)
        except SourceError as failed:
            self._hub.on_failed(failed)
            self._refuse(request, _unreadable())
        except Exception:
            self._fail(request)
        finally:
            if not is_begun:
                self._admission.release(holder)

    def _open(
        self, request: Request, asked: ask.Asked, projection: Projection, begun: start.Begun, holder: str
    ) -> bool:
        """Begin the stream. Returns False if there is none: its client has gone, or there is nothing to send."""
        if begun.is_empty and asked.is_sse and asked.position is not None and not asked.is_poll:
            self._cors.share(request)
            request.reply(204, "No Content", more=b"Cache-Control: no-store\r\n")  # A browser then does not come back.
            return False
        connection = request.answering
        assert isinstance(connection, Connection)  # Nothing that changes answers wraps this route.
        is_chunked = request.tail is KEEP  # Else the client is of HTTP/1.0, or asked to close: the end is the close.
        head = self._head(request, asked, begun, is_chunked=is_chunked)
        transport = connection.hand_over(request, 200)
        if transport is None:
            return False
        wire = Wire(is_sse=asked.is_sse, encoding=asked.encoding, is_chunked=is_chunked)
        label = f"{','.join(stream.name for stream in asked.streams)}, from {asked.kind}"
        client = StreamClient(
            self._hub,
            self._server,
            transport,
            connection.peer,
            projection,
            begun.positions,
            wire,
            begun.bound,
            label,
            lambda: self._admission.release(holder),
        )
        client.begin(head, begun.gaps)
        return True

    def _head(self, request: Request, asked: ask.Asked, begun: start.Begun, *, is_chunked: bool) -> bytes:
        lines = [
            b"HTTP/1.1 200 OK\r\nDate: " + formatdate(usegmt=True).encode(),
            b"Content-Type: " + asked.content_type,
            b"Cache-Control: no-store",
            b"X-Accel-Buffering: no",
            b"X-Content-Type-Options: nosniff",
            b"Vary: Accept, Accept-Encoding",
            b"X-Request-Id: " + request.identity(),
        ]
        if asked.encoding:
            lines.append(b"Content-Encoding: " + asked.encoding.encode())
        if is_chunked:
            lines += [b"Transfer-Encoding: chunked", b"Trailer: Last-Event-ID"]
        bound = begun.bound
        if bound is not None and bound.stops is not None and bound.limit is None:
            ends = begun.positions.copy()
            for place in ends.next:
                ends.reach(place, bound.stops.get(place, 0))
            lines.append(b"Last-Event-ID: " + ends.text())
        origin = request.headers.get(b"origin", b"")
        shared = self._cors.of_fault(origin) if origin and self._cors.is_on else b""
        return b"\r\n".join(lines) + b"\r\n" + shared + b"Connection: close\r\n\r\n"

    def _refuse(self, request: Request, refused: RefusedError) -> None:
        counts = self._hub.counts
        kinds = {400: "bad_request", 401: "unauthorized", 403: "unauthorized", 404: "not_found", 410: "gone"}
        kind = "address" if refused.status == 429 else kinds.get(refused.status, "full")
        counts.refused["not_found" if refused.body["type"] == "not_found" else kind] += 1
        self._cors.share(request)
        wants_stream = b"text/event-stream" in request.headers.get(b"accept", b"")
        if refused.status == 503 and wants_stream and b"sec-fetch-mode" in request.headers:
            body = b"retry: %d\n\n" % BROWSER_RETRY_MS
            request.reply(200, "OK", body, ask.SSE_TYPE, more=b"Cache-Control: no-store\r\n")
            return
        refused.answer(request)


def _not_allowed(name: str, *, needs_credentials: bool) -> RefusedError:
    if not needs_credentials:
        return RefusedError(403, "forbidden", "Forbidden", f"You may not read {name}.")
    detail = f"Reading {name} needs a key or token. Send it in Authorization, after the word Bearer."
    lines = b'WWW-Authenticate: Bearer realm="streams"\r\n'
    return RefusedError(401, "unauthorized", "Unauthorized", detail, lines=lines)


def _unreadable() -> RefusedError:
    detail = "Events cannot be read for now. Try again."
    return RefusedError(503, "source", "Service Unavailable", detail, retry_after_s=RETRY_S)
