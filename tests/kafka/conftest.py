"""Fixtures of this folder."""

from tests.kafka.fixtures import kafka_broker, kafka_node, mock_cluster, topic

__all__ = ["kafka_broker", "kafka_node", "mock_cluster", "topic"]
