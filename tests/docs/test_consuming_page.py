"""docs/CONSUMING.md: its command and its script read what an intake has sent to Kafka."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.docs.shell import blocks_of
from tests.harness.broker import MockCluster
from tests.harness.running import PATIENCE_S, ROOT, eventually
from tests.harness.served import Served

STARTER = ROOT / "server" / "examples" / "starter"
TEXT = (ROOT / "docs" / "CONSUMING.md").read_text("utf-8")
NAMES = ["Ada", "Grace"]

pytestmark = pytest.mark.slow(reason="a service and a mock cluster are started")


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster with two greetings, which an intake has sent."""
    cluster = MockCluster()
    settings: dict[str, Any] = {
        "workers": 1,
        "service_name": "my-intake",
        "schemas": {"base_uris": [str(STARTER / "schemas")]},
        "streams": {"sources": [str(STARTER / "streams.yaml")]},
        "sink": {"kind": "kafka", "kafka": {"bootstrap.servers": cluster.servers}},
    }
    try:
        with Served(tmp_path_factory.mktemp("intake"), **settings) as service:
            for name in NAMES:
                eventually(lambda: sent(service, name))  # noqa: B023  # It is called before the next round.
        yield cluster.servers
    finally:
        cluster.kill()


def sent(service: Served, name: str) -> bool:
    event = {"$schema": "/hello/greeting/1.0.0", "meta": {"stream": "hello.greeting"}, "name": name}
    host, port = service.address
    request = urllib.request.Request(
        f"http://{host}:{port}/v1/events", json.dumps(event).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return bool(answer.status == 201)
    except urllib.error.HTTPError as refused:
        if refused.code != 503:  # The broker may not be known yet.
            raise
        return False


def test_kcat_shows_key_headers_and_value(brokers: str) -> None:
    if not shutil.which("kcat"):
        pytest.skip("no kcat here (on Debian: apt install kcat)")
    (command,) = re.findall(r"^    (kcat .*)$", TEXT, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-c", command.replace("127.0.0.1:9092", brokers)], capture_output=True, text=True, timeout=PATIENCE_S
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]

    assert done.returncode == 0, done.stderr
    assert {json.loads(line[line.index("{") :])["name"] for line in lines} == set(NAMES)
    assert all("content-type=application/json,schema-uri=/hello/greeting/1.0.0" in line for line in lines)


def test_the_script_passes_over_duplicates(brokers: str, tmp_path: Path) -> None:
    """The second copy has the same meta.id, as one of a sender that got no answer."""
    (script,) = [text for kind, text in blocks_of("CONSUMING.md") if kind == "python"]
    (tmp_path / "greetings.py").write_text(script)
    for _ in range(2):
        produce(brokers, "late", "copied", partition=0)
    produce(brokers, "last", "after the copies", partition=0)
    with subprocess.Popen(
        [sys.executable, tmp_path / "greetings.py", brokers], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = [process.stdout.readline().strip() for _ in range(len(NAMES) + 2)]
        finally:
            process.kill()

    assert sorted(said) == sorted([*NAMES, "copied", "after the copies"])
    assert said.index("copied") < said.index("after the copies")


def produce(brokers: str, identifier: str, name: str, partition: int) -> None:
    event = {"$schema": "/hello/greeting/1.0.0", "meta": {"stream": "hello.greeting", "id": identifier}, "name": name}
    producer = Producer({"bootstrap.servers": brokers})
    producer.produce("hello.greeting", json.dumps(event).encode(), partition=partition)
    assert producer.flush(PATIENCE_S) == 0
