"""``penstock recover`` over Kafka: the same account, in transactions of one name."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from server.__main__ import main
from server.errors import PenstockError
from server.sink.kafka import reader, transactional
from server.sink.kafka.transactional import TransactionalSink
from tests.contract.sinks import Acks
from tests.fakes import Message
from tests.harness.broker import Kafka, MockCluster, dead_servers
from tests.harness.running import PATIENCE_S, ROOT
from tests.server.recovery.site import STREAM, Site, a_sale

EVENTS = 1_500
LONGER = {"note": {"type": "string", "maxLength": 80}}


class KafkaSite(Site):
    """The same intake over Kafka. Its topics are its own: their names begin with ``prefix``."""

    def __init__(self, directory: Path, servers: str, prefix: str) -> None:
        super().__init__(directory)
        self.servers, self.prefix = servers, prefix
        settings = json.loads(self.settings.read_text())
        settings["sink"] = {
            "kind": "kafka",
            "topic_prefix": prefix,
            "kafka": {"bootstrap.servers": servers},
        }
        settings["spool"] = {"path": str(directory / "spool")}
        self.settings.write_text(json.dumps(settings))

    def refuse(self, *raws: str | dict[str, Any], dt: str = "2026-11-20T10:00:00.250Z", first: int = 0) -> None:
        self.produce(*(self.record(raw, dt, number) for number, raw in enumerate(raws, first)))

    def produce(self, *records: Message) -> None:
        producer = Producer({"bootstrap.servers": self.servers})
        for one in records:
            producer.produce(
                self.prefix + one.topic,
                one.value,
                one.key,
                partition=0,
                timestamp=one.timestamp_ms,
                headers=list(one.headers),
            )
        assert producer.flush(PATIENCE_S) == 0

    def lines(self, stream: str = STREAM) -> list[dict[str, Any]]:
        """Return what any consumer finds, committed or not."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": "test",
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",
            }
        )
        try:
            topic = self.prefix + stream
            partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            found, ended = list[dict[str, Any]](), 0
            while ended < len(partitions):
                for message in consumer.consume(500, 1.0):
                    error = message.error()
                    if error is not None:
                        assert error.code() == KafkaError._PARTITION_EOF
                        ended += 1
                        continue
                    line = {"value": json.loads(message.value() or b""), "key": message.key()}
                    stamp = {"timestamp_ms": message.timestamp()[1], "headers": dict(message.headers() or [])}
                    found.append(line | stamp)
            return found
        finally:
            consumer.close()


@pytest.fixture
def site(tmp_path: Path, mock_cluster: MockCluster, topic: str) -> KafkaSite:
    return KafkaSite(tmp_path, mock_cluster.servers, f"{topic}.")


