"""Read back all records that the brokers hold, while they come in, with their events and order.

Place: commands.soak starts it → HERE (a thread) → soak.verdict.
Rule: records are noted in the order of their partition, with their offsets. A gap means that the brokers themselves
lost records, and then no verdict is possible.
Not here: what was promised (soak.clients).
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final, NamedTuple

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

READ_S: Final = 30.0
QUIET_S: Final = 5.0  # Longer than a consumer's back-off after the last outage.


class StoredRecord(NamedTuple):
    """One record: its place, the event in it, and when it was read (seconds, the clock's)."""

    place: tuple[str, int]
    offset: int
    key: bytes | None
    event: dict[str, Any]
    read_at: float = 0.0


class TopicReader(threading.Thread):
    """Reads all partitions of some topics until told to stop."""

    def __init__(self, servers: str, topics: list[str], partitions: int) -> None:
        super().__init__(daemon=True)
        settings: dict[str, Any] = {
            "bootstrap.servers": servers,
            "group.id": "soak",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
            "reconnect.backoff.max.ms": 1000,
            "fetch.wait.max.ms": 100,
        }
        self._consumer = Consumer(settings)
        self._consumer.assign(
            [TopicPartition(topic, number, OFFSET_BEGINNING) for topic in topics for number in range(partitions)]
        )
        self._is_stopping = False
        self._read_at = time.monotonic()
        self._next: dict[tuple[str, int], int] = {}
        self.found: list[StoredRecord] = []
        self.gaps = 0

    def run(self) -> None:
        while not self._is_stopping:
            for message in self._consumer.consume(500, timeout=0.2):
                if message.error() is None:
                    self._note(message)

    def finish(self) -> None:
        """Stop when no record has come for QUIET_S. The brokers must be healthy, and no client may send."""
        deadline = time.monotonic() + READ_S
        while time.monotonic() < min(deadline, self._read_at + QUIET_S):
            time.sleep(0.1)
        self._is_stopping = True
        self.join(READ_S)
        self._consumer.close()

    def _note(self, message: Any) -> None:
        place, offset = (message.topic(), message.partition()), message.offset()
        self.gaps += offset != self._next.get(place, 0)
        self._next[place] = offset + 1
        self._read_at = time.monotonic()
        self.found.append(StoredRecord(place, offset, message.key(), orjson.loads(message.value()), time.time()))
