"""Which errors of Kafka can pass, and which would come again."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from server.sink.kafka.errors import TOO_LARGE, classify


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._MSG_TIMED_OUT,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError._FATAL,
        KafkaError._STATE,
        KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
        KafkaError.INVALID_PRODUCER_EPOCH,
    ],
)
def test_what_can_pass_is_a_broker_timeout(code: int) -> None:
    assert classify(KafkaError(code)) == "broker_timeout"


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError._INVALID_ARG,
        KafkaError.UNKNOWN,
    ],
)
def test_what_would_be_refused_again_is_broker_rejected(code: int) -> None:
    assert classify(KafkaError(code)) == "broker_rejected"


@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE])
def test_a_batch_that_is_too_large_says_nothing_of_its_events(code: int) -> None:
    """KAFKA-3995: the broker weighs the batch, and every record of it is acked with this error."""
    assert classify(KafkaError(code)) == "batch_too_large"


def test_what_was_too_large_alone_is_the_clients() -> None:
    assert classify(TOO_LARGE) == "event_too_large"


def test_a_full_queue_has_a_name_of_its_own() -> None:
    assert classify(KafkaError(KafkaError._QUEUE_FULL)) == "queue_full"


def test_an_error_that_librdkafka_itself_calls_retriable_can_pass() -> None:
    assert classify(KafkaError(KafkaError.UNKNOWN, "later", False, True)) == "broker_timeout"
