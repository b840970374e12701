"""The contract of sinks, which Kafka, SQLite and memory all keep.

Place: intake.sending, intake.delivery → HERE → intake.pending.
Rules, the same for every sink and checked by tests/contract:
1. ``submit`` never blocks and never calls back before it returns.
2. ``submit`` returns None when it took the record: exactly one call of ``on_ack(error, message)`` follows, on the loop
thread. Otherwise it returns an ``error_type`` and the callback is never called.
3. ``error`` is None only when the record is stored (Kafka: acked by all in-sync replicas; SQLite: the transaction is on
disk). Any other value goes through ``classify``. ``message`` is the sink's own and means nothing to callers.
4. Records with the same topic and key are stored in the order in which they were submitted.
5. ``on_ack`` is called in batches, one batch per loop turn; an exception in it is logged and counted, and stops
nothing.
6. ``drain`` waits until nothing is outstanding or the deadline has passed; the remaining records are failed through
``on_ack`` before ``close`` returns. No record is left without its callback.
7. A sink is made and opened in the worker, after the fork.
8. The methods for metrics and readiness return at once and raise nothing, from ``open`` to after ``close``.
Not here: the list of kinds (sink.kind); which events are sent, retried or counted for whom. A sink is mechanism without
policy.
"""

# hot path

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any, ClassVar, Final, NamedTuple

from server.compiled.attributes import mypyc_attr
from server.record import Record

OnAck = Callable[[Any, Any], None]

# Used by ``classify`` alone: no client sees it, and the books do not count it.
BATCH_TOO_LARGE: Final = "batch_too_large"


class SinkCounts(NamedTuple):
    """The counters of a sink since it was made. A kind of sink leaves counters at 0 that do not apply to it."""

    replaced: int = 0  # Producers that ended with a fatal error.
    failed_commits: int = 0  # Transactions.
    damaged: int = 0  # Files that were set aside as damaged,
    gone: int = 0  # that were deleted or replaced while they were open,
    recovered: int = 0  # and that were read again afterwards.


@mypyc_attr(allow_interpreted_subclasses=True)
class Sink(ABC):
    """The rules are at the head of this file. Every sink is a subclass: what is not abstract has a default, which
    suits a sink without brokers, files or quotas.

    ``callback_failures`` counts the exceptions that acks have raised.
    ``knows_oldest`` says whether ``oldest`` can be asked; where it cannot, everything has its outcome within the time
    that the kind promises (``config.rules``, ``settle_s``).
    """

    callback_failures: int = 0
    knows_oldest: ClassVar[bool] = False

    @abstractmethod
    async def open(self) -> None:  # cold: once
        """Get ready to take records. Raises BootError when that can never succeed with these settings."""

    @abstractmethod
    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        """Take one record. Returns None, or the reason for refusing it: an ``error_type`` of ``classify``."""

    @abstractmethod
    def is_full(self) -> bool:
        """True above the high mark, and while no broker answers: new requests should be refused, or spooled, before any
        work is done for them."""

    @abstractmethod
    def outstanding(self) -> int:
        """Records taken and not yet acked."""

    @abstractmethod
    def recall(self) -> None:
        """Fail soon all records that have been taken and not yet sent: an older record of a key has failed, and a
        younger one must not be stored before it. Records that have been sent are not affected."""

    @abstractmethod
    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        """From now on send every record of this topic in a request of its own: a batch was BATCH_TOO_LARGE. False:
        that cannot be done now. ``is_keyed``: records that have been taken and not yet sent are recalled, because
        younger records of a key must not be stored before those that are sent again."""

    @abstractmethod
    def classify(self, error: Any) -> str:
        """Name the ``error_type`` of an ack that failed, by whether the same event may be sent again:

        ``broker_timeout``: it was not stored in time and may be sent again, because the obstacle can pass: no broker
        answers, no leader, no room on the disk, a lock, a producer that was replaced. As with every timeout, a broker
        that was reached may have the event nevertheless, and then stores it twice.
        ``queue_full``: it never left this process and may be sent again.
        ``broker_rejected``: it would be refused again: no such topic, no permission to write, a broken file.
        ``event_too_large``: it would be refused again, because it is too large by itself, which its client can mend.
        ``batch_too_large``: it was not stored, because its batch was too large: it may be sent again once its topic is
        separated.
        ``internal``: the error does not come from the broker but from a bug. Whether it would happen again is unknown.
        """

    @abstractmethod
    async def drain(self, deadline: float) -> int:  # cold: once
        """Wait until nothing is outstanding, until ``loop.time()`` = deadline at the latest. Returns the number of
        remaining records."""

    @abstractmethod
    async def close(self) -> None:  # cold: once
        """Fail the remaining records and release everything. No call follows."""

    def tell_of_recalls(self, on_recall: Callable[[], None]) -> None:
        """Call ``on_recall``, as all others that were passed, whenever records are recalled, before any of their acks:
        until these have come, a younger record of a key must not be submitted. Without that there is nothing to tell
        of: acks come in the order of the records."""
        return

    def is_away(self) -> bool:
        """True while no record can be stored, as far as is known: no broker answers, or a file cannot be written."""
        return False

    def is_throttled(self) -> bool:
        """True while a quota of the broker holds the sink back."""
        return False

    def partitions(self, topic: str) -> int:
        """The number of partitions of a topic; 0: it is not known, or there are none. It may wait for a broker for a
        second, so that it is called on a thread."""
        return 0

    def small_topics(self, topics: Collection[str]) -> set[str]:
        """Return those topics that would refuse a large batch of their records, as far as is known. It may wait for a
        broker for a second, so that it is called on a thread."""
        return set()

    def partition_of(self, key: bytes, count: int) -> int:
        """The partition, of ``count``, that records with this key go to; -1: it is not known."""
        return -1

    def oldest(self) -> float:
        """Return the loop time before which all submitted records have their outcome. Called only if
        ``knows_oldest``."""
        return -math.inf

    def counts(self) -> SinkCounts:
        """Return the counters, for metrics."""
        return SinkCounts()

    def queue(self) -> tuple[int, int]:
        """Return the records and bytes that wait in this process, as far as the sink knows; 0 bytes if it does not."""
        return self.outstanding(), 0

    def brokers(self) -> list[tuple[str, list[int]]]:
        """Return each broker's name with its numbers, in the order of sink.kafka.statistics: SUMS, then GAUGES."""
        return []
