"""Read the inputs from Kafka.

Place: the topics of the inputs → HERE → embedded.run.
Rules: positions are in the store and never in Kafka, because they are committed with the state. Topics and partitions
that appear later are read from their beginning, and so is a topic that was deleted and made again: it has another
identity. Nothing waits any longer for partitions that are gone. A partition is at its end only as long as the broker
confirms it, and no transaction is open there: the clock must not go on for records that cannot be read yet. Brokers
are asked by a consumer that reads nothing: on the connection of one that reads, each question waits until a fetch has
been answered, for half a second. A partition that is far ahead of the watermark pauses, so that the buffer is bounded
during a replay. If the broker has deleted the next record, reading goes on at the oldest one, and the log says so.
Not here: which topics (catalog), the output (embedded.kafka_output).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, Message, TopicPartition

from processors.page_change.embedded.clients import consumer
from processors.page_change.embedded.inputs import Batch, Read, is_successor, named, position_in, shown
from processors.page_change.embedded.stop import GivenUpError, Stop
from server.errors import PenstockError
from server.sink.kafka.topic_ids import TopicIds

RECORDS: Final = 2_000
WAIT_S: Final = 0.2
LOOK_EVERY_S: Final = 10.0
METADATA_S: Final = 30.0
CONFIRM_EVERY_S: Final = 1.0
CONFIRM_S: Final = 2.0
# Errors that do not pass by waiting. All others are those of a broker that is away, to which librdkafka connects again.
LASTING: Final = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._AUTHENTICATION,
)
MOST_AHEAD_MS: Final = 600_000

log = logging.getLogger("page_change")


class KafkaInput:
    """The partitions of the input topics. ``properties`` are all that the consumer needs to reach them.
    ``has_identities``: the partitions of a topic that was made again are others than those before."""

    def __init__(
        self,
        properties: Mapping[str, object],
        topics: frozenset[str],
        positions: Mapping[str, int],
        stop: Stop,
        *,
        has_identities: bool,
    ) -> None:
        own = {**properties, "enable.auto.commit": False, "enable.auto.offset.store": False}
        reading = {"isolation.level": "read_committed", "auto.offset.reset": "error", "enable.partition.eof": True}
        self._consumer = consumer({**own, **reading})
        # Behind what is committed, a transaction may be open. What it has to log, the one that reads logs too.
        self._asking = consumer({**own, "isolation.level": "read_uncommitted", "log_level": 0})
        self._topic_ids = TopicIds(properties) if has_identities else None
        self._identities: dict[str, str] = {}
        self._topics = topics
        self._positions = dict(positions)
        self._newest: dict[str, int] = {}
        self._known: dict[str, TopicPartition] = {}
        self._names: dict[tuple[str, int], str] = {}
        self._missed: set[str] = set()
        self._astray: set[str] = set()  # Their positions are not there.
        self._ended: dict[str, int] = {}
        self._end_offsets: dict[str, int] = {}
        self._confirmed_at = 0.0
        self._paused: set[str] = set()
        self._looked_at = -LOOK_EVERY_S
        deadline = time.monotonic() + METADATA_S
        while not self._look():
            if stop.is_asked:
                raise GivenUpError("no broker has answered yet")
            if time.monotonic() > deadline:
                raise PenstockError(f"no broker answers at {properties.get('bootstrap.servers')}")

    def partitions(self) -> list[str]:
        """Return the partitions that are assigned."""
        return sorted(self._known)

    def read(self, least_ahead: str | None) -> list[Batch]:
        """Return the next records, by partition, and the partitions that are at their ends."""
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self._look()
        self._hold_back(least_ahead)
        for name in sorted(self._astray - self._paused):
            self._find_back(name)
        records: dict[str, list[Read]] = {}
        for message in self._consumer.consume(RECORDS, WAIT_S):
            self._take(message, records)
        is_new = not self._ended.keys() >= self._end_offsets.keys()
        if time.monotonic() - self._confirmed_at >= (WAIT_S if is_new else CONFIRM_EVERY_S):
            self._confirm()
        names = records.keys() | self._ended.keys()
        return [
            Batch(name, records.get(name, []), self._positions.get(name, 0), self._ended.get(name))
            for name in sorted(names)
        ]

    def close(self) -> None:
        """Leave the brokers."""
        self._consumer.close()
        self._asking.close()

    def _take(self, message: Message, records: dict[str, list[Read]]) -> None:
        name = self._names.get((message.topic() or "", message.partition() or 0))
        if name is None:
            return  # It is gone.
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._end_offsets[name] = message.offset() or 0
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                self._astray.add(name)
            elif error.fatal() or error.code() in LASTING:
                raise PenstockError(f"{name} cannot be read: {error.str()}")
            return
        offset = message.offset()
        assert offset is not None
        self._ended.pop(name, None)
        self._end_offsets.pop(name, None)
        self._positions[name] = offset + 1
        at = message.timestamp()[1]
        self._newest[name] = max(at, self._newest.get(name, -1))
        records.setdefault(name, []).append(Read(message.value() or b"", at, offset, message.topic() or ""))

    def _find_back(self, name: str) -> None:
        """Go on in a partition of which the broker does not have the position, at the oldest offset that it has."""
        place, position = self._known[name], self._positions[name]
        try:
            oldest, end = self._asking.get_watermark_offsets(place, timeout=CONFIRM_S)
        except KafkaException:
            return  # A broker is away.
        if position < oldest:
            expired = "partition %s: records expired before they were read: reading goes on at offset %d instead of %d"
            log.warning(expired, shown(name), oldest, position)
        elif position > end:
            cut = "partition %s was cut: it is read again from its oldest offset on, %d, instead of offset %d"
            log.warning(cut, shown(name), oldest, position)
        place.offset = self._positions[name] = position if oldest <= position <= end else oldest
        for kept in (self._ended, self._end_offsets):
            kept.pop(name, None)
        self._consumer.incremental_unassign([place])
        self._consumer.incremental_assign([place])
        self._astray.discard(name)

    def _confirm(self) -> None:
        """Ask the brokers whether the partitions that were read to their ends are at them now."""
        self._confirmed_at = time.monotonic()
        now = time.time_ns() // 1_000_000
        places = [self._known[name] for name in sorted(self._end_offsets)]
        asked = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in places]
        try:
            found = self._asking.offsets_for_times(asked, timeout=CONFIRM_S) if asked else []
        except KafkaException:
            return  # A broker is away: the partitions stay at the clock of the last answer.
        for end in found:
            name = self._names[end.topic, end.partition]
            if end.error is None and end.offset == self._end_offsets[name]:
                self._ended[name] = now

    def _hold_back(self, least_ahead: str | None) -> None:
        """Pause the partitions that are far ahead of the one that holds the watermark up; resume the others."""
        least = self._newest.get(least_ahead, 0) if least_ahead is not None else None
        ahead = {
            name
            for name, newest in self._newest.items()
            if least is not None and name != least_ahead and newest > least + MOST_AHEAD_MS
        }
        if paused := ahead - self._paused:
            self._consumer.pause([self._known[name] for name in paused])
        if resumed := self._paused - ahead:
            self._consumer.resume([self._known[name] for name in resumed])
        self._paused = ahead

    def _look(self) -> bool:
        """Assign the partitions that are new, and leave those that are gone. Returns whether a broker answered; reading
        goes on when one does."""
        self._looked_at = time.monotonic()
        try:
            found = self._asking.list_topics(timeout=CONFIRM_S).topics
            there = sorted(self._topics & found.keys())
            if self._topic_ids is not None:
                self._identities |= self._topic_ids.of(there)
        except (KafkaException, PenstockError):
            return False
        places = {
            named(topic, self._identities.get(topic, ""), str(number)): (topic, number)
            for topic in there
            for number in sorted(found[topic].partitions)
        }
        self._leave(self._known.keys() - places.keys(), set(places.values()))
        new = [name for name in places if name not in self._known]
        for name in new:
            if is_successor(name, self._positions):
                log.warning("topic %s was deleted and made again: it is read from its beginning", places[name][0])
            self._positions[name] = position_in(name, self._positions)
            self._names[places[name]] = name
            # A partition of which nothing was read begins where its records do.
            self._known[name] = TopicPartition(*places[name], self._positions[name] or OFFSET_BEGINNING)
        if new:
            self._consumer.incremental_assign([self._known[name] for name in new])
        return True

    def _leave(self, missing: set[str], there: set[tuple[str, int]]) -> None:
        """Leave partitions that are not there. One that is in no other's place has to be missing twice: nothing may
        happen for the sake of one odd answer that could not be taken back."""
        replaced = {name for name in missing if (self._known[name].topic, self._known[name].partition) in there}
        gone = replaced | (missing & self._missed)
        self._missed = missing - gone
        for name in sorted(gone):
            place = self._known.pop(name)
            self._consumer.incremental_unassign([place])
            del self._names[place.topic, place.partition]
            for kept in (self._ended, self._end_offsets, self._newest):
                kept.pop(name, None)
            self._paused.discard(name)
            self._astray.discard(name)
            if name not in replaced:
                log.warning("partition %s is gone: nothing waits for it any more", shown(name))
