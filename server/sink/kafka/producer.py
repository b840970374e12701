"""Keep events in Kafka: librdkafka producers of each worker, with acks served in batches on the loop.

Place: intake.sending, intake.delivery → HERE → intake.event. The contract is in sink.base.
Rules: producers are made after the fork (an inherited one delivers nothing and reports nothing). ``on_ack`` is passed
to librdkafka directly, without a closure per record. Callbacks never poll, and only ``close`` ends the chain of timers.
A fatal error of an idempotent producer fails the records that are out, through their acks, and a new one takes over.
Not here: which properties are allowed (config.kafka.settings), which errors can pass (sink.kafka.errors), whether a
broker answers (sink.kafka.contact), which producer sends a topic (sink.kafka.shares), what an ack leads to
(intake.pending).
"""

# hot path

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from server.config.kafka import settings as kafka_settings
from server.config.kafka.rules import Properties
from server.errors import BootError
from server.host import descriptors
from server.log import Limited
from server.record import Record
from server.sink.base import OnAck, Sink, SinkCounts
from server.sink.kafka import alone as kafka_alone
from server.sink.kafka import errors as kafka_errors
from server.sink.kafka import making
from server.sink.kafka.alone import Alone
from server.sink.kafka.client.contract import Callbacks, Producer
from server.sink.kafka.contact import PROBE_S, Contact
from server.sink.kafka.limits import small_topics
from server.sink.kafka.log import OwnLog
from server.sink.kafka.partitions import partitioner_of
from server.sink.kafka.shares import Shares
from server.sink.kafka.statistics import Statistics, merged
from server.timing import timers

# The tick while records are out: 1 ms is the timer's own grain and adds half of that to a guaranteed answer. A tick
# costs about 3 µs, so 0.3 % of a core. When idle, only librdkafka's log and errors are waiting.
BUSY_S: Final = 0.001
IDLE_S: Final = 0.25  # At its multiples, so together with other timers (timing.timers).
LOOK_S: Final = 0.02  # Time between looks for silence while records are out.

# New requests are refused from the high mark on, so that those already parsed still find room, and until the low one,
# so that the answer does not flap.
HIGH_MARK: Final = 0.9
LOW_MARK: Final = 0.5

PURGE_S: Final = 2.0  # Time for the acks of purged records; librdkafka's threads return them in milliseconds.
# A fatal error that returns at once (no right to produce) must not spin. Not Final: see TURN_S in server.timing.turns.
REPLACE_EVERY_S = 1.0

QUEUE_KBYTES: Final = "queue.buffering.max.kbytes"

_logger = logging.getLogger("sink.kafka")
_limited = Limited(_logger)