def recovered(site: Site, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    given = ["recover", "-c", str(site.settings), "--stream", STREAM, "--format", "json", "--rate", "100000", *options]
    code = main(given)
    return code, json.loads(capsys.readouterr().out)


def test_events_are_recovered_once_with_their_key_and_time(site: KafkaSite, capsys: pytest.CaptureFixture[str]) -> None:
    site.refuse(a_sale(1), a_sale(2, note="x" * 100), a_sale(1))
    site.put_schema("1.0.0", **LONGER)
    dry, first = recovered(site, capsys, "--dry-run"), recovered(site, capsys)
    site.put_schema("1.0.0", note={"type": "string"})
    second = recovered(site, capsys)
    records = {record["value"]["meta"]["id"]: record for record in site.lines()}

    assert (dry[1]["recovered"], first[1]["recovered"], first[1]["stored_before"], first[1]["refused"]) == (1, 1, 1, 1)
    assert (second[0], second[1]["recovered"], second[1]["stored_before"]) == (0, 1, 2)
    assert len(site.lines()) == 2
    assert records["sale-1"]["value"] == a_sale(1)
    assert records["sale-1"]["key"] == b'{"count":1}'
    assert records["sale-1"]["timestamp_ms"] == 1_795_078_800_000
    assert records["sale-1"]["headers"]["recovered-from"] in (b"error-0", b"error-2")


def test_an_event_that_its_sender_has_sent_again_is_not_stored_twice(
    site: KafkaSite, capsys: pytest.CaptureFixture[str]
) -> None:
    site.refuse(a_sale(1))
    site.produce(Message(STREAM, json.dumps(a_sale(1)).encode(), None, 5, []), Message(STREAM, b"no JSON", b"k", 5, []))
    site.put_schema("1.0.0", **LONGER)
    code, report = recovered(site, capsys)

    assert (code, report["recovered"], report["stored_before"]) == (0, 0, 1)


def test_a_new_version_is_tried_on_the_events_of_a_topic(site: KafkaSite, capsys: pytest.CaptureFixture[str]) -> None:
    site.produce(*(Message(STREAM, json.dumps(a_sale(number)).encode(), None, 5, []) for number in range(3)))
    site.put_schema("1.1.0", **LONGER)
    schemas = str(site.directory / "schemas")
    given = ["schemas", "replay", schemas, "-c", str(site.settings), "--title", "shop/sale", "--format", "json"]
    codes = [main([*given, "--stream", STREAM, "--to", version]) for version in ("1.0.0", "1.1.0")]
    lines = capsys.readouterr().out
    refusals = [main([*given, *more]) for more in ([], ["--stream", "nope"])]
    said = capsys.readouterr().err

    assert (codes, refusals) == ([1, 0], [3, 3])
    assert lines.count('"accepted": 3') == 2
    assert "--stream NAME says which topic is read" in said
    assert "there is no stream 'nope'" in said


@pytest.mark.slow(reason="it starts a process for each kill, which reads settings and schemas")
def test_a_recovery_that_is_killed_at_random_points_stores_every_event_once(tmp_path: Path, topic: str) -> None:
    cluster, random_points = MockCluster(), random.Random(24)
    try:
        site = KafkaSite(tmp_path, cluster.servers, f"{topic}.")
        site.refuse(*(a_sale(number) for number in range(EVENTS)))
        site.put_schema("1.0.0", **LONGER)
        command = [sys.executable, "-m", "server", "recover", "-c", str(site.settings), "--stream", STREAM]
        killed_at = []
        for _ in range(3):
            before = size_of(site)
            at = before + random_points.randrange((EVENTS - before) // 2 + 1)
            process = subprocess.Popen(
                [*command, "--rate", "1000"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                deadline = time.monotonic() + PATIENCE_S
                while size_of(site) <= at and process.poll() is None:
                    assert time.monotonic() < deadline
            finally:
                process.kill()
                process.wait()
            killed_at.append(size_of(site))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)

        assert done.returncode == 0, done.stdout + done.stderr
        assert [count for count in killed_at if 0 < count < EVENTS], "no kill came in the middle"
        ids = sorted(record["value"]["meta"]["id"] for record in site.lines())
        assert ids == sorted(f"sale-{number}" for number in range(EVENTS))
    finally:
        cluster.kill()


def size_of(site: KafkaSite) -> int:
    """Return the number of records of the stream, by the ends of its partitions."""
    consumer = Consumer({"bootstrap.servers": site.servers, "group.id": "test"})
    try:
        topic = site.prefix + STREAM
        partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
        ends = (
            consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=PATIENCE_S) for number in partitions
        )
        return sum(high - low for low, high in ends)
    finally:
        consumer.close()


def test_a_second_recovery_ends_the_first(kafka_broker: Kafka, topic: str) -> None:
    """Real brokers alone do it."""

    async def test() -> tuple[list[str], Acks, str | None]:
        first, second = (TransactionalSink({"bootstrap.servers": kafka_broker.servers}, topic) for _ in range(2))
        heard, acks = Acks(), Acks()
        await first.open()
        await second.open()
        for sink, each in ((first, heard), (second, acks)):
            assert sink.submit(Message(topic, b"{}", None, 5, []), each) is None
            await sink.drain(asyncio.get_running_loop().time() + PATIENCE_S)
        refusal = first.submit(Message(topic, b"{}", None, 5, []), Acks())
        await first.close()
        await second.close()
        return [first.classify(error) for error in heard.errors], acks, refusal

    outcomes, acks, refusal = asyncio.run(test())

    assert (outcomes, acks.errors, refusal) == (["broker_timeout"], [None], "broker_timeout")


class ProducerOf:
    """A producer whose commits have these outcomes, one after another."""

    def __init__(self, *outcomes: KafkaError | None, abort: KafkaError | None = None) -> None:
        self.outcomes, self.abort, self.calls = list(outcomes), abort, list[str]()

    def init_transactions(self, _within_s: float) -> None:
        self.calls.append("init")

    def begin_transaction(self) -> None:
        self.calls.append("begin")

    def produce(self, _topic: str, value: bytes, *_args: object, **_named: object) -> None:
        self.calls.append(value.decode())

    def commit_transaction(self, _within_s: float) -> None:
        self.calls.append("commit")
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise KafkaException(outcome)

    def abort_transaction(self, _within_s: float) -> None:
        self.calls.append("abort")
        if self.abort is not None:
            raise KafkaException(self.abort)


def stored_by(producer: ProducerOf, monkeypatch: pytest.MonkeyPatch, count: int) -> list[str | None]:
    """Return the outcomes of so many records, and of one that is submitted after them."""

    async def test() -> list[str | None]:
        sink, acks = TransactionalSink({"bootstrap.servers": "nowhere:1"}, "x"), Acks()
        await sink.open()
        for number in range(count):
            assert sink.submit(Message("t", b"%d" % number, None, 5, []), acks) is None
        await sink.drain(asyncio.get_running_loop().time() + PATIENCE_S)
        outcomes = [None if error is None else sink.classify(error) for error in acks.errors]
        late = Acks()
        outcomes.append(sink.submit(Message("t", b"late", None, 5, []), late))
        await sink.drain(asyncio.get_running_loop().time() + PATIENCE_S)
        await sink.close()
        return outcomes

    monkeypatch.setattr(transactional, "Producer", lambda properties: producer)
    return asyncio.run(test())


def test_a_commit_that_may_be_repeated_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = ProducerOf(KafkaError(KafkaError._TIMED_OUT, retriable=True), None, None)

    assert stored_by(producer, monkeypatch, 1) == [None, None]
    assert producer.calls == ["init", "begin", "0", "commit", "commit", "begin", "late", "commit"]


def test_a_producer_that_was_replaced_takes_no_further_record(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = ProducerOf(KafkaError(KafkaError._FENCED, fatal=True))

    assert stored_by(producer, monkeypatch, 2) == ["broker_timeout", "broker_timeout", "broker_timeout"]
    assert producer.calls == ["init", "begin", "0", "1", "commit"]


def test_where_a_transaction_cannot_be_aborted_nothing_further_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = ProducerOf(KafkaError(KafkaError._TIMED_OUT), abort=KafkaError(KafkaError._STATE))

    assert stored_by(producer, monkeypatch, 1) == ["broker_timeout", "broker_timeout"]
    assert producer.calls == ["init", "begin", "0", "commit", "abort"]


def test_after_a_refusal_records_are_stored_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    producer = ProducerOf(refusal, None, refusal, None)

    assert stored_by(producer, monkeypatch, 2) == [None, "broker_rejected", None]
    assert producer.calls == [
        *("init", "begin", "0", "1", "commit", "abort"),
        *("begin", "0", "commit", "begin", "1", "commit", "abort"),
        *("begin", "late", "commit"),
    ]


def test_a_record_that_is_refused_fails_alone(mock_cluster: MockCluster, topic: str) -> None:
    async def test() -> list[Any]:
        sink = TransactionalSink({"bootstrap.servers": mock_cluster.servers, "message.max.bytes": 2000}, topic)
        acks = Acks()
        await sink.open()
        for value in (b"{}", b'"' + b"x" * 4000 + b'"', b"[]"):
            assert sink.submit(Message(topic, value, None, 5, []), acks) is None
        await sink.drain(asyncio.get_running_loop().time() + PATIENCE_S)
        await sink.close()
        return [error and sink.classify(error) for error in acks.errors]

    assert asyncio.run(test()) == [None, "event_too_large", None]


def test_brokers_that_are_away_end_the_command_with_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reader, "ASK_S", 0.2)
    with dead_servers() as servers, (tmp_path / "out").open("wb") as out, pytest.raises(PenstockError) as failed:
        reader.read({"bootstrap.servers": servers}, ["t"], 0, out)

    assert "topics cannot be read" in str(failed.value)
