"""The Kafka sink on mock clusters of its own: bounds, time-outs, dead and hung brokers, fatal errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from server.config.kafka.rules import Value
from server.errors import BootError
from server.sink.base import Sink
from server.sink.kafka.producer import KafkaSink
from server.sink.kafka.statistics import GAUGES
from soak.brokers import Mock
from tests.contract.sinks import Acks, drive, record, settle, until
from tests.harness.broker import MockCluster, dead_servers


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


def make(
    servers: str,
    properties: dict[str, Value] | None = None,
    *,
    max_outstanding: int = 1000,
    max_bytes: int = 1 << 26,
    most_producers: int = 1,
) -> KafkaSink:
    """No record fails because the machine is busy: a test that wants time-outs says so."""
    return KafkaSink(
        {"bootstrap.servers": servers, "message.timeout.ms": 600_000, **(properties or {})},
        max_outstanding=max_outstanding,
        max_outstanding_bytes=max_bytes,
        most_producers=most_producers,
    )


def kinds(sink: KafkaSink, acks: Acks) -> set[str]:
    return {"" if error is None else sink.classify(error) for error in acks.errors}


def test_properties_that_librdkafka_refuses_end_the_start_without_showing_secrets() -> None:
    sink = make("a:1", {"security.protocol": "ssl", "ssl.key.pem": "hunter2"})

    with pytest.raises(BootError, match=r"ssl\.key\.pem") as refused:
        asyncio.run(sink.open())

    assert "hunter2" not in str(refused.value)


def test_a_dead_broker_does_not_keep_a_worker_from_becoming_ready(caplog: pytest.LogCaptureFixture) -> None:
    async def test(sink: Sink) -> None:
        assert sink.is_full(), "it is open, and takes nothing yet"

    with caplog.at_level(logging.WARNING, "sink.kafka"), dead_servers() as servers:
        drive(test, make(servers))

    [line] = [text for text in caplog.messages if text.startswith("no Kafka broker answers")]
    assert servers in line


def test_a_dead_broker_fails_records_after_their_time_as_broker_timeout() -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0

    with dead_servers() as servers:
        sink = make(servers, {"message.timeout.ms": 500})
        drive(test, sink)

    assert kinds(sink, acks) == {"broker_timeout"}


def test_a_record_over_the_limit_of_a_message_is_refused_at_once(mock_cluster: MockCluster, topic: str) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        large = record(topic, 1)
        large.value = b'"%s"' % (b"x" * 1_114_112)
        assert sink.submit(large, acks) == "event_too_large"

    drive(test, make(mock_cluster.servers))

    assert acks.errors == []


def test_bytes_are_bounded_too_and_room_comes_back(mock_cluster: MockCluster, topic: str) -> None:
    acks, refused = Acks(), Acks()

    async def test(sink: Sink) -> None:
        answers = []
        for number in range(40):
            large = record(topic, number)
            large.value = b'"%s"' % (b"x" * 50_000)
            answers.append(sink.submit(large, refused if len(acks.errors) else acks))
        assert answers.count("queue_full") > 0
        assert set(answers) == {None, "queue_full"}
        assert sink.is_full()
        assert await settle(sink) == 0
        await until(lambda: not sink.is_full())

    drive(test, make(mock_cluster.servers, max_bytes=1 << 20))

    assert 0 < len(acks.errors) < 40
    assert refused.errors == []


def test_a_full_sink_stays_full_until_the_low_mark(cluster: MockCluster) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        await until(lambda: not sink.is_full())
        cluster.hang()
        for number in range(89):
            sink.submit(record("t", number), acks)
        assert not sink.is_full()
        sink.submit(record("t", 89), acks)
        assert sink.is_full()
        cluster.go_on()
        while sink.outstanding() > 50:
            assert sink.is_full()
            await asyncio.sleep(0)
        await settle(sink)
        await until(lambda: not sink.is_full())

    drive(test, make(cluster.servers, max_outstanding=100))

    assert [error for error in acks.errors if error is not None] == []
    assert len(acks.errors) == 90


def test_closing_with_a_hung_broker_is_quick_and_accounts_for_every_record(cluster: MockCluster) -> None:
    acks, late = Acks(), Acks()

    async def test(sink: Sink) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        cluster.hang()
        for number in range(100):
            sink.submit(record("t", number), late)
        # Its own statistics and log lines count too, for a moment.
        assert await sink.drain(asyncio.get_running_loop().time() + 0.2) >= 100
        await sink.close()

    sink = make(cluster.servers)  # Its records would wait for ten minutes.
    drive(test, sink)

    assert acks.errors == [None]
    assert len(late.errors) == 100
    assert kinds(sink, late) == {"broker_timeout"}


def test_after_a_fatal_error_what_is_out_is_failed_and_a_new_producer_goes_on(cluster: MockCluster) -> None:
    """librdkafka's report of a fatal error is imitated here; tests/kafka has it happen."""
    out, kept = Acks(), Acks()
    sink = make(cluster.servers)

    async def test(_: Sink) -> None:
        sink.submit(record("t", 0), kept)
        assert await settle(sink) == 0
        cluster.hang()
        for number in range(10):
            sink.submit(record("t", number), out)
        sink._on_error(KafkaError(KafkaError._FATAL, "imitated", True))
        await until(lambda: sink.replaced)
        assert len(out.errors) == 10
        cluster.go_on()
        assert sink.submit(record("t", 11), kept) is None
        assert await settle(sink) == 0

    drive(test, sink)

    assert kinds(sink, out) == {"broker_timeout"}
    assert kept.errors == [None, None]
    assert sink.replaced == 1