class KafkaSink(Sink):
    """The contract is in sink.base."""

    def __init__(
        self, properties: Properties, *, max_outstanding: int, max_outstanding_bytes: int, most_producers: int = 1
    ) -> None:
        self._properties = kafka_settings.complete(
            properties, max_outstanding=max_outstanding, max_outstanding_bytes=max_outstanding_bytes
        )
        self._most_producers = most_producers
        self._high = max(1, int(max_outstanding * HIGH_MARK))
        self._default_low = int(max_outstanding * LOW_MARK)
        self._low = self._default_low
        self._was_full = False
        self._is_idle = True
        self._is_fatal = False
        self._replace_at = self._look_at = 0.0
        self._contact = Contact(
            self._properties["bootstrap.servers"], float(self._properties["message.timeout.ms"]) / 1000, self._ask
        )
        self._own_words = 0
        self._partition_of = partitioner_of(self._properties)
        self._alone: Alone | None = None
        self._others: list[Producer | Alone] = []  # All producers but the first.
        self._is_recalling = self._is_recalling_alone = False
        self._timer: asyncio.TimerHandle | None = None
        self._on_recall: list[Callable[[], None]] = []
        self.replaced = 0
        self.callback_failures = 0
        self._statistics = [Statistics()]  # Of each producer that sends a share of the topics.

    async def open(self) -> None:  # cold: once
        """Make the producer and give it WARM_UP_S to connect to a broker."""
        self._loop = asyncio.get_running_loop()
        self._contact.open()
        self._use(self._make())
        if not await making.connect(self._producer, self._properties["bootstrap.servers"]):
            self._contact.is_away = self._contact.is_shut = True
        self._contact.hear()
        self._timer = self._loop.call_later(IDLE_S, self._tick)

    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        """Put the record into librdkafka's queue."""
        try:
            self._shares[record.topic](record.value, record.key, on_ack, record.timestamp_ms, record.headers)
        except BufferError:
            self._was_full = True
            self._low = min(self._default_low, self.outstanding() // 2)  # The bytes may be full before the number.
            return "queue_full"
        except KafkaException as refused:
            return self._refusal(refused.args[0])
        except (ValueError, OverflowError):
            return self._unusable()
        if self._is_idle:
            self._wake()
        return None

    def is_full(self) -> bool:
        """True from the high mark, or a full queue, until the low mark; also while no broker answers or a quota
        throttles us."""
        if self._contact.is_shut:
            return True
        outstanding = self.outstanding() if self._others else len(self._producer)
        if self._was_full:
            self._was_full = outstanding > self._low
        elif outstanding >= self._high:
            self._was_full = True
            self._low = self._default_low
        return self._was_full

    def is_away(self) -> bool:
        """Whether no broker answers, as far as is known."""
        return self._contact.is_away

    def is_throttled(self) -> bool:
        """Whether a broker's quota throttles us."""
        return self._contact.is_throttled

    def partitions(self, topic: str) -> int:
        """As a broker says within PROBE_S."""
        try:
            return self._producer.partitions(topic, PROBE_S)
        except (KafkaException, ValueError):
            return 0

    def partition_of(self, key: bytes, count: int) -> int:
        return self._partition_of(key, count)

    def small_topics(self, topics: Collection[str]) -> set[str]:
        """As a broker says within PROBE_S."""
        return small_topics(topics, self._properties)

    def counts(self) -> SinkCounts:
        return SinkCounts(replaced=self.replaced)

    def queue(self) -> tuple[int, int]:
        """Return the size of librdkafka's queues by its last statistics."""
        return sum(one.events for one in self._statistics), sum(one.bytes for one in self._statistics)

    def brokers(self) -> list[tuple[str, list[int]]]:
        return merged(self._statistics)

    def outstanding(self) -> int:
        """Return librdkafka's count: records not yet acked, and for a moment its own log lines."""
        return len(self._producer) + sum(map(len, self._others))

    def recall(self) -> None:
        """Fail the records that have not been sent, at the next tick: a purge inside a callback would nest."""
        self._is_recalling = self._is_recalling_alone = True

    def tell_of_recalls(self, on_recall: Callable[[], None]) -> None:
        self._on_recall.append(on_recall)

    def separate(self, topic: str, *, is_keyed: bool) -> bool:  # cold: once for each such topic, or refused batch
        """Send this topic's records one per request (sink.kafka.alone)."""
        try:
            alone = self._alone
            if alone is None:
                alone = Alone(self._make(kafka_alone.PROPERTIES), self.small_topics)
                self._others.append(alone)
        except BootError as failed:  # There is no thread or no memory left.
            _limited.warning(
                "separate", "cannot make a second producer for topics that refuse our batches as too large: %s", failed
            )
            return False
        if topic not in alone.topics:
            self._is_recalling = self._is_recalling or is_keyed
            _logger.warning(
                "topic %s takes less than a batch: its events are sent one by one, which is slower; raise its "
                "max.message.bytes, or set batch.size in sink.kafka below it",
                topic,
            )
        alone.add(topic, self._loop.time())
        self._alone = alone
        self._shares[topic] = alone.topic(topic)
        return True

    def classify(self, error: Any) -> str:
        """Name the ``error_type`` of a KafkaError (sink.kafka.errors)."""
        return kafka_errors.classify(error)

    async def drain(self, deadline: float) -> int:  # cold: once
        """Wait for the acks, which the ticks go on serving. ``flush`` would block the loop."""
        while (left := self.outstanding()) and self._loop.time() < deadline:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(min(0.005, max(0.0, deadline - self._loop.time())))
        return left

    async def close(self) -> None:  # cold: once
        """Fail the remaining records through their acks. librdkafka's own ``close`` would wait for ever."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._purge()

    def _make(self, more: dict[str, str] | None = None, statistics: Statistics | None = None) -> Producer:
        callbacks = self._callbacks(statistics or self._statistics[0])
        return making.make({**self._properties, **(more or {})}, callbacks)

    def _callbacks(self, statistics: Statistics) -> Callbacks:  # cold: once for each producer
        """Return what ``poll`` calls besides acks. librdkafka's own messages are counted: no broker has sent them."""
        return Callbacks(
            on_error=self._on_error,
            on_statistics=partial(self._on_statistics, statistics),
            on_throttle=self._contact.on_throttle,
            on_line=OwnLog(self._on_own_word),
        )

    def _use(self, producer: Producer) -> None:
        self._producer = producer
        self._poll = producer.poll
        self._shares = Shares(producer, self._make_more, self._most_producers)
        self._others = []
        self._alone = None
        self._is_fatal = False
        self._was_full = False

    def _make_more(self) -> Producer:  # cold: once for many topics
        """Make one more producer, with a part of the bytes: no more than twice the limit in all."""
        number, brokers = len(self._shares.producers), len(self.brokers())
        if not descriptors.suffice_for_producers(number + 1, brokers, descriptors.limit()):
            raise BootError(f"{number + 1} of them and {brokers} brokers need more open files: raise LimitNOFILE")
        if number == len(self._statistics):
            self._statistics.append(Statistics())
        kbytes = int(self._properties[QUEUE_KBYTES]) // self._most_producers
        producer = self._make({QUEUE_KBYTES: str(max(1, kbytes))}, self._statistics[number])
        self._others.append(producer)
        return producer

    def _wake(self) -> None:  # cold: once for each idle time
        """Tick fast again for the first record after an idle time: its ack is milliseconds away."""
        self._is_idle = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(BUSY_S, self._tick)

    def _tick(self) -> None:  # cold: once a millisecond, however many records
        """Serve the callbacks, then schedule the next tick: soon while records are out, rarely when idle."""
        try:
            self._serve()
            if self._is_recalling or self._is_recalling_alone:
                self._recall_now()
            now = self._loop.time()
            if now >= self._look_at:  # Not at each tick: at low load there is a tick for each record.
                self._look_at = now + LOOK_S
                self._look(now)
        except Exception:  # Acks must still be served.
            timers.failed("KafkaSink._tick")
        finally:
            self._is_idle = not self.outstanding()
            delay_s = timers.to_multiple(self._loop.time(), IDLE_S) if self._is_idle else BUSY_S
            self._timer = self._loop.call_later(delay_s, self._tick)

    def _look(self, now: float) -> None:
        """Look whether the brokers are silent, and whether another producer is needed, or needed no longer."""
        if self._alone is not None:
            self._look_at_separated(self._alone, now)
        if self._is_fatal and now >= self._replace_at:
            self._replace()
        self._contact.look(now, is_idle=self._is_idle)

    def _look_at_separated(self, alone: Alone, now: float) -> None:  # cold: while a topic is separated
        """Let topics whose limits have been raised go back to their producers."""
        topics = alone.topics
        if alone.is_over(now):
            self._others.remove(alone)
            self._alone = None
        for topic in topics - alone.topics:
            del self._shares[topic]

    def _recall_now(self) -> None:  # cold: after a failure
        if self._is_recalling:
            self._is_recalling = False
            for producer in self._shares.producers:
                producer.purge(in_queue=True, in_flight=False, blocking=False)
        if self._is_recalling_alone:
            self._is_recalling_alone = False
            if self._alone is not None:
                self._alone.purge(in_queue=True, in_flight=False, blocking=False)
        for on_recall in self._on_recall:
            on_recall()

    def _serve(self, timeout_s: float = 0.0) -> None:  # cold: logs only what raised
        """Run the callbacks that are due. One that raises ends ``poll``, so it is called again for the rest."""
        while True:
            own_words = self._own_words
            try:
                heard = self._poll(timeout_s)
                for other in self._others:
                    heard += other.poll(0)
                if heard > self._own_words - own_words:
                    self._contact.hear()
            except Exception:  # The callbacks belong to other code; the next ones must run after any exception.
                self.callback_failures += 1
                _limited.warning("callback", "a delivery callback failed: %s", traceback.format_exc())
            else:
                return

    def _ask(self) -> bool:
        """Whether a broker answers. It waits, so it runs on a thread."""
        try:
            self._producer.reach(PROBE_S)
        except KafkaException:
            return False
        return True

    def _replace(self) -> None:  # cold: after a fatal error
        """Replace the producer after a fatal error, which ends an idempotent producer for good: fail the records that
        are out, and continue with a new one."""
        self._replace_at = self._loop.time() + REPLACE_EVERY_S
        self._purge()
        try:
            self._use(self._make())
        except BootError as failed:  # There is no thread or memory left: a tick after REPLACE_EVERY_S tries again.
            _limited.warning("replace", "cannot make a new producer: %s", failed)
            return
        self.replaced += 1
        _logger.error("the Kafka producer ended with a fatal error and was replaced (%d so far)", self.replaced)

    def _purge(self) -> None:  # cold: at the end of a producer
        """Fail all records that are out, each once, through its ack. It blocks for milliseconds, at most PURGE_S.

        Records that librdkafka does not return by then are never acked: this producer is discarded and not polled
        again. A guaranteed request that waits for one is answered 503 by HTTP, at its limit on the time for an answer
        or at the end of the drain; nothing was promised, and its client has to send again. A hasty event is lost, and
        stays in the difference between the accepted events and those delivered or dropped.
        """
        deadline = self._loop.time() + PURGE_S
        self._serve()
        while self.outstanding() and self._loop.time() < deadline:
            for producer in (self._producer, *self._others):
                producer.purge()  # It is repeated, since a callback may have submitted a record.
            self._serve(0.01)
        self._serve()  # A process that was stopped past the deadline has not served the acks since.
        if lost := self.outstanding():
            _logger.error("librdkafka did not report on %d records: their outcome is unknown", lost)

    def _refusal(self, error: KafkaError) -> str:  # cold: logs are limited
        """Name the reason why ``produce`` refused. The next tick handles a fatal error, outside any callback."""
        self._is_fatal = self._is_fatal or error.fatal() or error.code() == KafkaError._FATAL
        if kafka_errors.is_too_large(error):
            return "event_too_large"  # The record itself exceeds ``message.max.bytes``; the caller counts it.
        _limited.warning(error.name(), "librdkafka refuses a record: %s", error.str())
        return self.classify(error)

    def _unusable(self) -> str:  # cold: logs are limited
        """Log a record whose topic or timestamp cannot be encoded (a lone surrogate, beyond 64 bits), which is a
        bug."""
        _limited.warning(
            "record",
            "a topic or a time cannot be encoded, which is a bug: the event fails as internal: %s",
            traceback.format_exc(),
        )
        return "internal"

    def _on_error(self, error: KafkaError) -> None:  # cold: logs are limited
        """Take an error from ``poll``. An error that is not fatal passes by itself, and librdkafka has logged it."""
        self._own_words += 1
        self._is_fatal = self._is_fatal or error.fatal() or error.code() == KafkaError._FATAL
        self._contact.on_error(error)
        if self._is_fatal:
            _limited.warning(error.name(), "Kafka at %s: %s", self._properties["bootstrap.servers"], error.str())

    def _on_statistics(self, statistics: Statistics, text: str) -> None:  # cold: every ``statistics.interval.ms``
        self._own_words += 1
        statistics.take(text)

    def _on_own_word(self) -> None:  # cold: librdkafka's own lines
        self._own_words += 1
