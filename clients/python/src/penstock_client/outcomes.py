"""What becomes of events: tickets, outcomes, and the results of calls."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from penstock_client.lanes import Lane

Status = Literal["pending", "sent", "rejected", "dropped"]


class Outcome(NamedTuple):
    """What became of one event.

    ``sent``: the intake accepted it. ``rejected``: the intake refused it for good; ``reason`` is its ``error_type`` or
    ``http_<status>``, ``detail`` says more. ``dropped``: this client gave it up before an answer; ``reason`` is one of
    those of docs/CLIENTS.md. ``pending``: not known yet.
    """

    status: Status
    reason: str | None = None
    detail: str | None = None

    @property
    def is_sent(self) -> bool:
        """Whether the intake accepted the event."""
        return self.status == "sent"


class FlushResult(NamedTuple):
    """Numbers of events: ``sent``, ``rejected`` and ``dropped`` since the previous flush ended, ``pending`` now."""

    sent: int
    rejected: int
    pending: int
    dropped: int


class Health(NamedTuple):
    """The state of a client. ``oldest_s`` is the age of the oldest event that waits, ``last_error`` the last reason for
    which a request failed, until one succeeds. Totals are since the start of the process."""

    is_well: bool
    queued_events: int
    queued_bytes: int
    oldest_s: float
    paused_s: float
    last_error: str | None
    sent: int
    rejected: dict[str, int]
    dropped: dict[str, int]
    retries: int


PENDING = Outcome("pending")
SENT = Outcome("sent")


class Ticket:
    """Stands for one submitted event. ``id`` is its ``meta.id``; ``stored`` says that it is on the disk of this machine
    (``spool``), so that a killed process does not lose it."""

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_waiting",
        "body",
        "epoch",
        "id",
        "lane",
        "outcome",
        "row",
        "since_s",
        "stream",
        "unjudged",
    )

    def __init__(
        self,
        stream: str,
        identity: str,
        body: bytes | None,
        lane: Lane | None,
        since_s: float,
        waiting: Callable[[Ticket, float | None], None] | None = None,
    ) -> None:
        self.stream = stream
        self.id = identity
        self.outcome: Outcome = PENDING
        # The rest belongs to the client: the bytes that every attempt sends, None once there is an outcome.
        self.body = body
        self.lane = lane
        self.since_s = since_s
        self.epoch = 0
        self.row = 0  # In the spool; 0: it is not there; below 0: in a file of it that is gone.
        self.unjudged: tuple[dict[str, Any], Mapping[str, str], bool] | None = None
        self._callbacks: list[Callable[[Ticket], object]] | None = None
        self._waiting = waiting  # How ``wait`` waits.

    def __repr__(self) -> str:
        return f"<Ticket {self.id} {self.stream} {self.outcome.status}>"

    @property
    def stored(self) -> bool:
        """Whether the event is in the spool, and not yet known to be sent."""
        return self.row > 0

    @property
    def is_done(self) -> bool:
        """Whether there is an outcome."""
        return self.outcome is not PENDING

    def wait(self, timeout: float | None = None) -> Outcome:
        """Return the outcome, after ``timeout`` seconds at most; it is pending if that was not enough. Tickets of an
        AsyncIntake are awaited instead: this returns at once, for to wait would stop their loop."""
        if self.outcome is PENDING and self._waiting is not None:
            self._waiting(self, timeout)
        return self.outcome

    def on_done(self, callback: Callable[[Ticket], object]) -> None:
        """Call ``callback`` with this ticket once there is an outcome, on the thread that learns of it."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)
        if self.outcome is not PENDING:
            self.run_callbacks()

    def run_callbacks(self) -> None:
        """Call what waits. For the drivers."""
        callbacks = self._callbacks
        while callbacks:
            try:
                callback = callbacks.pop()
            except IndexError:  # Another thread took the last one.
                return
            callback(self)

    def let_go(self) -> None:
        """Forget the bytes. For the drivers, after an outcome."""
        self.body = self.unjudged = None

    def has_callbacks(self) -> bool:
        """Whether anything waits. For the drivers."""
        return bool(self._callbacks)

    def __await__(self) -> Generator[Any, None, Outcome]:
        """Wait in asyncio: ``outcome = await ticket``."""
        import asyncio

        if self.outcome is not PENDING:
            return self.outcome
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()

        def tell(_: Ticket) -> None:
            def settle() -> None:
                if not future.done():
                    future.set_result(self.outcome)

            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:  # The loop has ended, and with it the wait.
                future.cancel()

        self.on_done(tell)
        return (yield from future)
