"""Fixtures of this folder: a broker."""

from tests.kafka.fixtures import kafka_broker, kafka_node, topic

__all__ = ["kafka_broker", "kafka_node", "topic"]
