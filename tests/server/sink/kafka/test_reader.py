"""Reading what topics hold: where a reading begins and ends, and how records become lines."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from server.errors import PenstockError
from server.sink.kafka import reader


class Told:
    """A message, or the event that stands for one."""

    def __init__(self, offset: int, value: bytes | None = b"{}", error: int | None = None, partition: int = 0) -> None:
        self._offset, self._value, self._partition = offset, value, partition
        self._error = None if error is None else KafkaError(error)
        self.given_key: bytes | None = None

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return self.given_key

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._partition

    def error(self) -> KafkaError | None:
        return self._error

    def headers(self) -> list[tuple[str, bytes | None]]:
        return [("recovered-from", b"e"), ("empty", None)]

    def timestamp(self) -> tuple[int, int]:
        return (1, 5)


class Log:
    """Both consumers, over one topic of these partitions: number → (first offset, end)."""

    def __init__(self, partitions: dict[int, tuple[int, int]], *turns: list[Told], since: int | None = None) -> None:
        self.partitions, self.turns, self.since = partitions, list(turns), since
        self.assigned: list[TopicPartition] = []
        self.error: KafkaError | None = None

    def list_topics(self, topic: str, timeout: float) -> Any:
        described = type("Described", (), {"error": self.error, "partitions": self.partitions})
        return type("Listed", (), {"topics": {topic: described}})

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        return self.partitions[place.partition]

    def offsets_for_times(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        offset = -1 if self.since is None else self.since
        return [TopicPartition(place.topic, place.partition, offset) for place in places]

    def assign(self, places: list[TopicPartition]) -> None:
        self.assigned = places

    def pause(self, places: list[TopicPartition]) -> None:
        """A partition that is done sends no more."""

    def consume(self, most: int, timeout: float) -> list[Told]:
        return self.turns.pop(0)

    def lines(self, since_ms: int = 0) -> list[dict[str, Any]]:
        out = io.BytesIO()
        reading: Any = reader._Reading
        reading(self, self, out).read(["t"], since_ms)
        return [json.loads(line) for line in out.getvalue().splitlines()]


END = KafkaError._PARTITION_EOF


def test_every_partition_is_read_to_the_end_that_it_had() -> None:
    log = Log({0: (0, 2), 1: (5, 6), 2: (3, 3)}, [Told(0), Told(5, partition=1)], [Told(1), Told(2)])

    assert len(log.lines()) == 3  # The record at offset 2 came later.
    assert [place.partition for place in log.assigned] == [0, 1]


def test_an_end_before_that_of_the_log_is_not_the_end() -> None:
    """Another program has a transaction open; then come the records behind it, and the mark of their commit."""
    log = Log({0: (0, 4)}, [Told(0), Told(1, error=END)], [Told(2), Told(4, error=END)])

    assert len(log.lines()) == 2
    assert log.turns == []


def test_a_reading_may_begin_at_a_time() -> None:
    log = Log({0: (0, 9)}, [Told(8)], since=8)

    assert len(log.lines(since_ms=5)) == 1
    assert log.assigned[0].offset == 8


def test_where_nothing_is_so_new_nothing_is_read() -> None:
    assert Log({0: (0, 9)}).lines(since_ms=5) == []


def test_a_line_has_the_parts_of_the_record() -> None:
    told = Told(0, b'{"a":\n1.10}')
    told.given_key = b"no JSON"
    [line] = Log({0: (0, 1)}, [told]).lines()

    assert line == {
        "topic": "t",
        "key": "no JSON",
        "timestamp_ms": 5,
        "headers": {"recovered-from": "e", "empty": ""},
        "value": {"a": 1.1},
    }


@pytest.mark.parametrize("value", [None, b"", b"no JSON", b"[" * 100_000])
def test_a_record_that_is_no_json_is_passed_over(value: bytes | None) -> None:
    assert Log({0: (0, 2)}, [Told(0, value), Told(1)]).lines()[0]["value"] == {}


def test_a_topic_that_does_not_exist_holds_nothing() -> None:
    log = Log({})
    log.error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)

    assert log.lines() == []


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.OFFSET_OUT_OF_RANGE])
def test_an_error_of_a_partition_ends_the_reading(code: int) -> None:
    with pytest.raises(KafkaException):
        Log({0: (0, 2)}, [Told(0, error=code)]).lines()


def test_a_connection_that_fails_is_made_again_by_the_library() -> None:
    assert len(Log({0: (0, 1)}, [Told(0, error=KafkaError._TRANSPORT)], [Told(0)]).lines()) == 1


def test_silence_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "STALL_S", -1.0)
    with pytest.raises(PenstockError) as failed:
        Log({0: (0, 1)}, []).lines()

    assert "no broker has sent a record" in str(failed.value)
