"""What an error of Kafka or librdkafka means for the event: may it be sent again, or never.

Place: beside sink.kafka. The rule is that of ``Sink.classify`` in sink.base.
Rules: what Kafka's own clients try again by themselves can pass (``RetriableException`` of the Java client's
``Errors``), and so can what ends with a new producer, which sink.kafka makes. What no list names cannot.
Not here: when a producer is replaced (sink.kafka).
"""

from __future__ import annotations

from typing import Any, Final

from confluent_kafka import KafkaError

from server.sink.base import BATCH_TOO_LARGE

# librdkafka stopped waiting. Whether the broker has a record that was under way is unknown; it tells none of ours.
_TIMEOUTS: Final = (
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._PURGE_QUEUE,
    KafkaError._PURGE_INFLIGHT,
)
# No broker to be had, or one that is not yet, or no longer, the right one.
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
# Not among them, though the Java client tries them again: UNKNOWN_TOPIC_OR_PART, which librdkafka waits for by itself
# and which then stands for a topic that nobody makes; INVALID_MSG, with which brokers before 2.4 also refuse a record
# without a key for a compacted topic.
_CAN_PASS: Final = frozenset(_TIMEOUTS + _CLUSTER + _PRODUCER)
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

TOO_LARGE: Final = object()  # The error of a record that was too large alone (sink.kafka.alone).


def classify(error: Any) -> str:
    """Name the ``error_type`` of an ack's KafkaError; anything else is ``internal``.

    A broker refuses the whole batch as too large, and all records of it are acked so: that says nothing of any one.
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
    """Whether what was sent weighs too much, be it a record or a batch of them."""
    return error is not None and error.code() in _TOO_LARGE
