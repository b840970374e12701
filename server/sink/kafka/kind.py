"""Kafka as a kind of sink.

Place: sink.kind → HERE → sink.kafka.producer, in the worker; config.kafka, in any process.
Rules: the master imports this file, so confluent_kafka is imported only where a sink is made. Settings that would break
a promise are refused here too, even if ``check`` was not called.
Not here: the properties (config.kafka).
"""

from __future__ import annotations

from pathlib import Path

from server.config.framework.breach import Breach
from server.config.kafka import files
from server.config.kafka import settings as kafka_settings
from server.config.kafka.rules import broken_promises
from server.config.sink_settings import SinkSettings
from server.errors import SettingsError
from server.sink.base import Sink
from server.sink.kind import Kind, Reading
from server.sink.watch import Tail, Watch


def _make(settings: SinkSettings, _base_dir: Path, _settle_s: float) -> Sink:
    """Make the sink. ``message.timeout.ms`` limits the time in which it settles, not ``settle_s``."""
    if problems := broken_promises(settings.kafka):
        raise SettingsError("\n".join(map(str, problems)))
    from server.sink.kafka.producer import KafkaSink

    return KafkaSink(
        settings.kafka,
        max_outstanding=settings.max_outstanding,
        max_outstanding_bytes=settings.max_outstanding_bytes,
        most_producers=settings.max_producers,
    )


def _describe(settings: SinkSettings, _base_dir: Path) -> str:
    prefix = f", topics begin with {settings.topic_prefix!r}" if settings.topic_prefix else ""
    servers = settings.kafka.get("bootstrap.servers", settings.kafka.get("metadata.broker.list", ""))
    return f"Kafka at {servers}{prefix}"


def _make_alone(settings: SinkSettings, name: str, _settle_s: float) -> Sink:
    if problems := broken_promises(settings.kafka):
        raise SettingsError("\n".join(map(str, problems)))
    from server.sink.kafka.transactional import TransactionalSink

    return TransactionalSink(settings.kafka, name)


def _read(settings: SinkSettings, _base_dir: Path, reading: Reading) -> None:
    if not reading.topics:
        raise SettingsError(
            "sink.kind is kafka: read the topics with a Kafka consumer, such as kcat or kafka-console-consumer"
        )
    from server.sink.kafka.reader import read

    read(settings.kafka, reading.topics, reading.since_ms, reading.out)


def _check(settings: SinkSettings) -> list[Breach]:
    return [
        Breach(
            ("sink", "kafka", problem.name) if problem.name else ("sink", "kafka"),
            problem.reason,
            problem.hint,
            problem.is_warning,
        )
        for problem in kafka_settings.check_apart(settings.kafka)
    ]


def _files_state(settings: SinkSettings) -> str:
    """Return the state of certificates and keys, which librdkafka reads once, when a producer is made."""
    return files.state(settings.kafka)


def _watch(settings: SinkSettings, _base_dir: Path) -> Watch:
    from server.sink.kafka.watch import KafkaWatch

    return KafkaWatch(settings.kafka)


def _tail(settings: SinkSettings, _base_dir: Path) -> Tail:
    from server.sink.kafka.tail import KafkaTail

    return KafkaTail(settings.kafka)


KIND = Kind(
    make=_make,
    describe=_describe,
    read=_read,
    check=_check,
    files_state=_files_state,
    watch=_watch,
    tail=_tail,
    reads_topics=True,
    make_alone=_make_alone,
)
