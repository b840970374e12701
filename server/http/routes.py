"""Find the handler that serves a path and a method.

Place: http.reader → HERE.
Rules: paths match whole and exactly, byte for byte, except for one trailing slash: ``/v1/events/`` is ``/v1/events``,
and a handler sees the path without it. If no path matches whole, an entry of the table that ends with ``*`` serves
every path that begins with the text before it; the longest entry wins. GET also serves HEAD, unless the table has None
for HEAD because that GET has an effect. A method in lower case answers some requests, and all others as if it were not
served: Allow does not name it. Results are cached by request target, in bounded number, so that a repeated target costs
one dict lookup; paths that clients can make up are never cached.
Not here: what handlers do, and the meaning of the rest of a path.
"""

# hot path

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from server.http.problem import BAD_TARGET, NOT_FOUND, Refusal

if TYPE_CHECKING:
    from server.http.request import Request

Handler = Callable[["Request"], None]
Table = Mapping[str, Mapping[str, Handler | None]]  # By path, then by method. None: not served.

MAX_CACHED: Final = 4096
_MAX_CACHED_BYTES: Final = 256
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Target:
    """A parsed request target, and its handlers by method."""

    __slots__ = ("handlers", "otherwise", "path", "query", "refuse")

    def __init__(self, path: bytes, query: bytes, handlers: Mapping[bytes, Handler], otherwise: Refusal) -> None:
        self.path = path
        self.query = query
        self.handlers = handlers
        self.otherwise = otherwise  # The answer to every method that is not in ``handlers``.
        self.refuse = otherwise.handle


class Routes:
    """The table of routes: ``{"/v1/events": {"POST": handler}, "/v1/schemas/*": {"GET": handler}, …}``."""

    __slots__ = ("_paths", "_prefixes", "cache")

    def __init__(self, routes: Table) -> None:
        entries = {path.encode(): _entry(methods) for path, methods in routes.items()}
        self._paths = {path: entry for path, entry in entries.items() if path[-1:] != b"*"}
        beginnings = sorted((path[:-1] for path in entries if path[-1:] == b"*"), key=len, reverse=True)
        self._prefixes = {beginning: entries[beginning + b"*"] for beginning in beginnings}
        self.cache: dict[bytes, Target] = {}

    def find(self, url: bytes) -> Target:
        """Parse a request target: origin form, absolute form, or an asterisk (RFC 9112 section 3.2)."""
        origin = url
        if url == b"*":
            return Target(url, b"", {b"OPTIONS": _handle_all}, NOT_FOUND)
        if url[:1] != b"/" and (absolute := _ABSOLUTE.match(url)) is not None:
            origin = url[absolute.end() :]
            if origin[:1] != b"/":  # An empty path is "/" (RFC 9110 section 4.2.3).
                origin = b"/" + origin
        path, _, query = origin.partition(b"?")
        if b"%" in url and _BAD_ESCAPE.search(url):  # RFC 3986 section 2.1: readers differ in what they make of it.
            return Target(path, query, {}, BAD_TARGET)
        entry = self._paths.get(path)
        if entry is None and path[-1:] == b"/" and (entry := self._paths.get(path[:-1])) is not None:
            path = path[:-1]
        if entry is None:
            return self._below(path, query)
        target = Target(path, query, *entry)
        if len(url) <= _MAX_CACHED_BYTES:
            if len(self.cache) >= MAX_CACHED:
                self.cache.clear()  # Clients can invent queries; each target in use returns after one search.
            self.cache[url] = target
        return target

    def entry_of(self, path: bytes) -> bytes:
        """Return the entry of the table that serves a path, b"" if none does."""
        if path in self._paths:
            return path
        return next((beginning + b"*" for beginning in self._prefixes if path.startswith(beginning)), b"")

    def _below(self, path: bytes, query: bytes) -> Target:
        for beginning, entry in self._prefixes.items():
            if path.startswith(beginning):
                if path[-1:] == b"/" and path != beginning:
                    path = path[:-1]
                return Target(path, query, *entry)
        return Target(path, query, {}, NOT_FOUND)


def _handle_all(request: Request) -> None:
    """Answer OPTIONS of the whole server (RFC 9110 section 9.3.7)."""
    request.reply(204, "No Content", more=b"Allow: GET, HEAD, OPTIONS, POST\r\n")


def _entry(methods: Mapping[str, Handler | None]) -> tuple[dict[bytes, Handler], Refusal]:
    handlers = {method.upper().encode(): handler for method, handler in methods.items() if handler is not None}
    if b"GET" in handlers and "HEAD" not in methods:
        handlers[b"HEAD"] = handlers[b"GET"]
    allow = ", ".join(sorted(method for each in handlers if (method := each.decode()).lower() not in methods))
    more = f"Allow: {allow}\r\n".encode()
    return handlers, Refusal(405, f"The method is not served at this path. Use one of: {allow}.", more=more)
