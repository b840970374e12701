"""What a sink promises: the contract that Kafka, SQLite and memory all keep.

Place: intake.pipeline → HERE → intake.pending.
Rules, the same for every sink and held by tests/contract:
1. ``submit`` never blocks and never calls back before it returns.
2. ``submit`` returns None when it took the record: exactly one call of ``on_ack(error, message)`` follows, on the
   loop thread. Otherwise it returns an ``error_type`` and the callback is never called.
3. ``error`` is None only when the record is kept (Kafka: acked by all in-sync replicas; SQLite: the transaction is on
   disk). Any other value goes through ``classify``. ``message`` is the sink's own and means nothing to callers.
4. Records with the same topic and key are kept in the order in which they were submitted.
5. ``on_ack`` is called in batches, a batch a loop turn; an exception in it is logged and counted, and stops nothing.
6. ``drain`` waits until nothing is outstanding or the deadline has passed; what is then left is failed through
   ``on_ack`` before ``close`` returns. Nothing is forgotten.
7. A sink is made and opened in the worker, after the fork.
8. What is asked for metrics and readiness answers at once and raises nothing, from ``open`` to after ``close``.
Not here: which kinds there are (sink.kind); which events are sent, retried or counted for whom. A sink is mechanism
without policy.
"""

# hot path

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple, Protocol

OnAck = Callable[[Any, Any], None]

BATCH_TOO_LARGE: Final = "batch_too_large"  # Of ``classify`` alone: it is told to no client and stands in no books.


class Record(Protocol):
    """One message for the broker: what Kafka would be given. The intake's events are records as they stand.

    ``headers`` are (name, value) pairs, in a list that is not changed any more; ``timestamp_ms`` is Unix time in
    milliseconds; ``key`` None spreads freely; ``pending`` is None when nobody waits for the outcome: then it may be as
    late as it has to be.
    """

    topic: str
    value: bytes
    key: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes]]

    @property
    def pending(self) -> object: ...


class SinkCounts(NamedTuple):
    """What a sink has counted since it was made. A kind of sink leaves at 0 what cannot happen to it."""

    replaced: int = 0  # Producers that ended with a fatal error.
    failed_commits: int = 0  # Transactions.
    damaged: int = 0  # Files that were set aside as damaged,
    gone: int = 0  # that were deleted or replaced while they were open,
    recovered: int = 0  # and that were read again afterwards.


class Sink(Protocol):
    """The rules are at the head of this file. Every sink is a subclass: what is not abstract has a default, which
    suits a sink without brokers, files or quotas.

    ``callback_failures`` counts the exceptions that acks have raised. ``knows_oldest`` says whether ``oldest`` can be
    asked; where it cannot, everything has its outcome within the time that the kind promises (``config.rules``,
    ``settle_s``).
    """

    callback_failures: int = 0
    knows_oldest: ClassVar[bool] = False

    @abstractmethod
    async def open(self) -> None:
        """Get ready to take records. Raises BootError when that can never succeed with these settings."""

    @abstractmethod
    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        """Take one record, or say why not: an ``error_type``, as ``classify`` names them."""

    @abstractmethod
    def is_full(self) -> bool:
        """True above the high mark, and while nobody answers behind it: new requests should be refused, or spooled,
        before any work is done for them."""

    @abstractmethod
    def outstanding(self) -> int:
        """Records taken and not yet acked."""

    @abstractmethod
    def recall(self) -> None:
        """Fail soon what has been taken and not yet sent: an older record of a key has failed, and a younger one must
        not be kept before it. What is on its way goes on."""

    @abstractmethod
    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        """From now on send no record of this topic in one request with others: a batch was BATCH_TOO_LARGE. False:
        that cannot be done now. ``is_keyed``: what has been taken and not yet sent is recalled, for younger records of
        a key must not be kept before those that come again."""

    @abstractmethod
    def classify(self, error: Any) -> str:
        """Name the ``error_type`` of an ack that failed. What decides is whether the same event may be sent again:

        ``broker_timeout``: not kept in time, may be sent again: what kept it from being kept can pass without anybody
        changing the event (nobody answers, no leader, no room on the disk, a lock, a producer that was replaced). As
        with every timeout, a broker that was reached may have it all the same, and then holds it twice.
        ``queue_full``: never left this process, may be sent again.
        ``broker_rejected``: the same again would be refused: no such topic, no right to write, a broken file.
        ``event_too_large``: the same, and the client can see why: it is too large by itself.
        ``batch_too_large``: not kept, because what it was sent together with was too large: it may be sent again once
        its topic is separated.
        ``internal``: nothing that the broker said; a bug of ours. Whether it would happen again is unknown.
        """

    @abstractmethod
    async def drain(self, deadline: float) -> int:
        """Wait until nothing is outstanding, to ``loop.time()`` = deadline at the latest. Returns what is left."""

    @abstractmethod
    async def close(self) -> None:
        """Fail what is left and release everything. No call follows."""

    def is_away(self) -> bool:
        """True while nothing can be kept, as far as is known: no broker answers, or a file cannot be written."""
        return False

    def is_throttled(self) -> bool:
        """True while a quota of the broker's holds the sink back."""
        return False

    def partitions(self, topic: str) -> int:
        """The number of partitions of a topic; 0: it is not known, or there are none. It may wait for a broker for a
        second, so that it is called on a thread."""
        return 0

    def partition_of(self, key: bytes, count: int) -> int:
        """The partition, of ``count``, that records with this key go to; -1: it is not known."""
        return -1

    def oldest(self) -> float:
        """Loop time up to which everything that was submitted has an outcome. Asked only where ``knows_oldest``."""
        return -math.inf

    def counts(self) -> SinkCounts:
        """What has been counted so far, for metrics."""
        return SinkCounts()

    def queue(self) -> tuple[int, int]:
        """Records and bytes that wait in this process, as far as the sink knows; 0 bytes where it does not."""
        return self.outstanding(), 0

    def brokers(self) -> list[tuple[str, list[int]]]:
        """Each broker's name with its numbers, in the order of sink.kafka.statistics: SUMS, then GAUGES."""
        return []
