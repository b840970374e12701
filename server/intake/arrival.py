"""What the server knows of one request: when it came, from whom, with which headers.

Place: intake.receive makes one a request; intake.text.enricher reads it for every event.
Rule: what costs time is worked out when first asked for, and kept.
Not here: which fields of an event get these values (intake.router).
"""

# hot path

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from server.text.octets import cut, text_of

MAX_HEADER_CHARS = 400  # EventGate's cut, which schemas in the field rely on. Whole characters, as `maxLength` counts.

# Of one request, that are kept until it is answered: 15 MB. An answer has room for as many (verdict.MAX_BODY_BYTES);
# events that are wrong beyond that are told in short.
MAX_PROBLEMS = 25_000

MAX_KEPT = 4096  # Header values and addresses whose JSON text is remembered: 4 MB at the most, clients choose them.


class Arrival(msgspec.Struct, eq=False, gc=False):
    """One request as the enrichment sees it. All values are JSON text, ready to be inserted.

    ``find_address`` gives the client's address. ``ready`` is intake.text.enricher's, for the other events of the
    request, and of other requests of the same client with the same head. ``schema_uri`` and ``stream`` are those of
    the query, for events that name none themselves. ``trace`` is a header for the records of its events
    (intake.trace), or None. ``grants`` is what it proved that it may write; auth.guard looks when it is first asked.
    """

    received_ms: int
    received_dt: bytes
    headers: Mapping[bytes, bytes]
    find_address: Callable[[Any], str] | None = None
    request: Any = None
    ready: dict[Any, Any] = {}
    schema_uri: bytes | None = None
    stream: bytes | None = None
    trace: tuple[str, bytes] | None = None
    grants: Any = None
    problems_left: int = MAX_PROBLEMS
    found_address: str | None = None

    def header(self, name: bytes) -> bytes | None:
        """A header's value (server.text.octets) as JSON string, cut at 400 characters; None when it was not sent."""
        value = self.headers.get(name)
        if value is None:
            return None
        if len(value) <= MAX_HEADER_CHARS:
            return _header_text(value)
        return msgspec.json.encode(cut(value, MAX_HEADER_CHARS))

    def request_id(self) -> str:
        """For the log; "" for what is no request."""
        return self.request.request_id if self.request is not None else ""

    def address(self) -> str:
        """The client's address, normalised; "" where it has none (a Unix socket, a file)."""
        found = self.found_address
        if found is None:
            found = self.found_address = "" if self.find_address is None else self.find_address(self.request)
        return found

    def client_ip(self) -> bytes | None:
        """The client's address as JSON string; None where it has none."""
        address = self.address()
        return _text(address) if address else None


@lru_cache(maxsize=MAX_KEPT)
def _header_text(value: bytes) -> bytes:
    return msgspec.json.encode(text_of(value))


_text = lru_cache(maxsize=MAX_KEPT)(msgspec.json.encode)


class Clock:
    """Receive times, formatted once a millisecond."""

    __slots__ = ("_last_dt", "_last_ms")

    def __init__(self) -> None:
        self._last_ms = -1
        self._last_dt = b""

    def now(self) -> tuple[int, bytes]:
        """Unix time in milliseconds, and the same as JSON string ``"YYYY-MM-DDTHH:MM:SS.mmmZ"``."""
        now_ms = time.time_ns() // 1_000_000
        if now_ms != self._last_ms:
            seconds, ms = divmod(now_ms, 1000)
            self._last_ms = now_ms
            self._last_dt = b'"%s.%03dZ"' % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode(), ms)
        return now_ms, self._last_dt
