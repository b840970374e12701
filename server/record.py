"""A message for the broker: what the intake makes, and a sink takes.

Place: intake.event, sink.spool.event → HERE → sink.base.
Rule: it is a typed class, which all records inherit from, so that compiled sinks read it without looking names up.
Not here: an event's state (intake.event).
"""

# hot path

from __future__ import annotations

from typing import Any

from server.compiled.attributes import mypyc_attr


@mypyc_attr(acyclic=True, allow_interpreted_subclasses=True)
class Record:
    """One message, as Kafka would take it. The intake's events are records as they stand.

    ``headers`` are (name, value) pairs, in a list that is not changed any more; ``timestamp_ms`` is Unix time in
    milliseconds; ``key`` None lets the partition be chosen freely.
    """

    __slots__ = ("headers", "key", "timestamp_ms", "topic", "value")

    def __init__(
        self, topic: str, value: bytes, key: bytes | None, timestamp_ms: int, headers: list[tuple[str, bytes]]
    ) -> None:
        self.topic = topic
        self.value = value
        self.key = key
        self.timestamp_ms = timestamp_ms
        self.headers = headers

    def __call__(self, error: Any, message: Any) -> None:
        """Receive the outcome, where a record is its own ``on_ack``. It is declared here, because compiled objects that
        can be called have another layout."""
        raise NotImplementedError

    def is_awaited(self) -> bool:
        """Whether a request waits for the outcome. Otherwise it may come late."""
        return False
