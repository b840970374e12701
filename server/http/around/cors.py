"""Pages of other sites: which may send events and read what became of them (CORS, Fetch Standard section 3.3).

Place: worker wraps the handlers of events with it; http.reader its refusals → HERE → http.protocol.
Rules: an answer names the origin of its request, and nobody else's, so a cache must keep them apart (``Vary``); where
all may read, it says so. A refusal is shared like any answer: the page must be able to read why. Requests without an
``Origin`` pay nothing but a look; without settings nothing is wrapped at all.
Not here: which headers a page may send (http.around.preflight), documents that everybody may read (pages.documents),
who may write to a stream (auth.guard: its ``origins``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from server.http.around.preflight import Preflight
from server.text.origins import MAX_BYTES, MAX_KEPT, origins_of

if TYPE_CHECKING:
    from server.config.transport_settings import CorsSettings as Settings
    from server.http.request import Answering, Request
    from server.http.routes import Handler

EXPOSED: Final = "X-Request-Id, X-Durability, Retry-After"


class Cors:
    """The settings, ready to be asked. ``headers`` may be sent beside those that every service takes."""

    def __init__(self, settings: Settings, headers: Iterable[str] = ()) -> None:
        self.is_on = bool(settings.origins)
        self._is_open = "*" in settings.origins
        self._allowed = origins_of(origin for origin in settings.origins if origin != "*")
        self._credentials = "Access-Control-Allow-Credentials: true\r\n" if settings.credentials else ""
        self._headers = (*settings.headers, *headers)
        self._max_age_s = settings.max_age_s
        self._kept: dict[bytes, bytes] = {}
        # Of an answer to bytes that name no origin, or none yet: it holds our own words alone.
        self._of_all = self._lines("*") if self.is_on else b""

    def over(self, handler: Handler) -> Handler:
        """A handler whose answers are shared."""
        return _Shared(self, handler).handle if self.is_on else handler

    def share(self, request: Request) -> None:
        """The answer to this request is shared."""
        origin = request.headers.get(b"origin") if self.is_on else None
        if origin is not None:
            request.answering = _Sharing(request.answering, self.lines(origin))

    def preflight(self, methods: str) -> Handler:
        """What answers a browser that asks whether it may send."""
        return Preflight(methods, self._max_age_s, self._headers).handle

    def table(self, routes: dict[str, dict[str, Handler | None]]) -> dict[str, dict[str, Handler | None]]:
        """Routes, each handler wrapped and each path open to preflights; the same ones where nothing is shared."""
        if not self.is_on:
            return routes
        shared = {}
        for path, methods in routes.items():
            wrapped = {method: handler and self.over(handler) for method, handler in methods.items()}
            names = ", ".join(method for method, handler in methods.items() if handler is not None)
            shared[path] = wrapped | {"OPTIONS": self.over(self.preflight(names))}
        return shared

    def lines(self, origin: bytes) -> bytes:
        """The header lines of an answer to a page of ``origin``."""
        lines = self._kept.get(origin)
        if lines is None:
            lines = self._judge(origin)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            if len(origin) <= MAX_BYTES:
                self._kept[origin] = lines
        return lines

    def of_fault(self, origin: bytes) -> bytes:
        """The same for an answer that ends a connection; ``origin`` is empty when none was read."""
        return self.lines(origin) if origin and self.is_on else self._of_all

    def _judge(self, origin: bytes) -> bytes:
        if self._is_open:
            return self._of_all
        is_allowed = origin in self._allowed
        return (self._lines(origin.decode("latin-1")) if is_allowed else b"") + b"Vary: Origin\r\n"

    def _lines(self, origin: str) -> bytes:
        # Never both `*` and credentials: the Fetch Standard (CORS check) has browsers discard such an answer.
        credentials = self._credentials if origin != "*" else ""
        return (
            f"Access-Control-Allow-Origin: {origin}\r\n{credentials}"
            f"Access-Control-Expose-Headers: {EXPOSED}\r\nTiming-Allow-Origin: {origin}\r\n"
        ).encode("latin-1")


class _Shared:
    """A handler, and who may read its answers."""

    __slots__ = ("_cors", "_handler")

    def __init__(self, cors: Cors, handler: Handler) -> None:
        self._cors = cors
        self._handler = handler

    def handle(self, request: Request) -> None:
        self._cors.share(request)
        self._handler(request)


class _Sharing:
    """Stands between a request and its connection, and adds lines to the answer."""

    __slots__ = ("_answering", "_lines")

    def __init__(self, answering: Answering, lines: bytes) -> None:
        self._answering = answering
        self._lines = lines

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """As ``Connection.answer``."""
        self._answering.answer(request, status, phrase, body, content_type, more + self._lines)
