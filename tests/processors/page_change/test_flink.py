"""The Flink runner in a cluster: a stop with a savepoint, and kills of a task manager, of the broker and of all."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.broker import Kafka
from tests.kafka.fixtures import have_kafka
from tests.processors.page_change.flink_cluster import WAIT_S, FlinkCluster
from tests.processors.page_change.flink_trial import DELIVERIES, tried

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow(reason="starts a broker and a Flink cluster"),
    pytest.mark.timeout(3_600),  # Java starts nine times.
]


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


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_kills_in_the_middle_and_a_savepoint_lose_nothing_and_change_no_byte(
    tmp_path: Path, broker: Kafka, cluster: FlinkCluster, delivery: str
) -> None:
    for trial in tried(tmp_path, broker, cluster, delivery, (36, 37), 60):
        print(trial)

        assert trial.is_good, trial
        assert trial.pages > 40
