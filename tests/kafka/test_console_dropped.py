"""The console shows a hasty event that the broker refuses after the request was answered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.broker import Kafka
from tests.harness.consoled import CONSOLE, client_of, expected, page_view, send
from tests.harness.served import Served
from tests.harness.topics import create

pytestmark = pytest.mark.kafka


def test_an_event_that_is_lost_after_the_answer_is_shown_under_its_session(
    kafka_broker: Kafka, topic: str, tmp_path: Path
) -> None:
    create(kafka_broker.servers, f"{topic}.web.page_view", **{"max.message.bytes": "1500"})
    sink = {"kind": "kafka", "topic_prefix": f"{topic}.", "kafka": {"bootstrap.servers": kafka_broker.servers}}
    with Served(tmp_path, workers=1, sink=sink, console=CONSOLE) as service:
        large = page_view("/" + os.urandom(900).hex())  # It cannot be compressed.
        assert send(service.address, large, "/v1/events?hasty=true&test=late")[0] == 202
        answer = expected(service, where="test:late verdict:dropped", within_ms=60_000)
        (facts,) = (one["facts"] for one in answer["events"])
        opened = client_of(service).ask("GET", f"/events/{facts['seq']}")

    assert facts["request"] and facts["stream"] == "web.page_view"
    assert "status" not in facts
    assert opened["error"]["type"] == "event_too_large"
