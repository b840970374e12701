"""Decide which requests are traced, and trace them.

Place: worker wraps the handlers of events with it; http.routes → HERE → the handler; its answer → HERE → http.protocol.
Rules: the caller's decision is followed if callers may decide; otherwise chance decides. A traced request is passed on
as a part of our span: its ``traceparent`` names us as parent, so the spans of its events' consumers follow ours.
Nothing that a client sent is recorded, except the identity that its answer shows too.
Not here: the content, export and limits of spans (tracing.spans), the no-op (tracing.make).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.http.request import Answering, Request
    from server.http.routes import Handler
    from server.tracing.spans import Span, Spans

TRACEPARENT: Final = b"traceparent"
# The place of the last hex digit of the flags in a well-formed one: W3C Trace Context, section 3.2.2.
_LAST: Final = slice(54, 55)
_SAMPLED: Final = frozenset(b"%x" % digit for digit in range(1, 16, 2))
_REQUEST_ID: Final = b"X-Request-Id:"  # If an answer has it, it is the first of its further lines.

# measured: a handler that only answers, without a kernel: 1.32 µs without any of this, 1.58 where it is on and the
# request has no traceparent, 1.77 with one that is not sampled; sampled 82, and as much again on the thread that sends.


class Sampling:
    """Decides which requests are traced. ``is_well_formed`` says whether bytes are a ``traceparent`` (intake.trace)."""

    __slots__ = ("_follows", "_is_well_formed", "_ratio", "_spans")

    def __init__(
        self, ratio: float, spans: Spans, is_well_formed: Callable[[bytes], object], *, follows_callers: bool
    ) -> None:
        self._ratio = ratio
        self._spans = spans
        self._follows = follows_callers
        self._is_well_formed = is_well_formed

    def over(self, path: str, handler: Handler) -> Handler:
        """Wrap a handler so that some of its requests are traced; ``path`` is the route's."""
        return _Sampled(self, path, handler).handle

    def is_wanted(self, given: bytes | None) -> bool:
        """Whether a request with this ``traceparent`` is traced."""
        is_lucky = random() < self._ratio
        if given is None or not self._follows:
            return is_lucky
        is_asked = given[_LAST] in _SAMPLED
        if is_asked == is_lucky:  # The result is the same whether the caller or chance decides.
            return is_lucky
        return is_asked if self._is_well_formed(given) else is_lucky

    def begin(self, request: Request, path: str) -> None:
        """Begin the request's span, if there is room for one; it ends with the answer."""
        span = self._spans.begin(request.method, path, request.headers, len(request.body))
        if span is not None:
            request.answering = _Traced(request.answering, self._spans, span)
            request.headers = {**request.headers, TRACEPARENT: self._spans.traceparent(span)}
            request.memo = None  # Its values were computed from the client's own headers.


class _Sampled:
    """A handler some of whose requests are traced."""

    __slots__ = ("_handler", "_path", "_sampling")

    def __init__(self, sampling: Sampling, path: str, handler: Handler) -> None:
        self._sampling = sampling
        self._path = path
        self._handler = handler

    def handle(self, request: Request) -> None:
        """Begin a span if the request is traced, and call the handler."""
        if self._sampling.is_wanted(request.headers.get(TRACEPARENT)):
            self._sampling.begin(request, self._path)
        self._handler(request)


class _Traced:
    """Stands between a request and its connection, and ends its span with its answer."""

    __slots__ = ("_answering", "_span", "_spans")

    def __init__(self, answering: Answering, spans: Spans, span: Span) -> None:
        self._answering = answering
        self._spans = spans
        self._span = span

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Like ``Connection.answer``."""
        self._answering.answer(request, status, phrase, body, content_type, more)
        self._spans.end(self._span, status, request.request_id if more.startswith(_REQUEST_ID) else "")
