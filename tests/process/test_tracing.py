"""Spans of a served intake: what a collector gets, what consumers are told, and that nobody waits for any of it."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.served import Served
from tests.process.fetched import tick
from tests.process.scraped import Scrape
from tests.server.tracing.collector import Collector

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STREAM = "app.tick.web"


@contextmanager
def served(directory: Path, collector: Collector, profile: str = "internal", **tracing: Any) -> Iterator[Served]:
    """A service that traces."""
    settings = {"endpoint": collector.endpoint} | tracing
    with Served(directory, profile=profile, workers=1, tracing=settings) as service:
        yield service


def post(service: Served, body: Any, path: str = "/v1/events", **headers: str) -> int:
    """The status of the answer."""
    return post_again(service, 1, body, path, **headers)[0]


def post_again(service: Served, times: int, body: Any, path: str = "/v1/events", **headers: str) -> list[int]:
    """The same on one connection, again and again."""
    statuses = []
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        for _ in range(times):
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
            with connection.getresponse() as answer:
                answer.read()
            statuses.append(answer.status)
    return statuses


def spans(service: Served, outcome: str) -> float:
    return Scrape.of(service).value("penstock_spans_total", outcome=outcome)


def test_a_caller_that_samples_finds_our_span_between_its_own_and_those_of_consumers(tmp_path: Path) -> None:
    with Collector() as collector, served(tmp_path, collector, ratio=0.0) as service:
        for flags in ("01", "00"):
            assert post(service, tick(STREAM), traceparent=f"00-{TRACE}-{PARENT}-{flags}") == 201
        assert post(service, tick(STREAM)) == 201
        assert post(service, {}, traceparent=f"00-{TRACE}-{PARENT}-01", **{"X-Request-Id": "mine"}) == 400
        service.until(lambda: len(collector.taken) == 2)
        told = [event["headers"].get("traceparent") for event in service.events(STREAM)]
        service.until(lambda: spans(service, "exported") == 2)

    first, second = collector.taken
    assert (first.span.trace_id.hex(), first.span.parent_span_id.hex()) == (TRACE, PARENT)
    assert told == [f"00-{TRACE}-{first.span.span_id.hex()}-01", f"00-{TRACE}-{PARENT}-00", None]
    assert first.span.name == "POST /v1/events"
    assert first.attributes["http.response.status_code"] == 201
    assert second.attributes["http.response.status_code"] == 400
    assert second.attributes["http.response.header.x-request-id"] == ["mine"]
    assert first.resource["service.name"] == "penstock"


def test_requests_of_one_head_each_have_their_own_span(tmp_path: Path) -> None:
    """What was worked out from a head is kept for the next request with it, but not what a span adds."""
    with Collector() as collector, served(tmp_path, collector, max_per_s=3.0) as service:
        statuses = post_again(service, 10, tick(STREAM), traceparent=f"00-{TRACE}-{PARENT}-01")
        told = [event["headers"]["traceparent"] for event in service.events(STREAM)]
        service.until(lambda: spans(service, "exported") + spans(service, "dropped") == 10)

    ours = [f"00-{TRACE}-{one.span.span_id.hex()}-01" for one in collector.taken]
    assert statuses == [201] * 10
    assert 3 <= len(set(ours)) == len(ours)
    assert sorted(told) == sorted([*ours, *[f"00-{TRACE}-{PARENT}-01"] * (10 - len(ours))])


def test_without_a_caller_chance_decides_and_a_drain_sends_what_is_left(tmp_path: Path) -> None:
    with Collector() as collector, served(tmp_path, collector, ratio=1.0) as service:
        for path in ("/v1/events?hasty=true", "/v1/validate", "/v1/beacon"):
            post(service, tick(STREAM), path)
        service.signal(signal.SIGTERM)

        assert service.exit_code() == 0
        assert [one.span.name for one in collector.taken] == ["POST /v1/events", "POST /v1/validate", "POST /v1/beacon"]
        assert {one.span.parent_span_id for one in collector.taken} == {b""}


def test_a_collector_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    with Collector() as collector, served(tmp_path, collector, ratio=1.0, max_queued=2) as service:
        collector.is_well.clear()
        assert [post(service, tick(STREAM)) for _ in range(10)] == [201] * 10
        service.until(lambda: spans(service, "dropped") == 8)
        service.signal(signal.SIGTERM)

        assert service.exit_code() == 0


def test_a_collector_that_refuses_is_said_once_and_counted(tmp_path: Path) -> None:
    with Collector(403) as collector, served(tmp_path, collector, ratio=1.0) as service:
        assert post(service, tick(STREAM)) == 201
        service.until(lambda: spans(service, "failed") == 1)
        service.says(rf"1 spans were not accepted by {collector.endpoint}: .*403")

        assert "opentelemetry" not in service.log()


def test_a_variable_that_opentelemetry_does_not_understand_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "tar")
    with Collector() as collector, served(tmp_path, collector) as service:
        service.says("OpenTelemetry: .*tar")


def test_strangers_do_not_decide(tmp_path: Path) -> None:
    with Collector() as collector, served(tmp_path, collector, profile="external", ratio=0.0) as service:
        post(service, tick(STREAM), traceparent=f"00-{TRACE}-{PARENT}-01")
        service.signal(signal.SIGTERM)

        assert service.exit_code() == 0
        assert collector.taken == []
