"""Copy requests and their answers for the console, in a worker.

Place: worker wraps the handlers of events with it; http.routes → HERE → the handler; its answer → HERE → http.protocol.
Rules:
1. The answer leaves first; then the copy is made, of at most ``console.max_per_s`` requests a second. Requests of test
sessions have a budget of their own.
2. A failure here never reaches a request.
3. Values are masked before they leave the process.
Not here: what the console does with a copy (console.arrivals), chaos (console.copying.disturbance).
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from server.console.copying import copies
from server.console.copying.channel import CopyWriter
from server.console.copying.copies import EventCopy, RequestCopy
from server.console.copying.disturbance import Disturbance, test_of
from server.console.copying.masking import Masks
from server.log import Limited
from server.timing.timers import Timer

if TYPE_CHECKING:
    import asyncio
    import socket

    from server.config.console_settings import ConsoleSettings
    from server.console.copying.channel import Channel
    from server.http.problem import Refusal
    from server.http.request import Answering, Request
    from server.http.routes import Handler, Table
    from server.intake import verdict
    from server.intake.event import Event

MAX_EVENTS: Final = 100  # Of one request; the others are counted.
REFILL_S: Final = 0.1
_limited: Final = Limited(logging.getLogger("console"))


class EventReceiver(Protocol):
    """Tells ``on_events`` of the events of each request before they are sent (intake.receive)."""

    on_events: Callable[[Any, Sequence[Any]], None] | None


class Tap:
    """Makes the copies of one worker. ``left`` is the number of copies that may be made until the next refill;
    ``skipped`` counts requests of which none was made."""

    def __init__(self, settings: ConsoleSettings, channel: Channel, slot: int) -> None:
        is_open = settings.mode == "development"
        self._masks = Masks(settings.mask, shows_addresses=settings.show_addresses and is_open)
        self._max_bytes = settings.max_copy_bytes
        self._per_refill = max(1, round(settings.max_per_s * REFILL_S))
        self.left = self._left_of_tests = self._per_refill
        self.skipped = 0
        self._number = 0
        self._slot = slot
        self._under_way = 0  # Requests that are copied and not answered yet.
        self._receiver: EventReceiver
        self._sender = os.getpid() & 0xFFFF_FFFF
        self._writer = CopyWriter(channel)
        self._disturbance = Disturbance(channel.rules) if is_open else None
        self._copied: Request | None = None  # The request whose answer is copied by its wrapper.

    def table(self, routes: Table) -> dict[str, Any]:
        """Return the routes, with handlers that make copies."""
        return {
            path: {method: handler and _Watched(self, handler).handle for method, handler in methods.items()}
            for path, methods in routes.items()
        }

    def start(self, loop: asyncio.AbstractEventLoop, receiver: EventReceiver, sockets: Iterable[socket.socket]) -> None:
        """Begin to copy, on this loop, and tell the console where the service listens."""
        self._receiver = receiver
        self._writer.start(loop)
        Timer(loop, REFILL_S, self.refill).start()
        copy = self._request_copy(0, "", b"")
        copy.note = f"listens {' '.join(_address(each) for each in sockets)}"
        self._send(copy)

    def refill(self) -> None:
        """Allow more copies. Called every REFILL_S."""
        self.left = self._left_of_tests = self._per_refill
        if self.skipped and self._number:
            self._tell_skipped()

    def begin(self, request: Request, handler: Handler) -> None:
        """Serve a request, and make a copy of it with its answer if the budget allows."""
        test = test_of(request)
        if self.left > 0:
            self.left -= 1
        elif test and self._left_of_tests > 0:
            self._left_of_tests -= 1
        else:
            self.skipped += 1
            handler(request)
            return
        request.answering = _Copying(self, request.answering, test)
        self._under_way += 1
        self._receiver.on_events = self.on_events
        if test and self._disturbance is not None:
            self._disturbance.serve(request, test, handler)
        else:
            handler(request)

    def on_events(self, request: Request, events: Sequence[Event]) -> None:
        """Note the events of a request that are about to be sent; its answer comes later."""
        answering: object = request.answering  # There may be wrappers around ours: all have this attribute.
        while answering is not None and not isinstance(answering, _Copying):
            answering = getattr(answering, "_answering", None)
        if answering is not None:
            answering.events = events

    def on_answering(self, request: Request) -> None:
        """Note that the answer which is about to leave is copied by its handler's wrapper. Without any such request
        under way, no other one pays for telling its events."""
        self._copied = request
        self._under_way -= 1
        if not self._under_way:
            self._receiver.on_events = None

    def on_answer(self, request: Request, status: int, phrase: str, body: bytes) -> None:
        """Copy a refused request of which no copy was made: no handler of events has seen it."""
        if request is self._copied:
            self._copied = None
        elif self.left > 0:
            self.left -= 1
            self.copy(request, status, phrase, body, (), test_of(request), 0.0)
        else:
            self.skipped += 1

    def on_fault(self, fault: Refusal, request: Request | None) -> None:
        """Copy what is known of bytes that were not read to their end."""
        if self.left <= 0:
            self.skipped += 1
            return
        self.left -= 1
        if request is not None:
            self.copy(request, fault.status, fault.phrase, fault.body, (), test_of(request), 0.0)
        else:
            self._send(self._request_copy(fault.status, fault.phrase, fault.body))

    def on_dropped(self, event: Event) -> None:
        """Tell that a hasty event, whose request was answered long ago, will never be delivered."""
        copy = self._request_copy(0, "", b"")
        copy.events = [self._event(event, verdict_of=copies.DROPPED)]
        self._send(copy)

    def copy(
        self,
        request: Request,
        status: int,
        phrase: str,
        answer: bytes,
        events: Sequence[Event],
        test: str,
        took_ms: float,
        more: bytes = b"",
    ) -> None:
        """Make the copy of a request that has been answered."""
        try:
            copy = self._request_copy(status, phrase, answer if status >= 400 and not events else b"")
            self._describe(copy, request, test, took_ms)
            if request.method == b"OPTIONS":
                copy.note = "shared" if b"access-control-allow-origin:" in more.lower() else "not shared"
            shown = events[:MAX_EVENTS]
            copy.events = [self._event(event) for event in shown]
            copy.left_out = len(events) - len(shown)
            self._send(copy)
        except Exception:  # The request is answered: only its copy is lost.
            _limited.warning("copy", "a request could not be copied for the console\n%s", traceback.format_exc())

    def _request_copy(self, status: int, phrase: str, answer: bytes) -> RequestCopy:
        return RequestCopy(
            sender=self._sender, number=0, skipped=0, slot=self._slot, at_ms=time.time_ns() // 1_000_000, took_ms=0.0,
            request_id="", method="", path="", query="", status=status, phrase=phrase, headers={}, peer="", test="",
            is_hasty=False, body=b"", body_bytes=0, answer=answer[: self._max_bytes], events=[],
        )  # fmt: skip

    def _describe(self, copy: RequestCopy, request: Request, test: str, took_ms: float) -> None:
        masks, body = self._masks, request.body
        copy.took_ms, copy.test = took_ms, test
        # A request that no handler has looked at was answered without an identity, unless it brought one.
        if took_ms or b"x-request-id" in request.headers:
            copy.request_id = request.request_id
        copy.method, copy.path = request.method.decode("latin-1"), request.path.decode("latin-1")
        copy.query = masks.query(request.query).decode("latin-1")
        copy.headers = masks.headers(request.headers)
        copy.peer = masks.address(request.peer)
        copy.is_hasty = copy.status == 202 or copy.path.startswith(("/v1/beacon", "/v1/pixel"))
        copy.body, copy.body_bytes = self._cut(masks.text(body)), len(body)

    def _event(self, event: Event, verdict_of: str = "") -> EventCopy:
        masks, route = self._masks, event.route
        value = masks.text(event.value)
        copy = EventCopy(event.index, self._cut(value), verdict_of or _verdict(event))
        copy.is_cut = len(copy.value) < len(value)
        if route is not None:
            copy.stream, copy.schema_uri, copy.topic = route.stream.name, route.schema_uri, event.topic
        if event.key is not None:
            copy.key = masks.text(event.key)
        copy.timestamp_ms = event.timestamp_ms
        found = event.verdict or event.observed
        if found is not None:
            copy.error_type, copy.text = found.error_type, found.text
            copy.problems = _problems(found)
        return copy

    def _cut(self, text: bytes) -> bytes:
        return text[: self._max_bytes]

    def _send(self, copy: RequestCopy) -> None:
        copy.number = self._number = self._number + 1
        copy.skipped, self.skipped = self.skipped, 0
        if not self._writer.write(copy.number, copies.encode(copy)):
            self.skipped += copy.skipped + 1

    def _tell_skipped(self) -> None:
        """Send an empty copy, so that the console shows the gap even if no copy follows."""
        self._send(self._request_copy(0, "", b""))


def _address(listening: socket.socket) -> str:
    name = listening.getsockname()
    return f"{name[0]}|{name[1]}" if isinstance(name, tuple) else ""


def _verdict(event: Event) -> str:
    found = event.verdict
    if found is None:
        if event.observed is not None:
            return copies.OBSERVED
        return copies.SPOOLED if event.is_spooled else copies.ACCEPTED
    return copies.INVALID if found.is_invalid else copies.ERROR


def _problems(found: verdict.Verdict) -> list[Any]:
    """Return AJV's errors, also those that were written into the answer already."""
    if found.entry and not found.errors:
        try:
            entry = msgspec.json.decode(found.entry)
        except msgspec.DecodeError:  # The entry of an event that the answer names by its index alone.
            return []
        errors = entry["context"].get("errors", [])
        return list(errors)
    return [msgspec.to_builtins(problem) for problem in found.errors]


