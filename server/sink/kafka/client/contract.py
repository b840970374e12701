"""The contract of producers: what a sink needs of librdkafka.

Place: sink.kafka.producer, shares and alone → HERE; kept by binding.c, and by plain.py where nothing is compiled.
Rules: all callbacks run inside ``poll``. One that raises ends that ``poll``, which raises the same; the next one goes
on with the rest. A producer is used on the loop thread, except ``reach`` and ``partitions``, which wait for a broker.
Not here: properties (config.kafka.settings), when to poll (sink.kafka.producer).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from server.sink.base import OnAck

Headers = list[tuple[str, bytes]]

# value, key, on_ack, timestamp_ms, headers, by position. Puts a record for one topic into librdkafka's queue. Raises
# BufferError: it is full; KafkaException: librdkafka refuses the record; OverflowError: the time.
Produce = Callable[[bytes, bytes | None, OnAck, int, Headers], None]


class Callbacks(NamedTuple):
    """The functions that ``poll`` calls besides acks."""

    on_error: Callable[[Any], None]  # A KafkaError. Most of them pass by themselves.
    on_statistics: Callable[[str], None]  # JSON (librdkafka's STATISTICS.md).
    on_throttle: Callable[[float, int], None]  # Seconds for which a broker will not read, and its number.
    on_line: Callable[[int, str, str], None]  # Level as in logging, facility and text of a log line.


class Producer(Protocol):
    """A producer of librdkafka. Making one raises KafkaException, TypeError or ValueError."""

    def topic(self, name: str, /) -> Produce:
        """Return how to produce to a topic. An ack is ``on_ack(error, outcome)``: a KafkaError or None, and an object
        whose ``partition()`` and ``offset()`` hold during the call. Raises KafkaException or ValueError: a name that
        is no name of a topic."""

    def poll(self, timeout_s: float, /) -> int:
        """Run the callbacks that are due. Returns their number."""

    def purge(self, *, in_queue: bool = True, in_flight: bool = True, blocking: bool = True) -> None:
        """Fail records that are out, through their acks."""

    def reach(self, timeout_s: float, /) -> None:
        """Return when a broker has answered. Raises KafkaException: none has."""

    def partitions(self, topic: str, timeout_s: float, /) -> int:
        """Return the number of partitions of a topic, 0 if it does not exist. Raises KafkaException: no broker
        answers."""

    def __len__(self) -> int:
        """Return the records that are out, and callbacks that wait."""
