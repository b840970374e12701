"""Classify errors of Kafka and librdkafka: whether the event may be sent again.

Place: called by sink.kafka. The contract is that of ``Sink.classify`` in sink.base.
Rules: an error can pass if Kafka's own clients retry after it (``RetriableException`` of the Java client's ``Errors``),
or if it ends with a new producer, which sink.kafka makes. An error that no list names cannot pass.
Not here: when a producer is replaced (sink.kafka).
"""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError

from server.sink.base import BATCH_TOO_LARGE

# librdkafka stopped waiting. It does not tell us whether the broker has a record that was under way.
_TIMEOUTS: Final = (
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
)
# There is no broker, or it is not yet, or no longer, the right one.
_CLUSTER: Final = (
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._ISR_INSUFF,
    KafkaError._RETRY,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.THROTTLING_QUOTA_EXCEEDED,
)
# This producer cannot go on; the next one has a new identity and counts from zero.
_PRODUCER: Final = (
    KafkaError._FATAL,
    KafkaError._STATE,
    KafkaError._DESTROY,
    KafkaError._INCONSISTENT,
    KafkaError._CRIT_SYS_RESOURCE,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
)
# Two errors are not in the lists though the Java client retries after them: UNKNOWN_TOPIC_OR_PART, since librdkafka
# waits for the topic by itself, so that it is not coming; and INVALID_MSG, with which brokers before 2.4 also refuse a
# record without a key for a compacted topic.
_CAN_PASS: Final = frozenset(_TIMEOUTS + _CLUSTER + _PRODUCER)
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

TOO_LARGE: Final = object()  # The error of a record that was too large alone (sink.kafka.alone).


def classify(error: Any) -> str:
    """Name the ``error_type`` of an ack's KafkaError; anything else is ``internal``.

    A broker refuses a whole batch as too large, and all its records get that error: it says nothing about any one.
    ``retriable()`` is asked last: librdkafka sets it for calls of transactions, never in a delivery report.
    """
    if error is TOO_LARGE:
        return "event_too_large"
    if not isinstance(error, KafkaError):
        return "internal"
    code = error.code()
    if code in _TOO_LARGE:
        return BATCH_TOO_LARGE
    if code == KafkaError._QUEUE_FULL:
        return "queue_full"
    return "broker_timeout" if code in _CAN_PASS or error.retriable() else "broker_rejected"


def is_too_large(error: KafkaError | None) -> bool:
    """Whether a record or a batch of records was too large."""
    return error is not None and error.code() in _TOO_LARGE
