"""Which handler serves a path and a method.

Place: http.reader → HERE.
Rules: paths match whole and exactly, byte for byte, but for one slash behind them: ``/v1/events/`` is ``/v1/events``,
and a handler sees the path without it. One that ends with ``*`` in the table serves every path that begins
with what is before it, the longest first, when no path matches whole. HEAD is served by GET, unless the
table has None for HEAD: that GET does something. A method in small letters answers some requests, and all others as if
it were not served: Allow does not name it. What was found for a request target is kept, within a bound, so a
target seen before costs one dict lookup; those whose path a client makes up are never kept.
Not here: what handlers do; what the rest of a path means to them.
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

MAX_KEPT: Final = 4096
_MAX_KEPT_BYTES: Final = 256
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Target:
    """A request target taken apart, and what serves it."""

    __slots__ = ("handlers", "otherwise", "path", "query", "refuse")

    def __init__(self, path: bytes, query: bytes, handlers: Mapping[bytes, Handler], otherwise: Refusal) -> None:
        self.path = path
        self.query = query
        self.handlers = handlers
        self.otherwise = otherwise  # For every method that is not among ``handlers``.
        self.refuse = otherwise.handle


class Routes:
    """The table: ``{"/v1/events": {"POST": handler}, "/v1/schemas/*": {"GET": handler}, …}``."""

    __slots__ = ("_paths", "_prefixes", "kept")

    def __init__(self, routes: Table) -> None:
        entries = {path.encode(): _entry(methods) for path, methods in routes.items()}
        self._paths = {path: entry for path, entry in entries.items() if path[-1:] != b"*"}
        beginnings = sorted((path[:-1] for path in entries if path[-1:] == b"*"), key=len, reverse=True)
        self._prefixes = {beginning: entries[beginning + b"*"] for beginning in beginnings}
        self.kept: dict[bytes, Target] = {}

    def find(self, url: bytes) -> Target:
        """Take a request target apart: origin form, absolute form, or an asterisk (RFC 9112 section 3.2)."""
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
        if len(url) <= _MAX_KEPT_BYTES:
            if len(self.kept) >= MAX_KEPT:
                self.kept.clear()  # Strangers can invent queries; what is in use is here again after one look each.
            self.kept[url] = target
        return target

    def entry_of(self, path: bytes) -> bytes:
        """The entry of the table that serves a path, b"" when none does."""
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
    """OPTIONS of the whole server (RFC 9110 section 9.3.7)."""
    request.reply(204, "No Content", more=b"Allow: GET, HEAD, OPTIONS, POST\r\n")


def _entry(methods: Mapping[str, Handler | None]) -> tuple[dict[bytes, Handler], Refusal]:
    handlers = {method.upper().encode(): handler for method, handler in methods.items() if handler is not None}
    if b"GET" in handlers and "HEAD" not in methods:
        handlers[b"HEAD"] = handlers[b"GET"]
    allow = ", ".join(sorted(method for each in handlers if (method := each.decode()).lower() not in methods))
    more = f"Allow: {allow}\r\n".encode()
    return handlers, Refusal(405, f"The method is not served at this path. Use one of: {allow}.", more=more)
