"""Which handler serves a path and a method.

Place: http.reader → HERE.
Rules: paths match whole and exactly, byte for byte. HEAD is served by GET, unless the
table has None for HEAD: that GET does something. What was found for a request target is
kept, within a bound, so a target seen before costs one dict lookup; strangers' targets are never kept.
Not here: what handlers do; parameters inside paths.
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from server.http.problem import NOT_FOUND, Refusal

if TYPE_CHECKING:
    from server.http.request import Request

Handler = Callable[["Request"], None]
Table = Mapping[str, Mapping[str, Handler | None]]  # By path, then by method. None: not served.

MAX_KEPT: Final = 4096
_MAX_KEPT_BYTES: Final = 256


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
    """The table: ``{"/v1/events": {"POST": handler}, …}``."""

    __slots__ = ("_paths", "kept")

    def __init__(self, routes: Table) -> None:
        self._paths = {path.encode(): _entry(methods) for path, methods in routes.items()}
        self.kept: dict[bytes, Target] = {}

    def find(self, url: bytes) -> Target:
        """Take a request target apart: origin form, or absolute form (RFC 9112 section 3.2.2)."""
        origin = url
        if url[:1] != b"/" and b"://" in url:
            _, slash, rest = url.partition(b"://")[2].partition(b"/")
            origin = slash + rest
        path, _, query = origin.partition(b"?")
        entry = self._paths.get(path)
        if entry is None:
            return Target(path, query, {}, NOT_FOUND)
        target = Target(path, query, *entry)
        if len(self.kept) < MAX_KEPT and len(url) <= _MAX_KEPT_BYTES:
            self.kept[url] = target
        return target


def _entry(methods: Mapping[str, Handler | None]) -> tuple[dict[bytes, Handler], Refusal]:
    handlers = {method.encode(): handler for method, handler in methods.items() if handler is not None}
    if b"GET" in handlers and "HEAD" not in methods:
        handlers[b"HEAD"] = handlers[b"GET"]
    # OPTIONS belongs here once there is CORS to answer.
    allow = ", ".join(sorted(method.decode() for method in handlers))
    more = f"Allow: {allow}\r\n".encode()
    return handlers, Refusal(405, f"The method is not served at this path. Use one of: {allow}.", more=more)
