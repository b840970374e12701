"""The Flink runner in a cluster: kills of a task manager and of the broker, and a stop with a savepoint."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from pathlib import Path

import pytest

from processors.page_change.oracle.inputs import Arrival, Inputs
from processors.page_change.oracle.kafka import Topics
from processors.page_change.oracle.run import history_of, verdict_on
from processors.page_change.records import Output
from tests.harness.broker import Kafka
from tests.kafka.fixtures import have_kafka
from tests.processors.page_change.events import NAMES
from tests.processors.page_change.flink_cluster import WAIT_S, FlinkCluster

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow(reason="starts a broker and a Flink cluster"),
    pytest.mark.timeout(3_600),  # Java starts nine times.
]
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def no_other_deadline() -> None:
    """The mark above is the deadline: that of faulthandler would leave the processes behind."""
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def broker(tmp_path: Path, flink_python: str) -> Iterator[Kafka]:
    """A broker of its own, to be killed; none is started where Flink is missing."""
    have_kafka()
    found = Kafka(tmp_path)
    found.start(WAIT_S)
    yield found
    found.stop()


@pytest.fixture
def cluster(tmp_path: Path, flink_python: str, flink_jars: list[str]) -> Iterator[FlinkCluster]:
    """A job manager and two task managers."""
    directory = tmp_path / "flink"
    directory.mkdir()
    with FlinkCluster(directory, flink_python, flink_jars) as found:
        yield found


def part(inputs: Inputs, of: float, to: float) -> dict[str, list[Arrival]]:
    """A part of what each data centre has sent; the first one has all of the centre with a single event."""
    shares = {centre: (of, to) if len(records) > 1 else (0, 1 - bool(of)) for centre, records in inputs.centres.items()}
    return {
        centre: records[int(len(records) * shares[centre][0]) : int(len(records) * shares[centre][1])]
        for centre, records in inputs.centres.items()
    }


def common_end(records: dict[str, list[Arrival]]) -> int:
    """The newest time that every data centre has reached."""
    return min(max(one.at for one in found) for found in records.values() if len(found) > 1)


def emitted(topics: Topics) -> list[Output]:
    return [one for one in topics.outputs() if one.stream == NAMES.output]


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_kills_in_the_middle_and_a_savepoint_lose_nothing(
    tmp_path: Path, broker: Kafka, cluster: FlinkCluster, delivery: str
) -> None:
    wiki, inputs = history_of(36, 120)
    topics = Topics(broker.servers)
    config = topics.settings(
        tmp_path,
        flink={
            "checkpoint_s": 2,
            "checkpoint_path": (tmp_path / "checkpoints").as_uri(),
            "delivery": delivery,
            "idleness_s": 3_600,
        },
    )
    first = part(inputs, 0, 0.4)
    topics.produce(first)
    topics.produce_canaries(common_end(first))
    job = cluster.submit(config)
    cluster.until(lambda: len(emitted(topics)) > 30)

    job = cluster.submit(config, cluster.stop(job))
    topics.produce(part(inputs, 0.4, 0.7))
    cluster.kill_manager_of(job)
    cluster.start_manager()
    cluster.until_running(job, restarts=1)
    completed = cluster.checkpoints(job)
    cluster.until(lambda: cluster.checkpoints(job) > completed)

    broker.kill()
    broker.start(WAIT_S)
    topics.produce(part(inputs, 0.7, 1))
    topics.produce_canaries(max(one.at for records in inputs.centres.values() for one in records) + HOUR_MS)
    seen: dict[bytes, Output] = {}

    def is_whole() -> bool:
        seen.clear()
        for one in topics.outputs():
            seen.setdefault(one.value, one)
        return verdict_on(wiki, inputs, list(seen.values())).lost == 0

    cluster.until(is_whole)
    outputs = topics.outputs()
    report = verdict_on(wiki, inputs, outputs if delivery == "exactly-once" else list(seen.values()))
    print(f"{delivery}: {len(outputs)} records, {len(outputs) - len(seen)} repeated, {report}")

    assert report.is_good, report
