"""Asking for the limits of topics leaves nothing behind, whether they are told or not."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from server.sink.kafka.limits import small_topics
from soak.brokers import Mock
from tests.harness.running import eventually


@pytest.fixture
def brokers() -> Iterator[Mock]:
    """Their kind does not know the question, and says so."""
    mock = Mock()
    mock.create(["t"])
    yield mock
    mock.stop()


def open_things() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


@pytest.mark.parametrize("is_there", [True, False], ids=["answers", "away"])
def test_no_descriptor_and_no_thread_is_left_without_the_collector(brokers: Mock, is_there: bool) -> None:
    properties = {
        "bootstrap.servers": brokers.servers if is_there else "127.0.0.1:9",
        "message.max.bytes": "1000000",
    }
    gc.collect()
    gc.disable()
    try:
        before = open_things()
        for _ in range(3):
            assert small_topics(["t"], properties) == set()
        eventually(lambda: open_things() <= before)
    finally:
        gc.enable()