def test_fatal_errors_that_return_at_once_do_not_make_a_producer_a_tick(
    mock_cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.kafka.producer.REPLACE_EVERY_S", 600.0)  # Longer than 20 turns of a busy machine.
    sink = make(mock_cluster.servers)

    async def test(_: Sink) -> None:
        for _turn in range(20):
            sink._on_error(KafkaError(KafkaError._FATAL, "imitated", True))
            sink._tick()

    drive(test, sink)

    assert sink.replaced == 1


def test_a_broker_that_hangs_is_away_after_a_silence_and_back_when_it_answers(
    cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.kafka.contact.SILENCE_S", 0.3)
    acks = Acks()

    async def test(sink: Sink) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        await until(lambda: not sink.is_full())  # A busy machine is silent for so long, too.
        cluster.hang()
        sink.submit(record("t", 2), acks)
        assert not sink.is_full()
        await until(sink.is_full)
        assert acks.errors == [None]
        cluster.go_on()
        await until(lambda: not sink.is_full())
        assert await settle(sink) == 0

    drive(test, make(cluster.servers))

    assert acks.errors == [None, None]


def test_connections_that_are_closed_while_nothing_is_out_are_made_again_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As by a broker that closes idle ones: librdkafka calls all of its brokers down, and not one is."""
    brokers = Mock()
    acks = Acks()

    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        sink.submit(record("t", 0), acks)
        assert await settle(sink) == 0
        await until(lambda: not sink.is_full())  # A busy machine may have met no broker within WARM_UP_S.
        caplog.clear()
        brokers.down()
        brokers.up()
        await until(lambda: "Disconnected" in caplog.text)
        assert not sink.is_full()
        assert sink.submit(record("t", 1), acks) is None
        assert await settle(sink) == 0
        assert [text for text in caplog.messages if not text.startswith("librdkafka:")] == []

    try:
        brokers.create(["t"])
        with caplog.at_level(logging.INFO, "sink.kafka"):
            drive(test, make(brokers.servers))
    finally:
        brokers.stop()

    assert acks.errors == [None, None]


def test_librdkafkas_own_words_are_no_answers(cluster: MockCluster) -> None:
    """Errors and log lines come by the same ``poll`` as acks: a dead broker beside a hung one would never be missed."""

    async def test(sink: Sink) -> None:
        assert isinstance(sink, KafkaSink)
        sink.submit(record("t", 1), Acks())
        assert await settle(sink) == 0
        cluster.hang()
        sink.submit(record("t", 2), Acks())
        sink._contact._heard_at = 0.0

        def say(_timeout_s: float) -> int:
            assert isinstance(sink, KafkaSink)
            sink._on_error(KafkaError(KafkaError._TRANSPORT))
            return 1

        sink._poll = say
        sink._serve()
        assert sink._contact._heard_at == 0.0
        sink._poll = lambda *_: 1
        sink._serve()
        assert sink._contact._heard_at > 0.0

    drive(test, make(cluster.servers))


def test_a_broker_that_dies_while_nothing_is_out_is_away_without_a_record(cluster: MockCluster) -> None:
    async def test(sink: Sink) -> None:
        sink.submit(record("t", 1), Acks())
        assert await settle(sink) == 0
        cluster.kill()
        await until(sink.is_full)
        assert await settle(sink) == 0  # librdkafka's lines about it count for a moment.

    drive(test, make(cluster.servers))


def waits_for_answer(sink: Sink) -> bool:
    """Whether a request has left for a broker that has not answered it, by librdkafka's own books."""
    assert isinstance(sink, KafkaSink)
    at = GAUGES.index("waiting") - len(GAUGES)
    return any(numbers[at] for _, numbers in sink.brokers())


def test_what_is_recalled_fails_soon_and_what_is_on_its_way_goes_on(cluster: MockCluster) -> None:
    """One key, so one partition, whose leader has acked a record when it hangs: the next one leaves for it.

    One request at a time: what is queued behind it cannot leave, however late the recall comes.
    """
    first, sent, queued = Acks(), Acks(), Acks()

    async def test(sink: Sink) -> None:
        sink.submit(record("t", 0, key=1), first)
        assert await settle(sink) == 0
        assert first.errors == [None]
        await until(lambda: not waits_for_answer(sink))  # What was said last may be older than the ack.
        cluster.hang()
        sink.submit(record("t", 1, key=1), sent)
        await until(lambda: waits_for_answer(sink))
        for number in range(10):
            sink.submit(record("t", number, key=1), queued)
        sink.recall()
        await until(lambda: len(queued.errors) == 10)
        assert sent.errors == []
        cluster.go_on()
        assert await settle(sink) == 0

    sink = make(cluster.servers, {"max.in.flight": 1, "statistics.interval.ms": 10})
    drive(test, sink)

    assert kinds(sink, queued) == {"broker_timeout"}
    assert sent.errors == [None]


def test_a_probe_that_cannot_begin_is_tried_again(cluster: MockCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread was to be had once, and a broker that was back stayed away for good."""
    failed: list[str] = []
    monkeypatch.setattr("server.timing.timers.failed", failed.append)
    monkeypatch.setattr("server.sink.kafka.contact.PROBE_EVERY_S", 0.0)
    sink = make(cluster.servers)

    async def test(_: Sink) -> None:
        loop = asyncio.get_running_loop()
        sink._contact.lose("imitated: %s")
        with monkeypatch.context() as patched:
            patched.setattr(sink._contact, "_loop", NoThreads(loop))
            sink._tick()
        while sink.is_away():
            await asyncio.sleep(0.005)

    drive(test, sink)

    assert failed == ["KafkaSink._tick"]


class NoThreads:
    """A loop for which no thread can be had."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.time = loop.time
        self.call_later = loop.call_later

    def run_in_executor(self, *_: object) -> None:
        raise RuntimeError("can't start new thread")
