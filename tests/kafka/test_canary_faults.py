"""Faults between the intake and a real Kafka, and how a canary names them."""

from __future__ import annotations

import http.client
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.harness.broker import Kafka
from tests.harness.served import Served
from tests.harness.site import Behaviour, Site, body
from tests.harness.topics import create
from tests.process.test_canary import canary, url_of

STREAM = "shop.order"
ONE = ("--stream", STREAM)
SHORT = ("--set", "canary.roundtrip_s=15", "--set", "canary.request_s=10")


def settings(kafka: Kafka, prefix: str) -> dict[str, Any]:
    own = {"bootstrap.servers": kafka.servers, "message.timeout.ms": 4000, "allow.auto.create.topics": False}
    return {"workers": 1, "sink": {"kind": "kafka", "topic_prefix": prefix, "kafka": own}}


def then_hang(service: Served, kafka: Kafka) -> Behaviour:
    """Pass a request on, and stop the broker before the answer is passed back."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
            connection.request("POST", handler.path, getattr(handler, "sent", b""))
            with connection.getresponse() as response:
                said = response.read()
                kafka.hang()
                body(said, status=response.status)(handler)

    return answer


@pytest.mark.kafka
def test_a_canary_comes_back_from_kafka_and_a_lost_or_unread_one_is_named(
    kafka_broker: Kafka, topic: str, tmp_path: Path
) -> None:
    prefix = f"{topic}."
    create(kafka_broker.servers, prefix + STREAM)
    with Served(tmp_path, **settings(kafka_broker, prefix)) as service, Site() as site:
        assert canary(service.settings_file, "once", *ONE, target=url_of(service.address))[0] == 0

        site.otherwise = body("", status=201)
        code, (line,) = canary(service.settings_file, "once", *ONE, *SHORT, target=site.url())
        assert (code, line["stage"]) == (1, "kafka")
        assert "answered 201, but the event is not in the topic" in line["detail"]

        site.otherwise = then_hang(service, kafka_broker)
        try:
            code, (line,) = canary(service.settings_file, "once", *ONE, *SHORT, target=site.url())
        finally:
            kafka_broker.go_on()
        assert (code, line["stage"]) == (1, "consumer")
        assert line["detail"].startswith("accepted, but ")


@pytest.mark.kafka
def test_a_topic_that_does_not_exist_is_a_fault_of_kafka(kafka_broker: Kafka, topic: str, tmp_path: Path) -> None:
    with Served(tmp_path, **settings(kafka_broker, f"{topic}.gone.")) as service:
        code, (line,) = canary(service.settings_file, "once", *ONE, *SHORT, target=url_of(service.address))

    assert (code, line["stage"]) == (1, "kafka")
    assert "the topic does not exist" in line["detail"]