class _Watched:
    """A handler some of whose requests are copied."""

    __slots__ = ("_handler", "_tap")

    def __init__(self, tap: Tap, handler: Handler) -> None:
        self._tap = tap
        self._handler = handler

    def handle(self, request: Request) -> None:
        """Serve the request."""
        tap, query = self._tap, request.query
        if not tap.left and b"x-penstock-test" not in request.headers and (not query or b"test=" not in query):
            tap.skipped += 1
            self._handler(request)
        else:
            tap.begin(request, self._handler)


class _Copying:
    """Stands between a request and its connection, and copies the answer. ``events`` are set once they are prepared."""

    __slots__ = ("_answering", "_began_ns", "_tap", "_test", "events")

    def __init__(self, tap: Tap, answering: Answering, test: str) -> None:
        self._tap = tap
        self._answering = answering
        self._test = test
        self._began_ns = time.perf_counter_ns()
        self.events: Sequence[Event] = ()

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Like ``Connection.answer``."""
        events, self.events = self.events, ()  # The events refer to the request, and the request to this object.
        self._tap.on_answering(request)
        self._answering.answer(request, status, phrase, body, content_type, more)
        took_ms = (time.perf_counter_ns() - self._began_ns) / 1e6
        self._tap.copy(request, status, phrase, body, events, self._test, took_ms, more)
