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
Not here: which events are sent, retried or counted for whom. A sink is mechanism without policy.
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

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


class Sink(Protocol):
    """The rules are at the head of this file."""

    async def open(self) -> None:
        """Get ready to take records. Raises BootError when that can never succeed with these settings."""

    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        """Take one record, or say why not: an ``error_type``, as ``classify`` names them."""

    def is_full(self) -> bool:
        """True above the high mark, and while nobody answers behind it: new requests should be refused, or spooled,
        before any work is done for them."""

    def outstanding(self) -> int:
        """Records taken and not yet acked."""

    def recall(self) -> None:
        """Fail soon what has been taken and not yet sent: an older record of a key has failed, and a younger one must
        not be kept before it. What is on its way goes on."""

    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        """From now on send no record of this topic in one request with others: a batch was BATCH_TOO_LARGE. False:
        that cannot be done now. ``is_keyed``: what has been taken and not yet sent is recalled, for younger records of
        a key must not be kept before those that come again."""

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

    async def drain(self, deadline: float) -> int:
        """Wait until nothing is outstanding, to ``loop.time()`` = deadline at the latest. Returns what is left."""

    async def close(self) -> None:
        """Fail what is left and release everything. No call follows."""
