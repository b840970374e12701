"""Warnings of librdkafka are logged once per kind and ten seconds, because each reader without a broker has many."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from eventstreams.sources import kafka
from server import log
from server.log import LINE_EVERY_S, Limited


def test_a_kind_of_warning_is_logged_once_and_the_others_are_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    monkeypatch.setattr(log, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(kafka, "_limited", Limited(logging.getLogger("eventstreams.kafka")))
    caplog.set_level(logging.DEBUG, "eventstreams.kafka")
    lines = kafka._Lines()
    for number in range(5):
        lines.log(logging.ERROR, "%s", "FAIL", "rdkafka#consumer-1", f"connection {number} refused")
    lines.log(logging.WARNING, "%s", "MAXPOLL", "rdkafka#consumer-1", "another kind")
    now[0] += LINE_EVERY_S
    lines.log(logging.ERROR, "%s", "FAIL", "rdkafka#consumer-2", "connection 5 refused")

    assert [(record.getMessage(), record.__dict__["unsaid"]) for record in caplog.records] == [
        ("librdkafka: connection 0 refused", 0),
        ("librdkafka: another kind", 0),
        ("librdkafka: connection 5 refused", 4),
    ]


def test_lines_that_are_no_warnings_are_logged_as_they_come(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "eventstreams.kafka")
    for number in range(3):
        kafka._Lines().log(logging.INFO, "%s", "FAIL", "rdkafka#consumer-1", f"line {number}")

    assert [record.getMessage() for record in caplog.records] == [f"librdkafka: line {number}" for number in range(3)]
    assert {record.levelno for record in caplog.records} == {logging.INFO}


def test_errors_of_consumers_are_limited_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(kafka, "_limited", Limited(logging.getLogger("eventstreams.kafka")))
    for _ in range(3):
        kafka._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))

    assert len(caplog.records) == 1
    assert "a consumer says" in caplog.text
