"""Compare the service's own books with the answers to clients and with the records that were read.

Place: commands.soak, soak.verdict → HERE.
Rules: a worker's books are at most one beat old when it is killed; everything else is exact. ``in_flight`` of a run
without kills is 0; with kills it counts the events that were lost with the workers, except those of the last beat.
Not here: which losses are excused (soak.verdict calls ``most_lost``).
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct

from server.shared.ledger import COUNTS, NAMES, REASONS, Numbers
from soak.clients import Sent
from soak.service import BEAT_S, Kill
from soak.topic_reader import StoredRecord

LATE_S: Final = 2.0  # On a busy machine a beat may be late by this much.
FOR_GOOD: Final = ("broker_rejected", "event_too_large")


class Books(Struct):
    """The books of all runs of the service, and the workers that were killed in each."""

    runs: list[dict[str, Numbers]]
    kills: list[Kill]

    def total(self, stream: str, *names: str) -> int:
        """Sum some counts of a stream over all runs."""
        return sum(run[stream][name] for run in self.runs if stream in run for name in names)

    def for_good(self, stream: str) -> int:
        """Count accepted events that the brokers refused for good before they were ever spooled."""
        return self.total(stream, *FOR_GOOD)

    def most_lost(self, stream: str, sent: list[Sent]) -> int:
        """Count the accepted events of a stream that may be missing: those without an outcome when their worker was
        killed, those accepted since its last beat, and those refused for good."""
        in_flight = sum(_in_flight(run[stream]) for run in self.runs if stream in run)
        unheard = sum(_stream(one) == stream and self._is_unheard(one) for one in sent)
        return in_flight + unheard + self.for_good(stream)

    def _is_unheard(self, one: Sent) -> bool:
        """Whether an event's worker may have been killed before the beat that would have counted the event."""
        return one.status in (201, 202) and any(
            one.worker in (kill.pid, 0) and kill.at - BEAT_S - LATE_S <= one.answered_at <= kill.at + LATE_S
            for kill in self.kills
        )

    def audit(self, sent: list[Sent], read: list[StoredRecord]) -> list[str]:
        """Return the disagreements."""
        found = []
        killed = {kill.run for kill in self.kills}
        for number, run in enumerate(self.runs):
            for stream, numbers in run.items():
                left = _in_flight(numbers)
                if left < 0 or (left and number not in killed):
                    found.append(
                        f"run {number}: the books of {stream} do not add up, {left} have no outcome: {numbers}"
                    )
        there = Counter(one.event["meta"]["stream"] for one in read)
        for stream in sorted({_stream(one) for one in sent}):
            found += self._audit(stream, [one for one in sent if _stream(one) == stream], there[stream])
        return found

    def _audit(self, stream: str, sent: list[Sent], there: int) -> list[str]:
        accepted, found = self.total(stream, "accepted"), []
        told = sum(one.status in (201, 202) for one in sent)
        unanswered = sum(one.status == 0 for one in sent)
        least = told - sum(map(self._is_unheard, sent))
        most = told + unanswered + self.total(stream, "withdrawn", *REASONS)
        if not least <= accepted <= most:
            found.append(f"{stream}: {accepted} accepted by the books, {least} to {most} by the answers")
        kept = self.total(stream, "delivered", "replayed")
        if kept > there:
            found.append(f"{stream}: {kept} acked by the books, and {there} are there")
        return found

    def summary(self) -> Numbers:
        """Return the sums over all streams."""
        return {name: sum(numbers[name] for run in self.runs for numbers in run.values()) for name in NAMES}


def _in_flight(numbers: Numbers) -> int:
    accepted, *outcomes = (numbers[name] for name in COUNTS + REASONS)
    return accepted - sum(outcomes)


def _stream(one: Sent) -> str:
    return str(one.event["meta"]["stream"])
