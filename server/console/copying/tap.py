"""Copy requests and their answers for the console, in a worker.

Place: worker wraps the handlers of events with it; http.routes → HERE → the handler; its answer → HERE → http.protocol.
Rules:
1. The answer leaves first; then the copy is made, of at most ``console.max_per_s`` events a second. Requests of test
sessions, and requests that were not accepted as a whole, have budgets of their own, so accepted ones do not crowd them
out. In production a tenth of the accepted ones is enough while nothing reads the console.
2. A failure here never reaches a request.
3. Values are masked before they leave the process.
4. Requests that are not copied are counted.
Not here: what the console does with a copy (console.arrivals), chaos (console.copying.disturbance).
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from server.console.copying import copies
from server.console.copying.answering import MAX_EVENTS, PLAIN, Copying, Watched, copying_of, insert
from server.console.copying.budget import REFILL_S, UNREAD_SHARE, Budget
from server.console.copying.channel import CopyWriter
from server.console.copying.copied import CopiedEvent
from server.console.copying.copies import Outcome, RequestCopy
from server.console.copying.disturbance import Disturbance, test_of
from server.console.copying.event_copies import event_copy
from server.console.copying.masking import MASKED, WITHHELD, Masks
from server.log import Limited
from server.timing.timers import Timer

if TYPE_CHECKING:
    import asyncio
    import socket

    from server.config.console_settings import ConsoleSettings
    from server.console.copying.channel import Channel
    from server.http.problem import Refusal
    from server.http.request import Request
    from server.http.routes import Handler, Table
    from server.intake.event import Event

MAX_OUTCOMES: Final = 10_000  # That wait for the next refill; an outcome beyond is not shown.
_limited: Final = Limited(logging.getLogger("console"))


def _none() -> bool:
    return False


class EventReceiver(Protocol):
    """Tells ``on_events`` of the events of each request before they are sent (intake.receive)."""

    on_events: Callable[[Any, list[Any]], bool] | None


class Tap:
    """Makes the copies of one worker. ``usual`` is the budget of requests that are in no test session; ``skipped``
    counts requests of which no copy was made, less those of which one is made after all when they are answered."""

    def __init__(
        self, settings: ConsoleSettings, channel: Channel, slot: int, is_private: Callable[[], bool] = _none
    ) -> None:
        """``is_private`` returns whether values of any events are withheld."""
        self._is_private = is_private
        is_open = self._is_open = settings.mode == "development"
        self._masks = Masks(settings.mask, shows_addresses=settings.show_addresses and is_open)
        self._max_bytes = settings.max_copy_bytes
        self.usual, self._of_tests, self._of_faults = (Budget(settings.max_per_s) for _ in range(3))
        self.skipped = 0
        self._watched: set[bytes] = set()
        self._number = 0
        self._slot = slot
        self._under_way = 0  # Requests that are copied and not answered yet.
        self._receiver: EventReceiver
        self._sender = os.getpid() & 0xFFFF_FFFF
        self._is_read = channel.is_read
        self._writer = CopyWriter(channel)
        self._disturbance = Disturbance(channel.rules) if is_open else None
        self._outcomes: list[Outcome] = []
        self._copied: Request | None = None  # The request whose answer is copied by its wrapper.

    def table(self, routes: Table) -> dict[str, Any]:
        """Return the routes, with handlers that make copies."""
        self._watched = {path.encode() for path in routes}
        return {
            path: {method: handler and Watched(self, handler).handle for method, handler in methods.items()}
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
        self.usual.refill(1.0 if self._is_open or self._is_read() else UNREAD_SHARE)
        self._of_tests.refill()
        self._of_faults.refill()
        if (self.skipped > 0 and self._number) or self._outcomes:
            self._tell()

    def begin(self, request: Request, handler: Handler) -> None:
        """Serve a request, and make a copy of it with its answer if the budget allows."""
        test = test_of(request)
        is_shown, budget = True, self.usual
        if test and self._of_tests.take():
            budget = self._of_tests
        elif self.usual.take():
            pass
        elif test and self._disturbance is not None:
            is_shown = False  # What its session orders holds all the same.
        else:
            self.skipped += 1
            if not test and request.memo is not None:
                request.memo[PLAIN] = True
            handler(request)
            return
        copying = request.answering = Copying(self, request.answering, test, budget, is_shown=is_shown)
        self._under_way += 1
        self._receiver.on_events = self.on_events
        if test and self._disturbance is not None:
            self._disturbance.serve(request, test, copying, handler)
        else:
            handler(request)

    def on_events(self, request: Request, events: list[Event]) -> bool:
        """Note the events of a request that are about to be sent; its answer comes later. Those that are shown tell of
        their outcomes. Returns whether they are not to be sent, because the session of the request is dry."""
        copying = copying_of(request)
        if copying is None:
            return False
        if copying.is_shown and not copying.is_dry:
            request_id = request.request_id
            for at, event in enumerate(events[:MAX_EVENTS]):
                if event.verdict is None:
                    events[at] = CopiedEvent(event, self, copying.began_ns, request_id, copying.test)
        copying.events = events
        return copying.is_dry

    def on_faults(self, request: Request, events: list[Event]) -> None:
        """Copy a request after all, because some of its events are not accepted. It is about to be answered."""
        copying = copying_of(request)
        if (copying is not None and copying.is_shown) or not self._of_faults.take():
            return
        if copying is not None:
            copying.is_shown = True
        else:
            self.skipped -= 1
            copying = insert(request, lambda inner: Copying(self, inner, test_of(request), self._of_faults))
            copying.began_ns = 0  # When the request began is not known.
            copying.events = events
            self._under_way += 1

    def on_outcome(self, event: CopiedEvent, verdict: str) -> None:
        """Note where the broker has an event whose copy was made before."""
        if len(self._outcomes) < MAX_OUTCOMES:
            self._outcomes.append(
                Outcome(event.copy_number, event.index, verdict, event.partition, event.offset, event.ack_ms)
            )

    def on_answering(self, request: Request) -> None:
        """Note that the answer which is about to leave is copied by its handler's wrapper. Without any such request
        under way, no other one pays for telling its events."""
        self._copied = request
        self._under_way -= 1
        if not self._under_way:
            self._receiver.on_events = None

    def forget_answered(self) -> None:
        """Note that the request of ``on_answering`` gets no answer."""
        self._copied = None

    def on_answer(self, request: Request, status: int, phrase: str, body: bytes) -> None:
        """Copy a refused request of which no copy was made so far."""
        if request is self._copied:
            self._copied = None
            return
        # A handler of events that has answered it had counted it as skipped.
        was_skipped = request.has_identity and request.path in self._watched
        if self._of_faults.take():
            self.skipped -= was_skipped
            self.copy(request, status, phrase, body, (), test_of(request), 0.0)
        else:
            self.skipped += not was_skipped

    def on_fault(self, fault: Refusal, request: Request | None) -> None:
        """Copy what is known of bytes that were not read to their end."""
        if not self._of_faults.take():
            self.skipped += 1
            return
        if request is not None:
            self.copy(request, fault.status, fault.phrase, fault.body, (), test_of(request), 0.0)
        else:
            self._send(self._request_copy(fault.status, fault.phrase, fault.body))

    def on_dropped(self, event: Event) -> None:
        """Tell that a hasty event, whose request was answered long ago, will never be delivered."""
        if not self._of_faults.take():
            self.skipped += 1
            return
        copy = self._request_copy(0, "", b"")
        if isinstance(event, CopiedEvent):
            copy.request_id, copy.test = event.request_id, event.test
        copy.events = [event_copy(event, self._masks, self._max_bytes, copies.DROPPED)]
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
        *,
        is_dry: bool = False,
        note: str = "",
    ) -> None:
        """Make the copy of a request that has been answered."""
        try:
            copy = self._request_copy(status, phrase, answer if status >= 400 and not events else b"")
            self._describe(copy, request, test, took_ms, is_withheld=self._withholds(request, events))
            copy.is_dry, copy.note = is_dry, note
            if request.method == b"OPTIONS" and not note:
                copy.note = "shared" if b"access-control-allow-origin:" in more.lower() else "not shared"
            shown = events if len(events) <= MAX_EVENTS else _most_telling(events)
            copy.events = [event_copy(event, self._masks, self._max_bytes) for event in shown]
            copy.left_out = len(events) - len(shown)
            self._send(copy)
            for event in shown:
                if isinstance(event, CopiedEvent):
                    event.copy_number = copy.number
        except Exception:  # The request is answered: only its copy is lost.
            _limited.warning("copy", "a request could not be copied for the console\n%s", traceback.format_exc())

    def _request_copy(self, status: int, phrase: str, answer: bytes) -> RequestCopy:
        return RequestCopy(
            sender=self._sender, number=0, skipped=0, slot=self._slot, at_ms=time.time_ns() // 1_000_000, took_ms=0.0,
            request_id="", method="", path="", query="", status=status, phrase=phrase, headers={}, peer="", test="",
            is_hasty=False, body=b"", body_bytes=0, answer=answer[: self._max_bytes], events=[],
        )  # fmt: skip

    def _withholds(self, request: Request, events: Sequence[Event]) -> bool:
        """Whether the content of a request is not shown, because values of its events are withheld, or may be."""
        if not events:
            return bool(request.body or request.query) and self._is_private()
        return any(event.shown is not None or (event.route and event.route.privacy) for event in events)

    def _describe(self, copy: RequestCopy, request: Request, test: str, took_ms: float, *, is_withheld: bool) -> None:
        masks, body = self._masks, request.body
        copy.took_ms, copy.test = took_ms, test
        # A request that no handler has looked at was answered without an identity, unless it brought one.
        if request.has_identity or b"x-request-id" in request.headers:
            copy.request_id = request.request_id
        copy.method, copy.path = request.method.decode("latin-1"), request.path.decode("latin-1")
        copy.is_hasty = copy.status == 202 or copy.path.startswith(("/v1/beacon", "/v1/pixel"))
        copy.headers, copy.body_bytes = masks.headers(request.headers, is_withheld=is_withheld), len(body)
        if is_withheld:  # An event may be in the query too, and its values come from headers and the peer.
            copy.query, copy.peer, copy.body = MASKED if request.query else "", MASKED, WITHHELD if body else b""
            return
        copy.query = masks.query(request.query).decode("latin-1")
        copy.peer = masks.address(request.peer)
        copy.body = self._cut(masks.text(body))

    def _cut(self, text: bytes) -> bytes:
        return text[: self._max_bytes]

    def _send(self, copy: RequestCopy) -> None:
        copy.number = self._number = self._number + 1
        copy.skipped = max(0, self.skipped)
        self.skipped -= copy.skipped
        copy.outcomes, self._outcomes = self._outcomes, []
        if not self._writer.write(copy.number, copies.encode(copy)):
            self.skipped += copy.skipped + 1

    def _tell(self) -> None:
        """Send an empty copy, so that the console shows gaps and outcomes even if no copy follows."""
        self._send(self._request_copy(0, "", b""))


def _most_telling(events: Sequence[Event]) -> list[Event]:
    """Return MAX_EVENTS events in their order: those that were not accepted, and the first of the others."""
    chosen = sorted(range(len(events)), key=lambda at: events[at].verdict is None)[:MAX_EVENTS]
    return [events[at] for at in sorted(chosen)]


def _address(listening: socket.socket) -> str:
    name = listening.getsockname()
    return f"{name[0]}|{name[1]}" if isinstance(name, tuple) else ""
