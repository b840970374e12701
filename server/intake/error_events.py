"""Make one error event for every invalid event, on the error stream, through the same pipeline.

Place: intake.sending → HERE → intake.pipeline → sink.
Rule: never recursive (an error event that is invalid itself is counted and dropped), rate-limited, bounded in size, and
made in loop turns of its own, a slice at a time. No tree is built from client data.
Not here: the verdict (intake.pipeline).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from server.auth.grant import OURS
from server.intake.arrival import Arrival, Clock
from server.intake.event import Event
from server.intake.pipeline import Pipeline
from server.intake.text.fields import Fields
from server.intake.text.members import MemberReader, Path, Values
from server.intake.verdict import REFUSED_TYPES, Verdict
from server.timing.turns import TURN_S

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.schema_fetcher import SchemaFetcher
    from server.schemas.repository import Unfetched

MAX_WAITING = 1_000  # Error events that may wait for the next loop turn: one bad batch must not fill the memory.
MAX_RAW_CHARS = 65_536  # Characters of the refused event that are copied; enough to see what is wrong with it.
MAX_MESSAGE_CHARS = 8_192

_URI, _DOMAIN, _REQUEST_ID = _ORIGIN = (("meta", "uri"), ("meta", "domain"), ("meta", "request_id"))
_PLAIN_URI = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]+")


class ErrorEvents:
    """Makes error events. ``produced`` were taken by the sink; ``dropped`` were not made or not taken."""

    def __init__(
        self,
        pipeline: Pipeline,
        submit: Callable[[Event], str | None],
        clock: Clock,
        config: Config,
        fetcher: SchemaFetcher | None = None,
    ) -> None:
        """``fetcher`` is asked for the schema of error events, if that schema is at a URL."""
        settings = config.intake
        name = config.service_name or "penstock"
        self._pipeline = pipeline
        self._submit = submit
        self._clock = clock
        self._fetcher = fetcher
        self._stream = config.error_stream
        self._schema_uri = settings.error_schema_uri
        self._emitter = name
        self._per_s = settings.error_events_per_s
        fields = self._fields = Fields.of(config)
        self._members = MemberReader([*_ORIGIN, *fields.schema_uri, *fields.stream])
        self._most = max(1.0, self._per_s) if self._per_s else 0.0
        self._tokens = self._most
        self._refilled_at = time.monotonic()
        self._is_scheduled = False
        self._waiting: deque[tuple[Event, Verdict]] = deque()
        self.produced = 0
        self.dropped = 0

    def add(self, event: Event, verdict: Verdict) -> None:
        """Queue one refused event; its error event is made in the next turn of the loop.

        An event whose sender may not write gets none: the error event contains it, and would be a way to write
        nevertheless.
        """
        if verdict.error_type in REFUSED_TYPES:
            return
        if self._stream is None or len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append((event, verdict))
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_scheduled = False
        self.flush(TURN_S)
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def flush(self, time_s: float = float("inf")) -> None:
        """Make and send queued error events, as many as the rate allows, for at most this long."""
        now = time.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._refilled_at) * self._per_s)
        self._refilled_at = now
        received_ms, received_dt = self._clock.now()
        arrival = Arrival(received_ms, received_dt, {})
        arrival.grants = OURS
        arrival.schema_uri, arrival.stream = msgspec.json.encode(self._schema_uri), msgspec.json.encode(self._stream)
        until_s = now + time_s
        unfetched: Unfetched | None = None
        while self._waiting:
            event, verdict = self._waiting.popleft()
            if self._tokens < 1:
                self.dropped += 1
                continue
            self._tokens -= 1
            prepared = self._pipeline.prepare(0, self._describe(event, verdict, received_dt), arrival)
            unfetched = prepared.unfetched or unfetched
            if prepared.verdict is None and self._submit(prepared) is None:
                self.produced += 1
            else:
                self.dropped += 1
            if time.monotonic() > until_s:
                break
        if self._fetcher is not None and unfetched is not None:
            self._fetcher.ask(unfetched.uri)  # No request waits for the schema of error events.

    def _describe(self, event: Event, verdict: Verdict, received_dt: bytes) -> bytes:
        """Build the error event, of schema /error/2.1.0."""
        shown = event.value if event.shown is None else event.shown
        raw = shown[: 4 * MAX_RAW_CHARS].decode("utf-8", "replace")
        told = self._told(shown)
        names = told if event.shown is None else self._told(event.value)
        return msgspec.json.encode(
            {
                "$schema": self._schema_uri,
                "meta": {
                    "stream": self._stream,
                    "uri": _uri(self._first(told, (_URI,))),
                    "domain": self._first(told, (_DOMAIN,)),
                    "request_id": self._first(told, (_REQUEST_ID,)),
                },
                "dt": msgspec.Raw(received_dt),
                "emitter_id": self._emitter,
                "error_type": verdict.error_type,
                "message": (verdict.told or verdict.text)[:MAX_MESSAGE_CHARS],
                "errored_schema_uri": self._first(names, self._fields.schema_uri),
                "errored_stream_name": self._first(names, self._fields.stream),
                "raw_event": raw[:MAX_RAW_CHARS],
            }
        )

    def _told(self, raw: bytes) -> Values:
        """Return the fields that the event has; nothing if it is not an object, or cannot be read."""
        try:
            return self._members.read(raw)
        except (msgspec.DecodeError, RecursionError):
            return ()

    def _first(self, told: Values, paths: tuple[Path, ...]) -> str:
        """Return the first of these fields that is present."""
        found = (told[self._members.at(path)] for path in paths if told)
        return _word(next((value for value in found if isinstance(value, Raw) and bytes(value) != b"null"), None))


def _uri(word: str) -> str:
    """Return the event's URI unless it would make the error event invalid too; ``raw_event`` has it in any case."""
    return word if _PLAIN_URI.fullmatch(word) else "unknown"


def _word(value: object) -> str:
    """Return a short string for a field that consumers search by, else ``unknown``, as EventGate does."""
    try:
        found = msgspec.json.decode(value, type=str) if isinstance(value, Raw) else ""
    except msgspec.DecodeError:  # No string.
        found = ""
    return found[:1024] or "unknown"
