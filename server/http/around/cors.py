"""CORS: which pages of other sites may send events and read the answers (Fetch Standard section 3.3).

Place: worker wraps the handlers of events with it, http.reader its refusals → HERE → http.protocol.
Rules: an answer names the origin of its own request alone, so caches must keep answers apart (``Vary``); where all
origins may read, it says so. Refusals are shared like any answer, so that the page can read the reason. A request
without an ``Origin`` costs one dict lookup; without settings nothing is wrapped at all.
Not here: which headers a page may send (http.around.preflight), public documents (pages.documents), who may write to a
stream (auth.guard: its ``origins``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from server.http.around.preflight import Preflight
from server.text.origins import MAX_BYTES, MAX_CACHED, origins_of

if TYPE_CHECKING:
    from server.config.transport_settings import CorsSettings as Settings
    from server.http.request import Answering, Request
    from server.http.routes import Handler

# Date: clients count Retry-After from it, and see how far their clock is off. Without the list pages read neither.
EXPOSED: Final = "X-Request-Id, X-Durability, Retry-After, Date, ETag"


class Cors:
    """The CORS settings, and the answers by them. ``headers`` may be sent in addition to those that every service
    accepts."""

    def __init__(self, settings: Settings, headers: Iterable[str] = ()) -> None:
        self.is_on = bool(settings.origins)
        self._is_open = "*" in settings.origins
        self._allowed = origins_of(origin for origin in settings.origins if origin != "*")
        self._credentials = "Access-Control-Allow-Credentials: true\r\n" if settings.credentials else ""
        self._headers = (*settings.headers, *headers)
        self._max_age_s = settings.max_age_s
        self._cache: dict[bytes, bytes] = {}
        # The lines of an answer to bytes that name no origin, or none yet: such an answer holds our own words alone.
        self._of_all = self._lines("*") if self.is_on else b""

    def over(self, handler: Handler) -> Handler:
        """Wrap a handler so that its answers are shared."""
        return _Shared(self, handler).handle if self.is_on else handler

    def share(self, request: Request) -> None:
        """Share the answer to this request with the page that sent it."""
        origin = request.headers.get(b"origin") if self.is_on else None
        if origin is not None:
            request.answering = _Sharing(request.answering, self.lines(origin))

    def preflight(self, methods: str) -> Handler:
        """Return the handler for a browser that asks whether a page may send."""
        return Preflight(methods, self._max_age_s, self._headers).handle

    def table(self, routes: dict[str, dict[str, Handler | None]]) -> dict[str, dict[str, Handler | None]]:
        """Return routes with each handler wrapped and each path open to preflights; the same routes if nothing is
        shared."""
        if not self.is_on:
            return routes
        shared = {}
        for path, methods in routes.items():
            wrapped = {method: handler and self.over(handler) for method, handler in methods.items()}
            names = ", ".join(method for method, handler in methods.items() if handler is not None)
            shared[path] = wrapped | {"OPTIONS": self.over(self.preflight(names))}
        return shared

    def lines(self, origin: bytes) -> bytes:
        """Return the header lines of an answer to a page of ``origin``."""
        lines = self._cache.get(origin)
        if lines is None:
            lines = self._judge(origin)
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            if len(origin) <= MAX_BYTES:
                self._cache[origin] = lines
        return lines

    def of_fault(self, origin: bytes) -> bytes:
        """Return the same for an answer that ends a connection; ``origin`` is empty if none was read."""
        return self.lines(origin) if origin and self.is_on else self._of_all

    def _judge(self, origin: bytes) -> bytes:
        if self._is_open:
            return self._of_all
        is_allowed = origin in self._allowed
        return (self._lines(origin.decode("latin-1")) if is_allowed else b"") + b"Vary: Origin\r\n"

    def _lines(self, origin: str) -> bytes:
        # `*` and credentials are never combined: by the Fetch Standard (CORS check) browsers discard such an answer.
        credentials = self._credentials if origin != "*" else ""
        return (
            f"Access-Control-Allow-Origin: {origin}\r\n{credentials}"
            f"Access-Control-Expose-Headers: {EXPOSED}\r\nTiming-Allow-Origin: {origin}\r\n"
        ).encode("latin-1")


class _Shared:
    """A handler whose answers are shared."""

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
        """Like ``Connection.answer``."""
        self._answering.answer(request, status, phrase, body, content_type, more + self._lines)
