"""Fixtures of this folder."""

from tests.kafka.fixtures import mock_cluster, topic

__all__ = ["mock_cluster", "topic"]
