"""server.sink.kafka.client: both forms of a producer keep the contract of contract.py, on mock clusters."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from server.compiled import finder
from server.sink.kafka import making
from server.sink.kafka.client import contract, plain
from server.sink.kafka.client.contract import Callbacks, Headers
from tests.contract.sinks import Acks
from tests.harness.broker import MockCluster, dead_servers
from tests.harness.topics import read_all

PATIENCE_S = 60.0
HEADERS: Headers = [("content-type", b"application/json"), ("empty", b"")]
QUIET = {"log_level": "0", "message.timeout.ms": "600000"}

Make = Callable[..., contract.Producer]


class Said:
    """What a producer says of itself."""

    def __init__(self) -> None:
        self.errors: list[Any] = []
        self.statistics: list[str] = []
        self.lines: list[tuple[int, str, str]] = []

    def callbacks(self) -> Callbacks:
        return Callbacks(
            on_error=self.errors.append,
            on_statistics=self.statistics.append,
            on_throttle=lambda throttle_s, broker: None,
            on_line=lambda *line: self.lines.append(line),
        )


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture(params=["plain", "binding"])
def make(request: pytest.FixtureRequest, said: Said) -> Make:
    if request.param == "plain":
        return lambda servers, **more: plain.Producer({"bootstrap.servers": servers, **QUIET, **more}, said.callbacks())
    return bound(said)


@pytest.fixture
def make_bound(said: Said) -> Make:
    """For what the binding alone does."""
    return bound(said)


def bound(said: Said) -> Make:
    if finder.mode().name != finder.COMPILED:
        pytest.skip("the binding is not compiled")
    from server.sink.kafka.client import binding

    def make(servers: str, callbacks: Callbacks | None = None, **more: str) -> contract.Producer:
        return binding.Producer({"bootstrap.servers": servers, **QUIET, **more}, callbacks or said.callbacks())

    return make


@pytest.fixture
def dead() -> Iterator[str]:
    with dead_servers() as servers:
        yield servers


def poll_until(producer: contract.Producer, is_done: Callable[[], object]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_done():
        assert time.monotonic() < until_s
        producer.poll(0.01)


def test_a_sink_uses_the_binding_where_it_is_compiled(dead: str, said: Said) -> None:
    wanted = "binding" if finder.mode().name == finder.COMPILED else "plain"
    producer = making.make({"bootstrap.servers": dead, **QUIET}, said.callbacks())

    assert type(producer).__module__ == f"server.sink.kafka.client.{wanted}"


def test_records_arrive_with_all_their_parts(make: Make, mock_cluster: MockCluster, topic: str) -> None:
    producer = make(mock_cluster.servers)
    acks = Acks()
    for number, key in enumerate([None, b"", b"k", b"\0k"]):
        producer.topic(topic)(b'{"n":%d}' % number, key, acks, 1_700_000_000_000 + number, HEADERS)
    poll_until(producer, lambda: len(acks.errors) == 4)

    assert acks.errors == [None] * 4
    stored = sorted(read_all(mock_cluster.servers, topic), key=lambda one: one.timestamp_ms)
    assert [one.value for one in stored] == [b'{"n":%d}' % number for number in range(4)]
    assert [one.key for one in stored] == [None, b"", b"k", b"\0k"]
    assert [one.timestamp_ms for one in stored] == [1_700_000_000_000 + number for number in range(4)]
    assert {tuple(one.headers) for one in stored} == {tuple(HEADERS)}


def test_an_outcome_says_where_the_record_is(make: Make, mock_cluster: MockCluster, topic: str) -> None:
    producer = make(mock_cluster.servers)
    places: list[tuple[int, int]] = []
    for _ in range(3):
        send = producer.topic(topic)
        send(b"{}", b"k", lambda _, outcome: places.append((outcome.partition(), outcome.offset())), 1, [])
        poll_until(producer, lambda: len(producer) == 0)

    assert [offset for _, offset in places] == [0, 1, 2]
    assert len({partition for partition, _ in places}) == 1


def test_what_is_sent_is_held_until_its_outcome_and_no_longer(
    make: Make, mock_cluster: MockCluster, topic: str
) -> None:
    producer = make(mock_cluster.servers)
    value, acks = b"%d" % 10**40, Acks()
    before = sys.getrefcount(value), sys.getrefcount(acks)
    for _ in range(5):
        producer.topic(topic)(value, None, acks, 1, HEADERS)

    poll_until(producer, lambda: len(acks.errors) == 5)

    assert (sys.getrefcount(value), sys.getrefcount(acks)) == before


def test_the_value_that_only_the_producer_holds_arrives(make: Make, mock_cluster: MockCluster, topic: str) -> None:
    producer, acks = make(mock_cluster.servers, **{"linger.ms": "200"}), Acks()
    for number in range(200):
        producer.topic(topic)(b"%d" % number + b"x" * 2000, None, acks, 1, [])
    gc.collect()
    taken = [b"y" * 2000 for _ in range(2000)]  # They would take the place of values that were freed too early.
    poll_until(producer, lambda: len(acks.errors) == 200)
    del taken

    assert {one.value for one in read_all(mock_cluster.servers, topic)} == {
        b"%d" % number + b"x" * 2000 for number in range(200)
    }


def test_a_callback_that_raises_ends_the_poll_and_the_next_one_goes_on(
    make: Make, mock_cluster: MockCluster, topic: str
) -> None:
    producer = make(mock_cluster.servers)
    called: list[int] = []
    faults: list[str] = []

    def ack_of(number: int) -> Callable[[Any, Any], None]:
        def on_ack(error: Any, _outcome: Any) -> None:
            called.append(number)
            if number % 2:
                raise ValueError(f"number {number}")

        return on_ack

    for number in range(6):
        producer.topic(topic)(b"{}", b"k", ack_of(number), 1, [])
    until_s = time.monotonic() + PATIENCE_S
    while len(called) < 6 and time.monotonic() < until_s:
        try:
            producer.poll(0.01)
        except ValueError as fault:
            faults.append(str(fault))

    assert called == [0, 1, 2, 3, 4, 5]
    assert faults == ["number 1", "number 3", "number 5"]


def test_a_callback_may_send_the_next_record(make: Make, mock_cluster: MockCluster, topic: str) -> None:
    producer, acks = make(mock_cluster.servers), Acks()
    send = producer.topic(topic)
    send(b"1", b"k", lambda *_: send(b"2", b"k", acks, 2, []), 1, [])
    poll_until(producer, lambda: acks.errors)

    assert [one.value for one in read_all(mock_cluster.servers, topic)] == [b"1", b"2"]


def test_a_full_queue_is_a_buffer_error_and_keeps_nothing(make: Make, dead: str) -> None:
    producer, acks = make(dead, **{"queue.buffering.max.messages": "2"}), Acks()
    value = b"%d" % 10**40
    send = producer.topic("t")
    send(value, None, acks, 1, HEADERS)
    send(value, None, acks, 1, HEADERS)
    before = sys.getrefcount(value), sys.getrefcount(acks)
    for _ in range(3):
        with pytest.raises(BufferError):
            send(value, None, acks, 1, HEADERS)

    assert (sys.getrefcount(value), sys.getrefcount(acks)) == before
    assert acks.errors == []


def test_a_record_over_the_limit_is_refused_at_once_with_its_error(make: Make, dead: str) -> None:
    producer, acks = make(dead, **{"message.max.bytes": "2000"}), Acks()

    with pytest.raises(KafkaException) as refused:
        producer.topic("t")(b"x" * 5000, None, acks, 1, HEADERS)

    assert refused.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert acks.errors == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [("lone \ud800 surrogate", UnicodeEncodeError), ("null\0character", ValueError)],
)
def test_a_name_that_is_none_raises(make: Make, dead: str, name: str, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        make(dead).topic(name)(b"{}", None, Acks(), 1, [])


@pytest.mark.parametrize("timestamp_ms", [1 << 63, -(1 << 63) - 1])
def test_a_time_beyond_64_bits_raises(make: Make, dead: str, timestamp_ms: int) -> None:
    with pytest.raises(OverflowError):
        make(dead).topic("t")(b"{}", None, Acks(), timestamp_ms, [])


@pytest.mark.parametrize(
    "wrong",
    [
        ("text", None, Acks(), 1, []),
        (b"{}", "text", Acks(), 1, []),
        (b"{}", None, Acks(), "1", []),
        (b"{}", None, Acks(), 1, ((1, b""),)),
        (b"{}", None, Acks(), 1, [(1, b"")]),
        (b"{}", None, Acks(), 1, [("name", "text")]),
        (b"{}", None, Acks(), 1, [("name",)]),
        (b"{}", None, Acks(), 1),
        (),
    ],
)
def test_the_binding_refuses_wrong_arguments(make_bound: Make, dead: str, wrong: tuple[Any, ...]) -> None:
    producer = make_bound(dead)

    with pytest.raises(TypeError):
        producer.topic("t")(*wrong)


def test_purged_records_fail_through_their_acks(make: Make, dead: str) -> None:
    producer, acks = make(dead), Acks()
    for _ in range(3):
        producer.topic("t")(b"{}", None, acks, 1, [])
    producer.purge(in_queue=True, in_flight=False, blocking=False)
    poll_until(producer, lambda: len(acks.errors) == 3)

    assert {error.code() for error in acks.errors} == {KafkaError._PURGE_QUEUE}


def test_records_that_are_out_are_let_go_with_their_producer(make_bound: Make, dead: str) -> None:
    """confluent_kafka keeps them for ever."""
    value, acks = b"%d" % 10**40, Acks()
    before = sys.getrefcount(value), sys.getrefcount(acks)
    producer = make_bound(dead)
    send = producer.topic("t")
    for _ in range(10):
        send(value, b"k", acks, 1, HEADERS)
    del producer, send

    assert (sys.getrefcount(value), sys.getrefcount(acks)) == before
    assert acks.errors == []


def test_a_producer_that_its_callbacks_refer_to_is_collected(make_bound: Make, dead: str, said: Said) -> None:
    class Owner:
        def __init__(self) -> None:
            callbacks = said.callbacks()._replace(on_error=self.on_error)
            self.producer = make_bound(dead, callbacks)
            self.topic = self.producer.topic("t")
            self.mark = mark

        def on_error(self, error: Any) -> None:
            said.errors.append(error)

    class Mark:
        """Lets its references be counted."""

    mark = Mark()
    before = sys.getrefcount(mark)
    Owner()
    gc.collect()

    assert sys.getrefcount(mark) == before


@pytest.mark.parametrize("is_fatal", [True, False])
def test_a_fatal_error_that_confluent_kafka_raises_is_told_as_an_error(dead: str, said: Said, is_fatal: bool) -> None:
    """Its ``poll`` raises the error that ``error_cb`` was told; an exception of a callback goes through."""
    error = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "out of order", is_fatal)
    producer = plain.Producer({"bootstrap.servers": dead, **QUIET}, said.callbacks())

    class Raises:
        def poll(self, _timeout_s: float) -> int:
            raise KafkaException(error)

    fake: Any = Raises()
    producer._producer = fake
    if is_fatal:
        assert producer.poll(0) == 1
        assert said.errors == [error]
    else:
        with pytest.raises(KafkaException):
            producer.poll(0)


def test_dead_brokers_are_told_as_errors_and_lines(make: Make, dead: str, said: Said) -> None:
    producer = make(dead, log_level="6")
    poll_until(producer, lambda: said.errors and said.lines)

    assert {error.code() for error in said.errors} <= {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
    assert not any(error.fatal() for error in said.errors)
    level, facility, text = said.lines[0]
    assert level == logging.ERROR
    assert facility == "FAIL"
    assert dead in text


def test_statistics_come_as_text(make: Make, mock_cluster: MockCluster, said: Said) -> None:
    producer = make(mock_cluster.servers, **{"statistics.interval.ms": "50"})
    poll_until(producer, lambda: said.statistics)

    assert said.statistics[0].startswith("{")
    assert '"brokers"' in said.statistics[0]


def test_partitions_are_counted_and_no_broker_is_an_exception(make: Make, mock_cluster: MockCluster, dead: str) -> None:
    producer = make(mock_cluster.servers)
    producer.reach(PATIENCE_S)

    assert producer.partitions("any", PATIENCE_S) == 4  # As the mock makes it.
    for ask in (lambda: make(dead).reach(0.2), lambda: make(dead).partitions("any", 0.2)):
        with pytest.raises(KafkaException):
            ask()


@pytest.mark.parametrize(
    ("name", "value"), [("no.such.property", "1"), ("compression.codec", "tight"), ("security.protocol", "none")]
)
def test_a_property_that_librdkafka_refuses_is_named(make: Make, dead: str, name: str, value: str) -> None:
    with pytest.raises(KafkaException) as refused:
        make(dead, **{name: value})

    assert name in refused.value.args[0].str()


def test_properties_that_do_not_fit_together_are_named(make: Make, dead: str) -> None:
    with pytest.raises(KafkaException) as refused:
        make(dead, **{"enable.idempotence": "true", "acks": "1"})

    assert "acks" in refused.value.args[0].str()
