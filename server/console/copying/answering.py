"""Stand in front of a handler, and between a request and its connection, so that the answer is copied.

Place: console.copying.tap wraps handlers with it; http.routes → HERE → the handler; its answer → HERE → http.protocol.
Rule: the answer leaves before anything is copied.
Not here: which requests are copied, and the copy (console.copying.tap).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from server.console.copying import copies

MAX_EVENTS: Final = 100  # Of one request; the others are counted.
PLAIN: Final = "in no test session"  # In the memo of a head that names none.

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.console.copying.budget import Budget
    from server.console.copying.tap import Tap
    from server.http.request import Answering, Request
    from server.http.routes import Handler
    from server.intake.event import Event


class Watched:
    """A handler some of whose requests are copied."""

    __slots__ = ("_budget", "_handler", "_tap")

    def __init__(self, tap: Tap, handler: Handler) -> None:
        self._tap = tap
        self._budget = tap.usual
        self._handler = handler

    def handle(self, request: Request) -> None:
        """Serve the request."""
        memo = request.memo
        # measured: of a request that is not copied, 0.41 → 0.17 µs; it takes 25.
        if self._budget.left > 0 or memo is None or PLAIN not in memo:
            self._tap.begin(request, self._handler)
        else:
            self._tap.skipped += 1
            self._handler(request)


class Copying:
    """Takes the answer of one request. ``events`` are set once they are prepared. ``is_shown`` False: the request is
    served as its test session orders, and counted as skipped. ``is_dry`` and ``is_verbose`` are such orders.
    ``began_ns`` 0: it is not known."""

    __slots__ = ("_answering", "_budget", "_tap", "began_ns", "events", "is_dry", "is_shown", "is_verbose", "test")

    def __init__(
        self, tap: Tap, answering: Answering, test: str, budget: Budget, *, is_shown: bool = True
    ) -> None:  # fmt: skip
        self._answering = answering
        self._tap = tap
        self._budget = budget
        self.test = test
        self.began_ns = time.perf_counter_ns()
        self.events: Sequence[Event] = ()
        self.is_shown = is_shown
        self.is_dry = self.is_verbose = False

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Like ``Connection.answer``."""
        events, self.events = self.events, ()  # The events refer to the request, and the request to this object.
        self._tap.on_answering(request)
        if self.is_verbose:
            from server.console.copying.hints import hinted  # cold: a person debugs

            body, content_type = hinted(events, status, body, content_type)
        self._answering.answer(request, status, phrase, body, content_type, more)
        self._copy(request, status, phrase, body, events, more)

    def close(self, request: Request, events: Sequence[Event] = (), phrase: str = "") -> None:
        """Copy a request whose connection is closed in place of an answer."""
        events, self.events = events or self.events, ()
        self._tap.on_answering(request)
        self._tap.forget_answered()
        self._copy(request, 0, phrase, b"", events, b"", note=copies.CLOSED)

    def _copy(
        self, request: Request, status: int, phrase: str, body: bytes, events: Sequence[Event], more: bytes,
        note: str = "",
    ) -> None:  # fmt: skip
        if not self.is_shown:
            self._tap.skipped += 1
            return
        self._budget.left -= max(0, min(len(events), MAX_EVENTS) - 1)  # One was taken when it began.
        took_ms = (time.perf_counter_ns() - self.began_ns) / 1e6 if self.began_ns else 0.0
        self._tap.copy(request, status, phrase, body, events, self.test, took_ms, more, is_dry=self.is_dry, note=note)


def insert(request: Request, made: Callable[[Any], Copying]) -> Copying:
    """Put what ``made`` returns between the connection of a request and all wrappers of its answer."""
    holder: Any = None
    inner: Any = request.answering
    while hasattr(inner, "_answering"):
        holder, inner = inner, inner._answering
    copying = made(inner)
    if holder is None:
        request.answering = copying
    else:
        holder._answering = copying
    return copying


def copying_of(request: Request) -> Copying | None:
    """Return the object that copies a request's answer; there may be wrappers around it, which all have the
    attribute."""
    answering: object = request.answering
    while answering is not None and not isinstance(answering, Copying):
        answering = getattr(answering, "_answering", None)
    return answering
