"""The facts about one request that enrichment uses: receive time, client, headers.

Place: intake.receive makes one per request; intake.text.enricher reads it for every event.
Rule: a value that costs time is computed when it is first asked for, and then cached.
Not here: which fields of an event get these values (intake.router).
"""

# hot path

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from server.compiled.attributes import mypyc_attr
from server.text.octets import cut, text_of

# EventGate cuts header values at this length, and schemas in use rely on it. Whole characters, as `maxLength` counts.
MAX_HEADER_CHARS = 400

# Errors of one request that are kept until it is answered: 15 MB. An answer has room for as many
# (verdict.MAX_BODY_BYTES); further invalid events are reported in short form.
MAX_PROBLEMS = 25_000

# Number of header values and addresses whose JSON text is cached: at most 4 MB, because clients choose them.
MAX_KEPT = 4096


@mypyc_attr(acyclic=True, free_list_len=1)
class Arrival:
    """The facts about one request, for enrichment. All values are JSON text, ready to be inserted.

    ``find_address`` returns the client's address. ``ready`` belongs to intake.text.enricher and is shared by the events
    of the request and of other requests of the same client with the same head. ``schema_uri`` and ``stream`` come from
    the query and apply to events that name none themselves. ``trace`` is a header for the records of the events
    (intake.trace), or None. ``grants`` is what its credentials allow it to write; auth.guard determines it on first
    use.
    """

    __slots__ = (
        "find_address", "found_address", "grants", "headers", "problems_left", "ready", "received_dt", "received_ms",
        "request", "schema_uri", "stream", "trace",
    )  # fmt: skip

    def __init__(
        self,
        received_ms: int,
        received_dt: bytes,
        headers: Mapping[bytes, bytes],
        find_address: Callable[[Any], str] | None = None,
        request: Any = None,
        ready: dict[Any, Any] | None = None,
        schema_uri: bytes | None = None,
        stream: bytes | None = None,
        trace: tuple[str, bytes] | None = None,
    ) -> None:
        self.received_ms = received_ms
        self.received_dt = received_dt
        self.headers = headers
        self.find_address = find_address
        self.request = request
        self.ready: dict[Any, Any] = {} if ready is None else ready
        self.schema_uri = schema_uri
        self.stream = stream
        self.trace = trace
        self.grants: Any = None
        self.problems_left = MAX_PROBLEMS
        self.found_address: str | None = None

    def header(self, name: bytes) -> bytes | None:
        """A header's value (server.text.octets) as JSON string, cut at 400 characters; None when it was not sent."""
        value = self.headers.get(name)
        if value is None:
            return None
        if len(value) <= MAX_HEADER_CHARS:
            return _header_text(value)
        return msgspec.json.encode(cut(value, MAX_HEADER_CHARS))

    def request_id(self) -> str:
        """Return the ID of the request for the log; "" for an object that is not a request."""
        return self.request.request_id if self.request is not None else ""

    def address(self) -> str:
        """Return the client's address, normalised; "" for a client without one (a Unix socket, a file)."""
        found = self.found_address
        if found is None:
            found = self.found_address = "" if self.find_address is None else self.find_address(self.request)
        return found

    def client_ip(self) -> bytes | None:
        """Return the client's address as JSON string; None for a client without one."""
        address = self.address()
        return _text(address) if address else None


@lru_cache(maxsize=MAX_KEPT)
def _header_text(value: bytes) -> bytes:
    return msgspec.json.encode(text_of(value))


_text = lru_cache(maxsize=MAX_KEPT)(msgspec.json.encode)


class Clock:
    """Formats receive times, at most once per millisecond."""

    __slots__ = ("_last_dt", "_last_ms", "_last_s", "_second")

    def __init__(self) -> None:
        self._last_ms = self._last_s = -1
        self._last_dt = b""
        self._second = b""

    def now(self) -> tuple[int, bytes]:
        """Return Unix time in milliseconds, and the same time as JSON string ``"YYYY-MM-DDTHH:MM:SS.mmmZ"``."""
        now_ms = time.time_ns() // 1_000_000
        if now_ms != self._last_ms:
            seconds = now_ms // 1000
            if seconds != self._last_s:
                self._last_s = seconds
                self._second = time.strftime('"%Y-%m-%dT%H:%M:%S.', time.gmtime(seconds)).encode()
            self._last_ms = now_ms
            self._last_dt = self._second + b'%03dZ"' % (now_ms % 1000)
        return now_ms, self._last_dt
