"""Both runners between topics of a real Apache Kafka, judged by the oracle and compared with each other."""

from __future__ import annotations

import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer

from processors.page_change.embedded.store import NAME
from processors.page_change.oracle.inputs import Arrival
from processors.page_change.oracle.kafka import Topics
from processors.page_change.oracle.run import history_of, prepared, verdict_on
from processors.page_change.records import Output
from tests.harness.broker import Kafka, dead_servers
from tests.harness.running import Running, eventually
from tests.kafka.fixtures import have_kafka
from tests.processors.page_change.events import NAMES, T, event
from tests.processors.page_change.runs import events_read, limit, process

pytestmark = [pytest.mark.kafka, pytest.mark.slow(reason="starts a broker")]
LARGE_PAGE = 1 << 40


def by_page(outputs: list[Output]) -> dict[tuple[str, bytes | None], list[Output]]:
    found = defaultdict(list)
    for one in outputs:
        found[one.stream, one.key].append(one)
    return found


def test_the_embedded_runner_between_topics(topics: Topics, tmp_path: Path) -> None:
    wiki, inputs = history_of(31, 60)
    topics.produce(inputs.centres)

    process(sys.executable, topics.settings(tmp_path))
    outputs = topics.outputs()
    report = verdict_on(wiki, inputs, outputs)

    assert report.is_good, report
    assert report.emitted > 200


def test_after_a_kill_the_only_fault_is_that_some_changes_come_twice_with_the_same_bytes(
    topics: Topics, tmp_path: Path
) -> None:
    wiki, inputs = history_of(32, 400)
    topics.produce(inputs.centres)
    config = topics.settings(tmp_path, commit_events=50, commit_s=0.01)
    command = ["-m", "server", "process", "page-change", "-c", str(config), "--once"]
    with Running(command, tmp_path / "log") as one:
        eventually(lambda: events_read(tmp_path / "out" / NAME) > 500)
        one.signal(signal.SIGKILL)
        killed = one.exit_code()
    process(sys.executable, config)
    outputs = topics.outputs()
    seen: dict[bytes, Output] = {}
    repeated = [one for one in outputs if seen.setdefault(one.value, one) is not one]
    report = verdict_on(wiki, inputs, list(seen.values()))

    assert killed == -signal.SIGKILL
    assert report.is_good, report
    assert len(repeated) < len(outputs) / 2


def test_a_broker_that_is_killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    have_kafka()
    broker = Kafka(tmp_path)  # Its own: others use that of the session.
    broker.start()
    try:
        wiki, inputs = history_of(34, 300)
        topics = Topics(broker.servers)
        topics.produce(inputs.centres)
        config = topics.settings(tmp_path, commit_events=50, commit_s=0.01)
        command = ["-m", "server", "process", "page-change", "-c", str(config), "--once"]
        with Running(command, tmp_path / "log") as one:
            eventually(lambda: events_read(tmp_path / "out" / NAME) > 500)
            broker.kill()
            broker.start()
            ended = one.exit_code(120)
        report = verdict_on(wiki, inputs, topics.outputs())
    finally:
        broker.stop()

    assert ended == 0
    assert report.is_good, report


def test_term_ends_the_process_within_its_drain_time_while_the_broker_hangs(tmp_path: Path) -> None:
    have_kafka()
    broker = Kafka(tmp_path)  # Its own: others use that of the session.
    broker.start()
    try:
        wiki, inputs = history_of(35, 300)
        topics = Topics(broker.servers)
        topics.produce(inputs.centres)
        config = topics.settings(tmp_path, commit_events=50, commit_s=0.01, drain_s=1)
        command = ["-m", "server", "process", "page-change", "-c", str(config), "--once"]
        with Running(command, tmp_path / "log") as one:
            eventually(lambda: events_read(tmp_path / "out" / NAME) > 500)
            broker.hang()
            one.signal(signal.SIGTERM)
            ended = one.exit_code(60)  # Half of the time for which a record waits for its ack.
        broker.go_on()
        process(sys.executable, config)
        outputs = topics.outputs()
    finally:
        broker.stop()
    seen: dict[bytes, Output] = {}
    for other in outputs:
        seen.setdefault(other.value, other)
    report = verdict_on(wiki, inputs, list(seen.values()))

    assert ended == 0
    assert report.is_good, report


