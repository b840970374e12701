"""The Flink runner: Kafka → the functions → Kafka, for inputs and states beyond one machine.

Place: command, deploy/flink → HERE → flink.functions.
Rules: one source for each input stream, with parallelism 1, so that watermarks are kept per partition inside it. Each
operator has an identifier that never changes: savepoints are found by it. Python runs in the threads of the task
manager; one slot per task manager, because they share one interpreter lock.
Not here: the order (page), the settings (settings).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pyflink.common import Configuration, Duration, Row, WatermarkStrategy
from pyflink.common.serialization import ByteArraySchema
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

from processors.page_change.catalog import Catalog
from processors.page_change.flink.functions import UNDERSTOOD, WRITTEN, KeepPage, Understand
from processors.page_change.limits import FRAME_BYTES, most_bytes
from processors.page_change.settings import PageChangeSettings
from server.catalog.topics import effective
from server.errors import SettingsError

GROUP: Final = "penstock-page-change"
NAME: Final = "penstock-page-change"
REQUEST_BYTES: Final = 1_048_576  # The default of max.request.size.
DISCOVER_EVERY_MS: Final = 10_000
TRANSACTION_MS: Final = 900_000  # The most that a broker allows by default; Flink's own default of an hour is refused.


def run(config: Path, settings: PageChangeSettings, catalog: Catalog, *, once: bool, stays: bool = True) -> None:
    """Run the job, here in a cluster of its own, or in the one that submits it. ``once``: to the ends of the inputs.
    ``stays``: return when the job ends; its cluster, if it is one of its own, ends with this process. Raises
    SettingsError."""
    properties = catalog.generation.config.sink.kafka
    if catalog.generation.config.sink.kind != "kafka":
        raise SettingsError("the Flink runner reads and writes Kafka: set sink.kind to kafka in the intake's settings")
    most = most_bytes(settings, catalog)
    env = StreamExecutionEnvironment.get_execution_environment(_configuration(settings, once=once))
    env.set_parallelism(settings.flink.parallelism)
    tables = StreamTableEnvironment.create(env)
    understood = _understood(env, settings, catalog, most, {**properties, **settings.kafka}, once=once)
    pages = (
        understood.filter(lambda row: row[0] == "")
        .name("drafts")
        .uid("drafts")
        .key_by(lambda row: f"{row[1]}/{row[2]}")
        .process(KeepPage(config, settings, most), WRITTEN)
        .name("pages")
        .uid("pages")
    )
    errors = (
        understood.filter(lambda row: row[0] != "")
        .name("errors")
        .uid("errors")
        .map(_error_row, WRITTEN)
        .name("error rows")
        .uid("error-rows")
    )
    _write(tables, pages.union(errors), settings, catalog, {**java_properties(properties), **_sizes(most)})
    done = env.execute_async(NAME)
    if stays:
        done.get_job_execution_result().result()


def _error_row(row: Row) -> Row:
    return Row(row[0], row[1], row[2], row[3], row[5])


def _configuration(settings: PageChangeSettings, *, once: bool) -> Configuration:
    # Java starts `python` by this name to look for its modules, with the PATH that it was started with.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = Configuration()  # Starts Java.
    flink = settings.flink
    chosen = {
        "python.execution-mode": "thread",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "taskmanager.numberOfTaskSlots": str(flink.parallelism),
        "execution.checkpointing.interval": f"{round(flink.checkpoint_s * 1000)}ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "state.backend.type": "rocksdb",
        "restart-strategy.type": "none" if once else "exponential-delay",
        "execution.checkpointing.incremental": "true",
    }
    if flink.checkpoint_path:
        chosen["execution.checkpointing.dir"] = flink.checkpoint_path
    if flink.jars:
        chosen["pipeline.jars"] = ";".join(Path(jar).absolute().as_uri() for jar in flink.jars)
    for name, value in chosen.items():
        found.set_string(name, value)
    return found


def _understood(
    env: StreamExecutionEnvironment,
    settings: PageChangeSettings,
    catalog: Catalog,
    most: dict[str, int],
    properties: Mapping[str, object],
    *,
    once: bool,
) -> DataStream:
    """Return the stream of drafts and errors of all inputs."""
    marks = WatermarkStrategy.for_bounded_out_of_orderness(
        Duration.of_millis(settings.bounds.disorder_ms)
    ).with_idleness(Duration.of_millis(round(settings.flink.idleness_s * 1000)))
    found: list[DataStream] = []
    for name in sorted(settings.inputs):
        stream = catalog.generation.snapshot.find(name)
        assert stream is not None
        pattern = "|".join(topic.replace(".", "\\.") for topic in effective(stream.settings, name))
        source = (
            KafkaSource.builder()
            .set_topic_pattern(pattern)
            .set_group_id(GROUP)
            .set_starting_offsets(KafkaOffsetsInitializer.earliest())
            .set_value_only_deserializer(ByteArraySchema())
            .set_property("isolation.level", "read_committed")
            .set_property("partition.discovery.interval.ms", "-1" if once else str(DISCOVER_EVERY_MS))
        )
        for key, value in java_properties(properties).items():
            source = source.set_property(key, value)
        if once:
            source = source.set_bounded(KafkaOffsetsInitializer.latest())
        one = env.from_source(source.build(), marks, name).set_parallelism(1).uid(f"source {name}")
        found.append(one.process(Understand(settings, most), UNDERSTOOD).set_parallelism(1).name(f"understand {name}"))
        found[-1].uid(f"understand {name}")
    return found[0].union(*found[1:])


def java_properties(properties: Mapping[str, object]) -> dict[str, str]:
    """Return the properties of librdkafka that Java's clients have under the same name, and the address of brokers."""
    found = {}
    for name, value in properties.items():
        if name in ("bootstrap.servers", "metadata.broker.list"):
            found["bootstrap.servers"] = str(value)
        elif name in ("security.protocol", "sasl.mechanism", "sasl.jaas.config", "client.id") or name.startswith(
            ("ssl.truststore.", "ssl.keystore.")
        ):
            found[name] = str(value)
    return found


