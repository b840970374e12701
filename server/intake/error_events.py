"""One error event for every invalid event, on the error stream, through the same pipeline.

Place: intake.sending → HERE → intake.pipeline → sink.
Rule: never recursive (an error event that is invalid itself is counted and dropped), rate-limited, bounded in size,
made in a turn of the loop of its own.
Not here: the verdict (intake.pipeline).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from server.auth.grant import OURS
from server.intake.arrival import Arrival, Clock
from server.intake.event import Event
from server.intake.fields import Fields
from server.intake.members import Path
from server.intake.pipeline import Pipeline
from server.intake.verdict import REFUSED_TYPES, Verdict

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.asking import Asking

MAX_WAITING = 1_000  # Error events between a request and the next loop turn: one bad batch must not take memory.
MAX_RAW_CHARS = 65_536  # Of the event that was refused; enough to see what is wrong with it.
MAX_MESSAGE_CHARS = 8_192

_PLAIN_URI = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]+")


class ErrorEvents:
    """Makes error events. ``produced`` were taken by the sink, ``dropped`` were not made or not taken."""

    def __init__(
        self,
        pipeline: Pipeline,
        submit: Callable[[Event], str | None],
        clock: Clock,
        config: Config,
        asking: Asking | None = None,
    ) -> None:
        """``asking``: whom to ask for the schema of error events, if that is at a URL."""
        settings = config.intake
        name = config.service_name or "penstock"
        self._pipeline = pipeline
        self._submit = submit
        self._clock = clock
        self._asking = asking
        self._stream = config.error_stream
        self._schema_uri = settings.error_schema_uri
        self._emitter = name
        self._per_s = settings.error_events_per_s
        self._fields = Fields.of(config)
        self._most = max(1.0, self._per_s) if self._per_s else 0.0
        self._tokens = self._most
        self._refilled_at = time.monotonic()
        self._is_scheduled = False
        self._waiting: deque[tuple[Event, Verdict]] = deque()
        self.produced = 0
        self.dropped = 0

    def add(self, event: Event, verdict: Verdict) -> None:
        """Remember one refused event; its error event is made in the next turn of the loop.

        There is none of an event whose sender may not write: it would be a way to write all the same.
        """
        if verdict.error_type in REFUSED_TYPES:
            return
        if self._stream is None or len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append((event, verdict))
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Make and send the error events that wait, as many as the rate allows."""
        self._is_scheduled = False
        now = time.monotonic()
        self._tokens = min(self._most, self._tokens + (now - self._refilled_at) * self._per_s)
        self._refilled_at = now
        received_ms, received_dt = self._clock.now()
        arrival = Arrival(received_ms, received_dt, {})
        arrival.grants = OURS
        arrival.schema_uri, arrival.stream = msgspec.json.encode(self._schema_uri), msgspec.json.encode(self._stream)
        while self._waiting:
            event, verdict = self._waiting.popleft()
            if self._tokens < 1:
                self.dropped += 1
                continue
            self._tokens -= 1
            prepared = self._pipeline.prepare(0, self._describe(event, verdict, received_dt), arrival)
            if prepared.verdict is None and self._submit(prepared) is None:
                self.produced += 1
            else:
                self.dropped += 1
        if self._asking is not None and self._asking.awaited:
            self._asking.ask()  # Else the next request would, for no reason of its own.

    def _describe(self, event: Event, verdict: Verdict, received_dt: bytes) -> bytes:
        """The error event, of schema /error/2.1.0."""
        raw = event.value.decode("utf-8", "replace")
        told = _loosely(event.value)
        origin = _at(told, ("meta",))
        origin = origin if isinstance(origin, dict) else {}
        return msgspec.json.encode(
            {
                "$schema": self._schema_uri,
                "meta": {
                    "stream": self._stream,
                    "uri": _uri(origin.get("uri")),
                    "domain": _word(origin.get("domain")),
                    "request_id": _word(origin.get("request_id")),
                },
                "dt": msgspec.Raw(received_dt),
                "emitter_id": self._emitter,
                "error_type": verdict.error_type,
                "message": verdict.text[:MAX_MESSAGE_CHARS],
                "errored_schema_uri": _word(_first(told, self._fields.schema_uri)),
                "errored_stream_name": _word(_first(told, self._fields.stream)),
                "raw_event": raw[:MAX_RAW_CHARS],
            }
        )


def _loosely(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _first(told: dict[str, Any], paths: tuple[Path, ...]) -> Any:
    """The value of the first of these fields that is there."""
    return next((value for path in paths if (value := _at(told, path)) is not None), None)


def _at(told: Any, path: Path) -> Any:
    for name in path:
        told = told.get(name) if isinstance(told, dict) else None
    return told


def _uri(value: Any) -> str:
    """The event's URI unless it would make the error event invalid too; ``raw_event`` has it in any case."""
    word = _word(value)
    return word if _PLAIN_URI.fullmatch(word) else "unknown"


def _word(value: Any) -> str:
    """A short string for a field that consumers search by; ``unknown`` as EventGate says it."""
    return value[:1024] if isinstance(value, str) and value else "unknown"