def test_records_of_an_open_transaction_hold_the_watermark_up(topics: Topics, tmp_path: Path) -> None:
    config = topics.settings(tmp_path, commit_s=0.1)
    (topic,) = [one for one in topics.read if one.endswith("eqiad.mediawiki.page-create")]
    producer = Producer({"bootstrap.servers": topics.servers, "transactional.id": topic})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, orjson.dumps(event("page-create", 1, 0, page_id=1)), "1", timestamp=T)
    producer.flush(30)
    topics.produce(
        {"codfw": [Arrival("mediawiki.page-create", T, 2, orjson.dumps(event("page-create", 2, 0, page_id=2)))]}
    )
    command = ["-m", "server", "process", "page-change", "-c", str(config), "--once"]
    with Running(command, tmp_path / "log") as one:
        eventually(lambda: events_read(tmp_path / "out" / NAME) >= 1)
        time.sleep(3)  # Of which every second would be enough to take the partition for read.
        waiting = topics.outputs()
        producer.commit_transaction(30)
        ended = one.exit_code()

    assert ended == 0
    assert waiting == []
    assert {found.stream for found in topics.outputs()} == {NAMES.output}
    assert len(topics.outputs()) == 2


def test_term_ends_a_process_that_no_broker_has_answered(tmp_path: Path) -> None:
    config = prepared(tmp_path, {})
    intake = orjson.loads((tmp_path / "intake.yaml").read_bytes())
    with dead_servers() as servers:
        intake["sink"] = {"kind": "kafka", "kafka": {"bootstrap.servers": servers}}
        intake["log"] = {"level": "info"}
        (tmp_path / "intake.yaml").write_bytes(orjson.dumps(intake))
        with Running(["-m", "server", "process", "page-change", "-c", str(config)], tmp_path / "log") as one:
            one.says("Connect to .* failed|Connection refused")
            one.signal(signal.SIGTERM)
            ended = one.exit_code(25)  # Less than the time after which it ends by itself.

    assert ended == 0


@pytest.mark.slow(reason="starts Flink")
def test_flink_writes_the_same_bytes_for_each_page(
    topics: Topics, tmp_path: Path, flink_python: str, flink_jars: list[str]
) -> None:
    wiki, inputs = history_of(33, 60)
    large = orjson.dumps(event("revision-create", 11, 1, page_id=LARGE_PAGE, comment="0123456789abcdef" * 400))
    inputs.centres["eqiad"].insert(0, Arrival("mediawiki.revision-create", T, LARGE_PAGE, large))
    topics.produce(inputs.centres)
    limit(topics, 4_000)
    config = topics.settings(tmp_path, flink={"jars": flink_jars, "checkpoint_s": 5})

    process(sys.executable, config)
    embedded = topics.outputs()
    process(flink_python, config, "--runner", "flink")
    both = by_page(topics.outputs())
    strict = {key: found for key, found in by_page(embedded).items() if key[0] == NAMES.output}
    first = {key: found for key, found in strict.items() if _page(key) not in inputs.late_pages}
    second = {key: found[len(strict.get(key, ())) :] for key, found in both.items()}

    errors = both[NAMES.error, None]

    assert len(first) > 30
    assert [one.value for one in errors] == [errors[0].value] * 2
    assert b"bytes with its key, and the topic of" in errors[0].value
    assert {key: second[key] for key in first} == first
    assert verdict_on(wiki, inputs, embedded).is_good


def _page(key: tuple[str, bytes | None]) -> int:
    assert key[1] is not None
    return int(key[1].rpartition(b":")[2][:-1])
