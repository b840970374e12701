"""What the server knows of one request: when it came, from whom, with which headers.

Place: intake.receive makes one a request; intake.filling reads it for every event.
Rule: what costs time is worked out when first asked for, and kept.
Not here: which fields of an event get these values (intake.route).
"""

# hot path

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

MAX_HEADER_CHARS = 400  # EventGate's cut, which schemas in the field rely on.

MAX_KEPT = 4096  # Header values and addresses whose JSON text is remembered: 4 MB at the most, clients choose them.


class Arrival:
    """One request as the enrichment sees it. All values are JSON text, ready to be inserted.

    ``schema_uri`` and ``stream`` are those of the query, for events that name none themselves.
    """

    __slots__ = (
        "_address",
        "_headers",
        "_request",
        "filling",
        "received_dt",
        "received_ms",
        "schema_uri",
        "stream",
    )

    def __init__(
        self,
        received_ms: int,
        received_dt: bytes,
        headers: Mapping[bytes, bytes],
        address: Callable[[Any], str] | None = None,
        request: Any = None,
    ) -> None:
        self.received_ms = received_ms
        self.received_dt = received_dt
        self._headers = headers
        self._address = address
        self._request = request
        self.filling: dict[Any, Any] = {}  # Kept by intake.filling for the other events of the request.
        self.schema_uri: bytes | None = None
        self.stream: bytes | None = None

    def header(self, name: bytes) -> bytes | None:
        """A header's value as JSON string, cut at 400 characters; None when the client did not send it."""
        value = self._headers.get(name)
        if value is None:
            return None
        return _header_text(value) if len(value) <= MAX_HEADER_CHARS else _header_text(value[:MAX_HEADER_CHARS])

    def client_ip(self) -> bytes | None:
        """The client's address as JSON string; None where it has none (a Unix socket, a file)."""
        address = "" if self._address is None else self._address(self._request)
        return _text(address) if address else None


@lru_cache(maxsize=MAX_KEPT)
def _header_text(value: bytes) -> bytes:
    return msgspec.json.encode(value.decode("latin-1"))


_text = lru_cache(maxsize=MAX_KEPT)(msgspec.json.encode)


class Clock:
    """Receive times, formatted once a millisecond."""

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