def _sizes(most: Mapping[str, int]) -> dict[str, str]:
    """Let Java's producer, which looks at the size before compression, take every record that the functions let by."""
    return {"max.request.size": str(max(*most.values(), REQUEST_BYTES) + FRAME_BYTES)}


def _write(
    tables: StreamTableEnvironment,
    rows: DataStream,
    settings: PageChangeSettings,
    catalog: Catalog,
    properties: Mapping[str, str],
) -> None:
    """Attach a sink for each stream that is written. ``properties`` are those of Java's producer."""
    schema = (
        Schema.new_builder()
        .column("stream", DataTypes.STRING())
        .column("wiki_id", DataTypes.STRING())
        .column("page_id", DataTypes.BIGINT())
        .column("at", DataTypes.BIGINT())
        .column("body", DataTypes.STRING())
        .build()
    )
    tables.create_temporary_view("written", rows, schema)
    statements = tables.create_statement_set()
    for number, (stream, topic) in enumerate(sorted(catalog.topic_of.items())):
        has_key = stream != settings.error
        options = {
            "connector": "kafka",
            "topic": topic,
            "value.format": "raw",
            "sink.parallelism": "1",
            "sink.delivery-guarantee": settings.flink.delivery,
            **{f"properties.{name}": value for name, value in properties.items()},
        }
        if settings.flink.delivery == "exactly-once":
            # By the topic: a second processor on the same brokers must not fence the first one's transactions.
            options["sink.transactional-id-prefix"] = f"{NAME}-{topic}"
            options["properties.transaction.timeout.ms"] = str(TRANSACTION_MS)
        if has_key:
            options |= {"key.format": "json", "key.fields": "wiki_id;page_id", "value.fields-include": "EXCEPT_KEY"}
        columns = "wiki_id STRING, page_id BIGINT, " if has_key else ""
        with_ = ", ".join(f"'{_quoted(name)}' = '{_quoted(value)}'" for name, value in options.items())
        tables.execute_sql(
            f"CREATE TEMPORARY TABLE sink{number} ({columns}body STRING, "
            f"`at` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp') WITH ({with_})"
        )
        chosen = "wiki_id, page_id, " if has_key else ""
        statements.add_insert_sql(
            f"INSERT INTO sink{number} SELECT {chosen}body, TO_TIMESTAMP_LTZ(`at`, 3) FROM written "
            f"WHERE `stream` = '{_quoted(stream)}'"
        )
    statements.attach_as_datastream()


def _quoted(text: object) -> str:
    return str(text).replace("'", "''")
