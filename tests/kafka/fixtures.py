"""Fixtures: `kafka_broker` (real, one for the session), `mock_cluster` (one for the session), `topic` (a fresh name).

Rule: where no real Kafka can be had, tests that need it are skipped with the reason; with REQUIRE_KAFKA=1 they fail.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.harness.broker import Kafka, KafkaUnavailableError, MockCluster, fetch

_numbers = itertools.count()

# Several conftest files import these fixtures, and to pytest each import is a fixture of its own: one broker for all.
_nodes: list[Kafka] = []


def have_kafka() -> None:
    """Have what a node needs, or skip the test that asks for one."""
    try:
        fetch()
    except KafkaUnavailableError as missing:
        if os.environ.get("REQUIRE_KAFKA") == "1":
            pytest.fail(f"REQUIRE_KAFKA=1, but {missing}", pytrace=False)
        pytest.skip(f"no real Kafka: {missing}")


@pytest.fixture(scope="session")
def kafka_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """The one real Kafka of this run. Tests ask for `kafka_broker`."""
    if _nodes:
        yield _nodes[0]
        return
    have_kafka()
    kafka = Kafka(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    _nodes.append(kafka)
    yield kafka
    kafka.stop()
    _nodes.clear()


@pytest.fixture
def kafka_broker(kafka_node: Kafka, request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """A running Apache Kafka, given back running. Its log is shown when the test fails."""
    yield kafka_node
    request.node.add_report_section("teardown", "Kafka's log", kafka_node.log_tail())


@pytest.fixture(scope="session")
def mock_cluster() -> Iterator[MockCluster]:
    """Three mock brokers for the session. Do not hang or kill this one; make your own for that."""
    cluster = MockCluster()
    yield cluster
    cluster.kill()


@pytest.fixture
def topic() -> str:
    """A topic that nobody has used: brokers are shared by a session's tests."""
    return f"test.{os.getpid()}.{next(_numbers)}"
