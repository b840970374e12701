"""What the server knows of one request: when it came, from whom, with which headers.

Place: intake.receive makes one a request; intake.enrich reads it for every event.
Rule: everything costly is worked out when first asked for, then kept for the other events of the request.
Not here: which fields of an event get these values (intake.route).
"""

# hot path

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

MAX_HEADER_CHARS = 400  # EventGate's cut, which schemas in the field rely on.

_encode = msgspec.json.encode


class Arrival:
    """One request as the enrichment sees it. All values are JSON text, ready to be inserted.

    ``schema_uri`` and ``stream`` are those of the query, for events that name none themselves.
    """

    __slots__ = (
        "_address",
        "_client_ip",
        "_header_texts",
        "_headers",
        "_request",
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
        address: Callable[[object], str] | None = None,
        request: object = None,
    ) -> None:
        self.received_ms = received_ms
        self.received_dt = received_dt
        self._headers = headers
        self._header_texts: dict[bytes, bytes | None] | None = None
        self._address = address
        self._request = request
        self._client_ip: bytes | None = None
        self.schema_uri: bytes | None = None
        self.stream: bytes | None = None

    def header(self, name: bytes) -> bytes | None:
        """A header's value as JSON string, cut at 400 characters; None when the client did not send it."""
        texts = self._header_texts
        if texts is None:
            texts = self._header_texts = {}
        elif name in texts:
            return texts[name]
        value = self._headers.get(name)
        text = None if value is None else _encode(value.decode("latin-1")[:MAX_HEADER_CHARS])
        texts[name] = text
        return text

    def client_ip(self) -> bytes | None:
        """The client's address as JSON string; None where it has none (a Unix socket, a file)."""
        if self._client_ip is None and self._address is not None:
            self._client_ip = _encode(self._address(self._request)[:MAX_HEADER_CHARS])
        return None if self._client_ip == b'""' else self._client_ip


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
