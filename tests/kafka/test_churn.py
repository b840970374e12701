"""A service whose processes are killed, told to drain and reloaded all the time, on a real Apache Kafka."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.harness.broker import Kafka
from tests.harness.served import Served
from tests.harness.topics import create, read_all
from tests.process.churn import CHURN_S, assert_kept, churn
from tests.process.load import STREAM


@pytest.mark.kafka
@pytest.mark.timeout(CHURN_S * 2 + 240)
def test_only_a_kill_breaks_connections_and_what_was_guaranteed_is_in_the_topic_once(
    kafka_broker: Kafka, topic: str, tmp_path: Path
) -> None:
    create(kafka_broker.servers, f"{topic}.{STREAM}")
    sink = {"kind": "kafka", "topic_prefix": f"{topic}.", "kafka": {"bootstrap.servers": kafka_broker.servers}}
    with Served(tmp_path, sink=sink, drain_s=30.0) as service:
        outcomes, kills = churn(service)
        service.signal(signal.SIGTERM)
        code = service.exit_code()

        stored = read_all(kafka_broker.servers, f"{topic}.{STREAM}")
        assert_kept(outcomes, kills, Counter(json.loads(kept.value)["count"] for kept in stored))
        assert code == 0
        assert "unexpected" not in service.log()
