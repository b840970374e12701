"""Serve the requests of a test session as its chaos orders.

Place: console.copying.tap → HERE → the handler, or an answer in its place.
Rules: an order about a status, or to close early, means that no event is taken. An order to close late means that the
events are taken and the client does not learn of it, as when a network fails.
Not here: which request obeys which rule (console.copying.chaos).
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

if TYPE_CHECKING:
    from server.console.copying.answering import Copying
    from server.console.copying.chaos import Rule, SharedRules
    from server.http.request import Answering, Request
    from server.http.routes import Handler

HEADER: Final = b"x-penstock-test"
PARAMETER: Final = "test"
_IN_QUERY: Final = b"test="
_TEST: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
DETAIL: Final = "The test session of this request ordered this answer."


def test_of(request: Request) -> str:
    """Return the test session that a request names in its header or query; "" for none."""
    given = request.headers.get(HEADER)
    if given is not None:
        text = given.decode("latin-1").strip()
    elif request.query.find(_IN_QUERY) >= 0:
        text = request.params().get(PARAMETER, "")
    else:
        return ""
    return text if _TEST.fullmatch(text) else ""


class Disturbance:
    """Applies rules in one worker."""

    def __init__(self, rules: SharedRules) -> None:
        self._rules = rules

    def serve(self, request: Request, test: str, copying: Copying, handler: Handler) -> None:
        """Serve a request of a session."""
        if not self._rules.has_any:
            handler(request)
            return
        rule, copying.is_dry, copying.is_verbose = self._rules.take(test)
        if rule is None:
            handler(request)
        elif rule.kind == "status":
            retry_after_s = rule.retry_after_s if rule.status in (429, 503) else 0
            request.problem(rule.status, DETAIL, retry_after_s=retry_after_s)
        elif rule.kind == "delay":
            request.answering = _Late(request.answering, rule.delay_ms / 1000)
            handler(request)
        elif rule.kind == "slow_read":
            asyncio.get_running_loop().call_later(rule.delay_ms / 1000, handler, request)
        elif rule.kind == "partial":
            self._refuse_some(request, rule, handler)
        elif rule.kind == "close_before":
            _abort(request)
            copying.close(request)
        else:
            request.answering = _Silent(request.answering, copying)
            handler(request)

    @staticmethod
    def _refuse_some(request: Request, rule: Rule, handler: Handler) -> None:
        """Answer that some events failed for a reason that can pass, and hand on the others."""
        try:
            events = msgspec.json.decode(request.body, type=list[msgspec.Raw])
        except ValueError:  # Not JSON, or not UTF-8.
            events = [msgspec.Raw(request.body)]
        failed = [at for at in rule.indexes if 0 <= at < len(events)]
        if len(failed) == len(events):
            request.problem(503, DETAIL, retry_after_s=rule.retry_after_s)
            return
        request.answering = _Partial(request.answering, failed, events)
        request.body = msgspec.json.encode([event for at, event in enumerate(events) if at not in failed])
        handler(request)


class _Late:
    """Answers later."""

    __slots__ = ("_answering", "_delay_s")

    def __init__(self, answering: Answering, delay_s: float) -> None:
        self._answering = answering
        self._delay_s = delay_s

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Like ``Connection.answer``."""
        loop = asyncio.get_running_loop()
        loop.call_later(self._delay_s, self._answering.answer, request, status, phrase, body, content_type, more)


class _Silent:
    """Closes the connection in place of an answer."""

    __slots__ = ("_answering", "_copying")

    def __init__(self, answering: Answering, copying: Copying) -> None:
        self._answering = answering
        self._copying = copying

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Like ``Connection.answer``."""
        _abort(request, self._answering)
        self._copying.close(request, phrase=f"{status} {phrase}")


class _Partial:
    """Adds the events that were held back to the answer, as failed."""

    __slots__ = ("_answering", "_events", "_failed")

    def __init__(self, answering: Answering, failed: list[int], events: list[msgspec.Raw]) -> None:
        self._answering = answering
        self._failed = failed
        self._events = events

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Like ``Connection.answer``."""
        if status >= 400:
            self._answering.answer(request, status, phrase, body, content_type, more)
            return
        kept = [at for at in range(len(self._events)) if at not in self._failed]
        said: dict[str, Any] = msgspec.json.decode(body) if body else {}
        for entry in said.get("invalid", []) + said.get("error", []):
            entry["index"] = kept[entry["index"]]
        context = {"error_type": "queue_full", "message": DETAIL, "retry_after_s": 1}
        errors = [
            {"status": "error", "index": at, "event": self._events[at], "context": context} for at in self._failed
        ]
        said = {"invalid": said.get("invalid", []), "error": said.get("error", []) + errors}
        count, invalid, failed = len(self._events), len(said["invalid"]), len(said["error"])
        phrase = (
            f"{count - invalid - failed} out of {count} events were accepted, but {invalid + failed} failed "
            f"({invalid} invalid and {failed} errored)."
        )
        self._answering.answer(request, 207, phrase, msgspec.json.encode(said), b"application/json", more)


def _abort(request: Request, answering: object | None = None) -> None:
    """Close the connection of a request. It is below the wrappers of the request's answer."""
    found: object = request.answering if answering is None else answering
    while hasattr(found, "_answering"):
        found = found._answering
    cast(Any, found).abort()
