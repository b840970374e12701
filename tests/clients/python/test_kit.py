"""What the package brings for programs around it: the test kit, metrics, the validator."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from penstock_client import AsyncIntake, Intake
from penstock_client.metrics import PrometheusCollector, observe_with_opentelemetry
from penstock_client.testing import Captured, Fault, FaultServer, MemoryIntake
from penstock_client.validation import Validator
from tests.clients.python.conftest import EVENT, STREAM

pytest_plugins = ("penstock_client.pytest_plugin",)


def test_the_fixture_captures_every_client(penstock_events: Captured) -> None:
    async def main() -> None:
        async with AsyncIntake("http://intake.invalid") as intake:
            assert (await intake.submit(STREAM, EVENT | {"page": "/async"})).is_sent

    with Intake("http://intake.invalid") as intake:
        intake.submit(STREAM, EVENT)
        assert intake.submit_now(STREAM, EVENT, timeout=60).is_sent
    asyncio.run(main())

    assert penstock_events.expect(STREAM, {"page": "/async", "meta": {"stream": STREAM}})["page"] == "/async"
    penstock_events.expect(STREAM, lambda event: event["page"] == "/", times=2)
    penstock_events.none("shop.order")
    with pytest.raises(AssertionError, match=r"2 such events of web\.page_view instead of 1"):
        penstock_events.expect(STREAM, {"page": "/"})
    with pytest.raises(AssertionError):
        penstock_events.none(STREAM)


def test_a_memory_intake_keeps_what_it_would_send() -> None:
    with MemoryIntake() as intake:
        intake.submit(STREAM, EVENT)
        intake.flush()

    assert intake.sent.expect(STREAM)["$schema"] == EVENT["$schema"]


def test_prometheus_gets_all_numbers(faulty: FaultServer) -> None:
    faulty.faults.append(Fault(entries={0: "schema_violation"}))
    intake = Intake(faulty.url)
    intake.submit(STREAM, EVENT)
    intake.submit(STREAM, {})
    intake.close(60)
    samples = {
        (sample.name, sample.labels.get("reason"), sample.labels.get("le")): sample.value
        for family in PrometheusCollector(intake).collect()
        for sample in family.samples
    }

    assert samples["penstock_client_submitted_total", None, None] == 2
    assert samples["penstock_client_rejected_total", "schema_violation", None] == 1
    assert samples["penstock_client_dropped_total", "no_schema", None] == 1
    assert samples["penstock_client_request_seconds_bucket", None, "+Inf"] == 1
    assert samples["penstock_client_queued_events", None, None] == 0


def test_opentelemetry_gets_them_too(faulty: FaultServer) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    intake = Intake(faulty.url)
    observe_with_opentelemetry(intake, provider.get_meter("test"))
    intake.submit(STREAM, EVENT)
    intake.submit(STREAM, {})
    intake.close(60)
    gathered: Any = reader.get_metrics_data()
    points = {
        (metric.name, point.attributes.get("reason")): point.value
        for resource in gathered.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    provider.shutdown()

    assert points["penstock_client.sent", None] == 1
    assert points["penstock_client.dropped", "no_schema"] == 1
    assert points["penstock_client.queued_events", None] == 0


@pytest.mark.parametrize(
    ("event", "place"),
    [
        (EVENT, None),
        (EVENT | {"load_ms": 1.0}, None),
        (EVENT | {"page": "😀" * 2048}, None),
        (EVENT | {"page": "x" * 2049}, "/page"),
        (EVENT | {"load_ms": 1.5}, "/load_ms"),
        (EVENT | {"load_ms": -1}, "/load_ms"),
        (EVENT | {"visit": "UPPER CASE"}, "/visit"),
        (EVENT | {"dt": "yesterday"}, "/dt"),
        (EVENT | {"referrer": "no uri %%"}, "/referrer"),
        (EVENT | {"more": 1}, "the event"),
        ({"$schema": EVENT["$schema"]}, "the event"),
    ],
)
def test_the_validator_and_the_service_agree(event: dict[str, Any], place: str | None, url: str) -> None:
    with Intake(url) as intake:
        verdict = intake.submit_now(STREAM, event, timeout=60)
    with Intake(url, validator=Validator(url)) as checked:
        found = checked.submit(STREAM, event)
        checked.flush(60)

    assert verdict.is_sent == (place is None)
    assert found.outcome.is_sent == verdict.is_sent
    if place is not None:
        assert found.outcome.reason == "invalid" and place in (found.outcome.detail or "")


def test_an_event_whose_schema_is_not_known_is_left_to_the_service(url: str) -> None:
    assert Validator(url)({"$schema": "/no/such/1.0.0"}) is None
    assert Validator("http://127.0.0.1:9")(EVENT) is None
