"""Fixtures of this folder: a broker with topics, and a Python with Flink."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from processors.page_change.oracle.kafka import Topics
from tests.harness.broker import Kafka
from tests.harness.running import ROOT
from tests.kafka.fixtures import kafka_broker, kafka_node

__all__ = ["flink_jars", "flink_python", "kafka_broker", "kafka_node", "topics"]


@pytest.fixture
def topics(kafka_broker: Kafka) -> Iterator[Topics]:
    """Topics of their own."""
    made = Topics(kafka_broker.servers)
    yield made
    made.delete()


def missing(what: str) -> None:
    """Skip the test for want of something, or fail it."""
    if os.environ.get("REQUIRE_FLINK") == "1":
        pytest.fail(f"REQUIRE_FLINK=1, but {what}", pytrace=False)
    pytest.skip(f"no Flink: {what}")


@pytest.fixture(scope="session")
def flink_python() -> str:
    """A Python that has penstock[flink]: that of FLINK_PYTHON, or this one."""
    python = os.environ.get("FLINK_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import pyflink, orjson, confluent_kafka"], capture_output=True, timeout=120)
    if found.returncode:
        missing(f"{python} has no pyflink; FLINK_PYTHON names one that has penstock[flink]")
    return python


@pytest.fixture(scope="session")
def flink_jars() -> list[str]:
    """The jars that the Flink runner needs."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        missing("java or mvn is missing (Debian: openjdk-17-jre-headless, maven)")
    command = [str(ROOT / "deploy" / "flink" / "fetch")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    if done.returncode:
        missing(f"Maven cannot fetch the jars: {done.stderr[-300:]}")
    return done.stdout.split()
