"""The lane of one topic on the way out of the spool: which of its events may be sent, and which wait for how long.

Place: sink.spool.replay → HERE.
Rules: at most one batch of a topic is out, that is, sent and without an outcome. If events time out while a broker
answers, their partition pauses, or their topic if the partition is not known, and nothing else does. A topic that the
broker refuses (it does not exist, or there is no permission) pauses for REST_S. Its events are kept, because they were
accepted and an operator can mend the topic.
Not here: sending (sink.spool.replay), reading (sink.spool.backlog).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from server.sink.spool.backlog import Taken
from server.sink.spool.event import Spooled, name_of

REST_S: Final = 30.0
FIRST_PAUSE_S: Final = 0.5
ALL: Final = -1  # In place of a partition.

# The partition of a topic that a key belongs to; ALL where it is not known.
PartitionOf = Callable[[str, bytes], int]


class _Pause(msgspec.Struct):
    until: float
    length_s: float


class Lane:
    """The lane of one topic. ``out`` is the number of events that were sent and have no outcome yet. The next events
    are read ``above`` this number, because those up to it wait for their partition; -1: from the oldest on."""

    def __init__(self, topic: bytes, partition_of: PartitionOf) -> None:
        self.topic = topic
        self.name = name_of(topic)
        self._partition_of = partition_of
        self._pauses: dict[int, _Pause] = {}
        self._failed: list[Spooled] = []
        self.has_been_sent = False
        self.is_interrupted = False  # An event of the batch has failed, so the rest of it must not be sent.
        self.out = 0
        self.above = -1

    def may_send(self, now: float) -> bool:
        """Whether its next events may be read and sent."""
        if self.out or self.has_been_sent:
            return False
        for partition, pause in list(self._pauses.items()):
            if pause.until <= now and pause.until:
                pause.until = 0.0  # Its length is kept until a batch succeeds, so that the next pause is longer.
                self.above = -1
            elif partition == ALL and pause.until:
                return False
        return True

    def choose(self, taken: list[Taken]) -> list[Taken]:
        """Return the events whose partition does not pause. Those before them are read again when a pause ends."""
        self.is_interrupted = False
        pausing = {partition for partition, pause in self._pauses.items() if pause.until}
        if not pausing:
            self.above = -1
            return taken
        self.above = taken[-1].event.number
        return [one for one in taken if self._partition(one.event) not in pausing]

    def begin_again(self) -> None:
        """Read from the oldest event again: one of the batch has to be sent again, and no partition pauses for it."""
        self.is_interrupted = True
        self.above = -1

    def _partition(self, event: Spooled) -> int:
        return ALL if event.key is None else self._partition_of(event.topic, event.key)

    def fail(self, event: Spooled) -> None:
        """Note that an event was not delivered for a reason that can pass."""
        self._failed.append(event)
        self.is_interrupted = True

    def has_failed(self) -> bool:
        """Whether an event of the batch that was out has failed."""
        return bool(self._failed)

    def rest(self, now: float, seconds: float = REST_S) -> None:
        """Pause the whole topic: the broker refuses it."""
        self._pauses[ALL] = _Pause(now + seconds, seconds)
        self.is_interrupted = True

    def settle(self, now: float, *, is_away: bool) -> None:
        """Take the outcome of the batch that was out: pause the partitions of failed events. While no broker answers
        (``is_away``), a failure says nothing of a single partition."""
        failed, self._failed = {self._partition(event) for event in self._failed}, []
        self.has_been_sent = False
        if is_away:
            return
        for partition in failed:
            before = self._pauses.get(partition)
            length_s = FIRST_PAUSE_S if before is None else min(2 * before.length_s, REST_S)
            self._pauses[partition] = _Pause(now + length_s, length_s)
        if not failed:
            self._pauses = {partition: pause for partition, pause in self._pauses.items() if pause.until}

    def is_idle(self) -> bool:
        """Whether the lane can be dropped: it holds neither a batch nor a pause."""
        return not (self.out or self.has_been_sent or self._pauses)
