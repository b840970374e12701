"""The documents about the streams: the list, the newest events, the description, a page to try it.

Place: server.http.routes → HERE.
Rules: only public streams are named. The description and the page are made once for each set of streams. Answers may be
read by every page.
Not here: streams themselves (requests), the content of the description (openapi).
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from eventstreams.sources.base import SourceError
from eventstreams.web.openapi import description
from eventstreams.web.paths import StreamPaths
from server.log import Limited
from server.pages.documents import PREFLIGHT
from server.version import VERSION

if TYPE_CHECKING:
    from eventstreams.filters import Filters
    from eventstreams.flow.hub import Hub
    from eventstreams.streams import PublicStream
    from server.config.settings import Config
    from server.http.request import Request
    from server.http.routes import Handler

NO_STORE: Final = b"Cache-Control: no-store\r\n"
OPEN: Final = b"Cache-Control: public, max-age=60\r\nAccess-Control-Allow-Origin: *\r\n"
HTML_TYPE: Final = b"text/html; charset=utf-8"
# The page loads nothing from elsewhere, and no other site may frame it.
GUARDED: Final = (
    b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"
)
ROBOTS: Final = b"User-agent: *\nDisallow: /v2/stream/\n"
RATE_S: Final = 3600.0
LIST_S: Final = 30.0  # The list asks the brokers for every stream, at most this often.
FILES: Final = {
    "/v2/ui": ("ui.html", HTML_TYPE),
    "/v2/ui.js": ("ui.js", b"text/javascript; charset=utf-8"),
    "/v2/ui.css": ("ui.css", b"text/css; charset=utf-8"),
}

_limited = Limited(logging.getLogger("eventstreams"))


class StreamPages:
    """The handlers of everything but streams."""

    def __init__(
        self,
        hub: Hub,
        filters: Filters,
        config: Config,
        unready: Callable[[], str | None],
        info: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._hub = hub
        self._filters = filters
        self._name = config.service_name or "penstock"
        self._keepalive_s = config.eventstreams.keepalive_s
        self._unready = unready
        self._info = info
        self._description: bytes | None = None
        self._listed: tuple[float, bytes] = (0.0, b"")
        self._listing: asyncio.Task[None] | None = None
        self._waiting: list[Request] = []
        self._files = {path: (self._read(name), kind) for path, (name, kind) in FILES.items()}

    def routes(self) -> dict[str, dict[str, Handler | None]]:
        """Return the routes of these pages."""
        handlers: dict[str, Handler] = {
            StreamPaths.STREAMS: self.handle_list,
            StreamPaths.HEALTH: self.handle_health,
            StreamPaths.READINESS: self.handle_readiness,
            StreamPaths.INFO: self.handle_info,
            StreamPaths.ROBOTS: self.handle_robots,
            StreamPaths.ROOT: self.handle_root,
            **dict.fromkeys(FILES, self.handle_file),
        }
        return {path: {"GET": handler, "OPTIONS": PREFLIGHT} for path, handler in handlers.items()}

    def forget(self) -> None:
        """Make everything again: the streams have changed."""
        self._description = None
        self._listed = (0.0, b"")

    def handle_root(self, request: Request) -> None:
        """``/?spec`` is the description, for programs; everything else is the page."""
        if request.query.partition(b"&")[0].partition(b"=")[0] in (b"spec", b"doc"):
            if self._description is None:
                self._description = orjson.dumps(description(self._hub.streams, self._filters, self._name))
            request.reply(200, "OK", self._description, more=OPEN)
            return
        request.reply(302, "Found", more=b"Location: /v2/ui\r\n" + NO_STORE)

    def handle_file(self, request: Request) -> None:
        """Send a file of the page."""
        content, kind = self._files[request.path.decode()]
        request.reply(200, "OK", content, kind, more=b"Cache-Control: public, max-age=60\r\n" + GUARDED)

    def handle_health(self, request: Request) -> None:
        request.reply(200, "OK", b'{"status":"ok"}', more=NO_STORE)

    def handle_readiness(self, request: Request) -> None:
        """Say whether this worker takes requests. Brokers have no part in it."""
        state = self._unready()
        if state is None:
            request.reply(200, "OK", b'{"status":"ready"}', more=NO_STORE)
        else:
            body = orjson.dumps({"status": state})
            request.reply(503, "Service Unavailable", body, retry_after_s=1, more=NO_STORE)

    def handle_info(self, request: Request) -> None:
        info = {"name": self._name, "version": VERSION, **self._info(), "clients": self._hub.counts.clients}
        request.reply(200, "OK", orjson.dumps(info), more=NO_STORE)

    def handle_robots(self, request: Request) -> None:
        request.reply(200, "OK", ROBOTS, b"text/plain; charset=utf-8", more=OPEN)

    def handle_list(self, request: Request) -> None:
        """List the streams with their schemas, and what is stored of them."""
        made_s, body = self._listed
        if body and time.monotonic() - made_s < LIST_S:
            request.reply(200, "OK", body, more=OPEN)
            return
        self._waiting.append(request)
        if self._listing is None:
            self._listing = asyncio.get_running_loop().create_task(self._list())

    async def _list(self) -> None:
        try:
            body = orjson.dumps({"streams": await self._streams()})
            self._listed = (time.monotonic(), body)
            for request in self._waiting:
                request.reply(200, "OK", body, more=OPEN)
        except SourceError as failed:
            self._hub.on_failed(failed)
            detail = "The stored events cannot be looked up for now. Try again."
            for request in self._waiting:
                request.problem(503, detail, retry_after_s=5)
        except Exception:
            _limited.warning(
                "list", "internal error: the list of streams could not be made\n%s", traceback.format_exc()
            )
            for request in self._waiting:
                request.problem(500, "internal: the server failed on this request, and has logged it.")
        finally:
            self._waiting = []
            self._listing = None

    async def _streams(self) -> list[dict[str, Any]]:
        public = self._hub.streams
        topics = sorted({topic for stream in public.streams.values() for topic in stream.topics})
        described = await self._hub.pool.describe(topics)
        oldest = await self._oldest({place: one.low for place, one in described.bounds.items() if one.high > one.low})
        ends = {place: one.high for place, one in described.bounds.items()}
        recent = await self._recent(ends)
        listed = []
        for stream in public.streams.values():
            places = {place: one for place, one in described.bounds.items() if place[0] in stream.topics}
            times = [oldest[place] for place in places if place in oldest]
            listed.append(self._described(stream) | {
                "partitions": len(places),
                "stored_at_most": sum(one.high - one.low for one in places.values()),
                "events_per_s_at_most": round(sum(recent[place] for place in places) / RATE_S, 3),
                "earliest_ms": min(times, default=None),
            })  # fmt: skip
        return listed

    async def _recent(self, ends: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Return how many offsets of each partition belong to the last ``RATE_S``."""
        since_ms = int((time.time() - RATE_S) * 1000)
        starts = await self._hub.pool.at_times(dict.fromkeys(ends, since_ms))
        return {
            place: end - (start if (start := starts.get(place)) is not None else end) for place, end in ends.items()
        }

    async def _oldest(self, starts: dict[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Return the time of the oldest event of each partition."""
        found: dict[tuple[str, int], int] = {}
        for place, low in starts.items():
            batch = await self._hub.pool.read(self, {place: low}, most_bytes=1, most_events=1)
            if batch.records:
                found[place] = batch.records[0].timestamp_ms
        return found

    def _described(self, stream: PublicStream) -> dict[str, Any]:
        schema = self._filters.schema(stream.schema_title) if stream.schema_title else None
        examples = schema.get("examples") if schema is not None else None
        return {
            "stream": stream.name,
            "description": stream.description,
            "schema_title": stream.schema_title,
            "schema_uri": schema.get("$id") if schema is not None else None,
            "topics": list(stream.topics),
            "canary_events": stream.has_canaries,
            "needs_credentials": stream.reading is not None,
            "example": examples[0] if isinstance(examples, list) and examples else None,
        }

    @staticmethod
    def _read(name: str) -> bytes:
        return (Path(__file__).parent / "page" / name).read_bytes()
