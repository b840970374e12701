"""The same tests on every sink: `case` is each of them in turn."""

from pathlib import Path

import pytest

from tests.contract.sinks import LOCAL, Case, KafkaCase
from tests.kafka.fixtures import kafka_broker, kafka_node, mock_cluster, topic

__all__ = ["case", "kafka_broker", "kafka_node", "mock_cluster", "topic"]


@pytest.fixture(params=[*LOCAL, "kafka-mock", pytest.param("kafka-real", marks=pytest.mark.kafka)])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    kind = request.param
    if kind in LOCAL:
        return LOCAL[kind](tmp_path / "events")
    broker = request.getfixturevalue("mock_cluster" if kind == "kafka-mock" else "kafka_broker")
    return KafkaCase(broker.servers)
