"""One request as a handler sees it, and the way to its one reply.

Place: http.reader → HERE → a handler → HERE → http.protocol.
Rules: every handler makes exactly one ``reply``, now or later. A reply after the client has disconnected is counted and
dropped. Costly values (identity, query parameters) are computed on first use.
Not here: parsing (http.reader), the bytes of a response (http.response).
"""

# hot path

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from server.compiled.attributes import mypyc_attr
from server.http.problem import NO_STORE, problem_body
from server.http.response import PROBLEM_TYPE, phrase_of
from server.identity import identities, new_id
from server.text import percent

if TYPE_CHECKING:
    from server.http.routes import Handler

MAX_PARAMS: Final = 100  # Further parameters are ignored.
MAX_ID_CHARS: Final = 128
_MAX_CACHED_BYTES: Final = 256
_IN_QUERY: Final = b"request_id="
_SHORTEST: Final = len(_IN_QUERY) + 1  # With an id of one character.


class Answering(Protocol):
    """The connection, or a wrapper that changes an answer on its way (http.around.cors, http.around.beacon)."""

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Send the one answer to ``request``. ``more`` are further header lines, each ended by CRLF."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Request:
    """One request. ``headers`` have lower-case names; repeated ones are joined with ``b", "``; requests with the same
    head share them. ``peer`` is "" on a Unix socket."""

    __slots__ = (
        "_identity", "answering", "body", "client", "compressed_bytes", "handler", "headers", "held_bytes",
        "is_awaited", "is_overdue", "memo", "method", "path", "peer", "query", "received_ms", "tail",
    )  # fmt: skip

    def __init__(
        self,
        answering: Answering,
        peer: str,
        method: bytes,
        path: bytes,
        query: bytes,
        headers: Mapping[bytes, bytes],
        handler: Handler,
        tail: bytes,
        memo: dict[Any, Any] | None = None,
        body: bytes = b"",
    ) -> None:
        self.answering = answering
        self.peer = peer
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        # Used by the connection:
        self.handler = handler
        self.tail = tail
        self.memo = memo  # A cache of values that depend on head and peer alone; None: there is none.
        # Set later, or never:
        self.body = body
        self.compressed_bytes = 0  # Of the body as it came, if it was compressed.
        self.held_bytes = 0  # Counted in the worker's bytes in flight,
        self.client = ""  # and in those of this client, once it is known (HttpServer.client_of).
        self.is_awaited = False  # The client waits for 100 before it sends the body.
        self.is_overdue = False  # The client was told that there is no answer: nothing may be done for it any more.
        self.received_ms = 0  # When a handler has asked for the time, its answer.
        self._identity: bytes | None = None

    @property
    def request_id(self) -> str:
        """``identity`` as text."""
        return self.identity().decode()

    def identity(self) -> bytes:
        """Return the client's ``X-Request-Id`` if it is 1 to 128 visible ASCII characters, else a new UUIDv7. Pages
        name theirs in the query (``request_id``), because a header would need a preflight."""
        identity = self._identity
        if identity is None:
            given = self.headers.get(b"x-request-id")
            # measured: ``in`` takes 0.3 µs, because bytes look for a number first.
            if given is None and len(self.query) >= _SHORTEST and self.query.find(_IN_QUERY) >= 0:
                given = self.params().get("request_id", "").encode()
            if not given or not _is_visible(given):
                given = identities.at(self.received_ms) if self.received_ms else new_id()
            identity = self._identity = given
        return identity

    @property
    def has_identity(self) -> bool:
        """Whether ``identity`` was asked for, as it is for every reply of a handler."""
        return self._identity is not None

    def params(self) -> Mapping[str, str]:
        """Return the query's parameters, decoded; of equal names the first counts. The mapping is shared: do not change
        it."""
        query = self.query
        return _parse(query) if len(query) > _MAX_CACHED_BYTES else _parse_cached(query)

    def reply(
        self,
        status: int,
        phrase: str,
        body: bytes = b"",
        content_type: bytes = b"application/json",
        retry_after_s: int = 0,
        more: bytes = b"",
    ) -> None:
        """Send the answer. ``more`` are further header lines, each ended by CRLF."""
        lines = b"X-Request-Id: " + (self._identity or self.identity()) + b"\r\n" + more
        if retry_after_s:
            lines += b"Retry-After: %d\r\n" % retry_after_s
        self.answering.answer(self, status, phrase, body, content_type, lines)

    def problem(self, status: int, detail: str, *, retry_after_s: int = 0) -> None:
        """Send problem JSON (RFC 9457) whose title is the reason phrase."""
        self.reply(status, phrase_of(status), problem_body(status, detail), PROBLEM_TYPE, retry_after_s, NO_STORE)

    def refuse(self, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Send an answer without an identity, to a request that no handler has looked at."""
        self.answering.answer(self, status, phrase, body, content_type, more)


def _is_visible(value: bytes) -> bool:
    """Whether the value may be echoed."""
    if len(value) > MAX_ID_CHARS or not value.isascii():
        return False
    text = value.decode()
    return text.isprintable() and " " not in text


def _parse(query: bytes) -> dict[str, str]:
    """Parse parameters as forms encode them (URL Standard section 5.1); of equal names the first counts."""
    found: dict[str, str] = {}
    for field in query.split(b"&", MAX_PARAMS)[:MAX_PARAMS]:
        name, _, value = field.partition(b"=")
        found.setdefault(percent.text_of(name), percent.text_of(value))
    return found


_parse_cached = lru_cache(maxsize=1024)(_parse)
