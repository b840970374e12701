"""What became of the accepted events of one stream: the books of one worker.

Place: intake.event and intake.delivery add; worker sums them up on the beat.
Rule: ``accepted = delivered + spooled + dropped`` + what is still in the sink or on its way to the disk. Every term is
counted where it happens, none is worked out from the others, so the sum can be checked.
Not here: what was never accepted (intake.counts), what becomes of spooled events (sink.replay).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.intake.event import Event

MAX_TALLIES = 10_000  # Where any name is a stream, clients choose the names: later ones share the last tally.
OTHERS = "(others)"


class Tally:
    """``dropped`` are events that were accepted and will never be delivered, by ``error_type``. ``on_failed`` and
    ``on_kept`` are those of intake.delivery."""

    __slots__ = ("accepted", "delivered", "dropped", "on_failed", "on_kept", "spooled", "stream")

    def __init__(
        self, stream: str, on_failed: Callable[[Event, Any], None], on_kept: Callable[[Event, str | None], None]
    ) -> None:
        self.stream = stream
        self.accepted = 0
        self.delivered = 0
        self.spooled = 0
        self.dropped: dict[str, int] = {}
        self.on_failed = on_failed
        self.on_kept = on_kept

    def drop(self, error_type: str) -> None:
        """One will never be delivered."""
        self.dropped[error_type] = self.dropped.get(error_type, 0) + 1

    def in_flight(self) -> int:
        """What is neither delivered nor spooled nor dropped, by the books."""
        return self.accepted - self.delivered - self.spooled - sum(self.dropped.values())


class Tallies:
    """One for each stream that has had an event. ``on_failed`` and ``on_kept`` are set before the first one."""

    def __init__(self) -> None:
        self._by_stream: dict[str, Tally] = {}
        self.on_failed: Callable[[Event, Any], None] = _nobody_hears
        self.on_kept: Callable[[Event, str | None], None] = _nobody_hears

    def of(self, stream: str) -> Tally:
        """The tally of a stream."""
        name = stream if stream in self._by_stream or len(self._by_stream) < MAX_TALLIES else OTHERS
        found = self._by_stream.get(name)
        if found is None:
            found = self._by_stream[name] = Tally(name, self.on_failed, self.on_kept)
        return found

    def __iter__(self) -> Iterator[Tally]:
        return iter(self._by_stream.values())


def _nobody_hears(event: Event, outcome: Any) -> None:
    """Where nothing is sent there are no outcomes: /v1/validate, `penstock validate`."""
    raise AssertionError(f"nobody waits for {outcome!r}")
