"""One error event for every invalid event, on the error stream, through the same pipeline.

Place: intake.receive → HERE → intake.pipeline → sink.
Rule: never recursive (an error event that is invalid itself is counted and dropped), rate-limited, bounded in size,
made after the client has its answer.
Not here: the verdict (intake.pipeline).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from server.intake.arrival import Arrival, Clock
from server.intake.event import Event
from server.intake.pipeline import Pipeline
from server.intake.verdict import Verdict

if TYPE_CHECKING:
    from server.config.settings import Config

MAX_WAITING = 1_000  # Error events between a request and the next loop turn: one bad batch must not take memory.
MAX_RAW_CHARS = 65_536  # Of the event that was refused; enough to see what is wrong with it.
MAX_MESSAGE_CHARS = 8_192

_PLAIN_URI = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]+")


class Refused:
    """Makes error events. ``produced`` were taken by the sink, ``dropped`` were not made or not taken."""

    def __init__(
        self,
        pipeline: Pipeline,
        submit: Callable[[Event, Callable[[Any, Any], None]], str | None],
        clock: Clock,
        config: Config,
    ) -> None:
        settings = config.intake
        name = config.service_name or "penstock"
        self._pipeline = pipeline
        self._submit = submit
        self._clock = clock
        self._stream = config.error_stream
        self._schema_uri = settings.error_schema_uri
        self._emitter = name
        self._per_s = settings.error_events_per_s
        self._tokens = self._per_s
        self._refilled_ms = clock.now()[0]
        self._waiting: deque[tuple[Event, Verdict]] = deque()
        self.produced = 0
        self.dropped = 0
        self.delivered = 0
        self.failed = 0

    def add(self, event: Event, verdict: Verdict) -> None:
        """Remember one refused event; its error event is made in the next turn of the loop."""
        if self._stream is None or len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((event, verdict))

    def flush(self) -> None:
        """Make and send the error events that wait, as many as the rate allows."""
        received_ms, received_dt = self._clock.now()
        self._tokens = min(self._per_s, self._tokens + (received_ms - self._refilled_ms) / 1000 * self._per_s)
        self._refilled_ms = received_ms
        arrival = Arrival(received_ms, received_dt, {})
        while self._waiting:
            event, verdict = self._waiting.popleft()
            if self._tokens < 1:
                self.dropped += 1
                continue
            self._tokens -= 1
            prepared = self._pipeline.prepare(0, self._describe(event, verdict, received_dt), arrival)
            if prepared.verdict is None and self._submit(prepared, self.on_ack) is None:
                self.produced += 1
            else:
                self.dropped += 1

    def on_ack(self, error: Any, _message: Any) -> None:
        """Hear what became of an error event."""
        if error is None:
            self.delivered += 1
        else:
            self.failed += 1

    def _describe(self, event: Event, verdict: Verdict, received_dt: bytes) -> bytes:
        """The error event, of schema /error/2.1.0."""
        raw = event.value.decode("utf-8", "replace")
        told = _loosely(event.value)
        meta = told.get("meta")
        origin = meta if isinstance(meta, dict) else {}
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
                "errored_schema_uri": _word(told.get("$schema")),
                "errored_stream_name": _word(origin.get("stream")),
                "raw_event": raw[:MAX_RAW_CHARS],
            }
        )


def _loosely(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _uri(value: Any) -> str:
    """The event's URI unless it would make the error event invalid too; ``raw_event`` has it in any case."""
    word = _word(value)
    return word if _PLAIN_URI.fullmatch(word) else "unknown"


def _word(value: Any) -> str:
    """A short string for a field that consumers search by; ``unknown`` as EventGate says it."""
    return value[:1024] if isinstance(value, str) and value else "unknown"
