"""GET /v1/receipts/{id}: the outcome of a request, on any worker of the host.

Place: http.routes → HERE → server.shared.rings.
Rules: an identity that no ring has is looked for once more after WAIT_S, in the entries written meanwhile, since other
workers write receipts in batches. A receipt that is older than an hour, or than the rings can hold, is answered with
410 if the identity shows its age (UUIDv7), else with 404. Rings are searched in slices of SLICE_S with pauses PAUSE
times as long between them, for one request after the other: an unknown identity would otherwise hold the loop for 4 ms
per worker of the host.
Not here: writing receipts (intake.books.receipts).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import orjson

from server.http.request import MAX_ID_CHARS
from server.paths import Paths
from server.shared.rings import KEPT_S, Rings
from server.text import percent

if TYPE_CHECKING:
    from server.http.request import Request

PATH: Final = Paths.RECEIPTS.removesuffix("*")
WAIT_S: Final = 0.12  # Twice the tick of intake.books.receipts, and a margin.
SLICE_S: Final = 0.001
PAUSE: Final = 3
MAX_WAITING: Final = 256
NO_STORE: Final = b"Cache-Control: no-store\r\n"
UNKNOWN: Final = "No request with this ID was accepted on this host within the last hour."
EXPIRED: Final = (
    "The outcome of this request is no longer kept: outcomes are kept for an hour, or for as long as there is room."
)
BUSY: Final = "Too many requests for receipts are waiting. Try again."

_NOWHERE: Final[dict[str, int]] = {}  # The result of a search that has ended without a receipt.

Steps = Iterator[dict[str, int] | None]


class _Search:
    """A request, and the steps that search for its identity. ``marks`` are the positions of the rings before the first
    search; None: this is the last search."""

    __slots__ = ("identity", "marks", "request", "steps")

    def __init__(self, request: Request, identity: str, marks: Sequence[int] | None, steps: Steps) -> None:
        self.request = request
        self.identity = identity
        self.marks = marks
        self.steps = steps


class ReceiptPage:
    """Handles requests for receipts. ``flush`` makes this worker's own receipts readable."""

    def __init__(self, rings: Rings, flush: Callable[[], None]) -> None:
        self._rings = rings
        self._flush = flush
        self._waiting = 0
        self._searches: deque[_Search] = deque()
        self._is_turning = False  # A slice is under way, or the next one is scheduled.

    def handle(self, request: Request) -> None:
        """Answer 200 with the counts, 404 or 410."""
        escaped = request.path[len(PATH) :]
        if len(escaped) > 3 * MAX_ID_CHARS:  # No identity is longer, even with each character escaped.
            request.problem(404, UNKNOWN)
            return
        if self._waiting >= MAX_WAITING:
            request.problem(503, BUSY, retry_after_s=1)
            return
        self._flush()
        self._waiting += 1
        identity, marks = percent.decode(escaped).decode("latin-1"), self._rings.marks()
        self._look(_Search(request, identity, marks, self._rings.search(identity.encode(), time.time())))

    def _look(self, search: _Search) -> None:
        self._searches.append(search)
        if not self._is_turning:
            self._turn()

    def _look_again(self, request: Request, identity: str, marks: Sequence[int]) -> None:
        self._look(_Search(request, identity, None, self._rings.search(identity.encode(), time.time(), marks)))

    def _turn(self) -> None:
        """Do one slice of the searches, and schedule the next slice after a pause."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self._is_turning = True
        try:
            while self._searches and loop.time() < began_s + SLICE_S:
                search = self._searches.popleft()
                found = next(search.steps, _NOWHERE)
                if found is None:
                    self._searches.appendleft(search)
                else:
                    self._settle(loop, search, None if found is _NOWHERE else found)
        finally:  # Other requests wait for their receipts, even if one search fails.
            self._is_turning = bool(self._searches)
            if self._is_turning:
                loop.call_later(PAUSE * max(loop.time() - began_s, SLICE_S), self._turn)

    def _settle(self, loop: asyncio.AbstractEventLoop, search: _Search, found: dict[str, int] | None) -> None:
        if found is None and search.marks is not None:
            loop.call_later(WAIT_S, self._look_again, search.request, search.identity, search.marks)
            return
        self._waiting -= 1
        if found is not None:
            search.request.reply(200, "OK", orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE), more=NO_STORE)
            return
        is_gone = 0 < _made_s(search.identity) < max(time.time() - KEPT_S, self._rings.oldest_s())
        search.request.problem(410 if is_gone else 404, EXPIRED if is_gone else UNKNOWN)


def _made_s(identity: str) -> float:
    """Return when a UUIDv7 was made; 0.0 for any other identity."""
    try:
        number = uuid.UUID(identity)
    except ValueError:
        return 0.0
    return (number.int >> 80) / 1000 if number.version == 7 else 0.0
