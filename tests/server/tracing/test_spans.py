"""Spans reach a collector, and what does not is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from server.config.tracing_settings import TracingSettings
from server.tracing.spans import Spans
from server.version import VERSION
from tests.harness.running import eventually
from tests.server.tracing.collector import Collector

HEADERS = {b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"tracestate": b"a=any text"}
FAR_S = 30.0


def close(spans: Spans, within_s: float = FAR_S) -> None:
    async def wait() -> None:
        await spans.close(asyncio.get_running_loop().time() + within_s)

    asyncio.run(wait())


@contextmanager
def sending(collector: Collector, **settings: float) -> Iterator[Spans]:
    """Spans for the collector, all of which have left at the end of the block, where it answers."""
    spans = Spans(TracingSettings(**settings), collector.endpoint, "test", 3)  # type: ignore[arg-type]
    yield spans
    close(spans)


def send(spans: Spans, status: int = 201, headers: dict[bytes, bytes] | None = None) -> bool:
    """Whether there was room for one."""
    span = spans.begin(b"POST", "/v1/events", headers or {}, 12)
    if span is not None:
        spans.end(span, status, "id-1")
    return span is not None


def test_a_span_says_what_was_asked_and_answered() -> None:
    began_ns = time.time_ns()
    with Collector() as collector, sending(collector) as spans:
        send(spans, 201, HEADERS)
        send(spans, 503)

    first, second = collector.taken
    assert (first.span.name, first.span.kind) == ("POST /v1/events", Span.SPAN_KIND_SERVER)
    assert first.span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert (first.span.parent_span_id.hex(), first.span.trace_state) == ("b7ad6b7169203331", "")
    assert began_ns <= first.span.start_time_unix_nano <= first.span.end_time_unix_nano <= time.time_ns()
    assert first.attributes == {
        "http.request.method": "POST",
        "http.request.body.size": 12,
        "http.response.status_code": 201,
        "http.response.header.x-request-id": ["id-1"],
        "http.route": "/v1/events",
        "url.path": "/v1/events",
        "url.scheme": "http",
    }
    assert first.span.status.code == Status.STATUS_CODE_UNSET
    assert second.span.status.code == Status.STATUS_CODE_ERROR
    assert second.attributes["error.type"] == "503"
    assert second.span.parent_span_id == b""
    assert second.span.trace_id != first.span.trace_id
    assert first.resource["service.name"] == "test"
    assert first.resource["service.version"] == VERSION
    assert first.resource["service.instance.id"].endswith("/3")


def test_consumers_are_told_of_our_span() -> None:
    with Collector() as collector, sending(collector) as spans:
        span = spans.begin(b"POST", "/v1/events", HEADERS, 0)
        assert span is not None
        told = spans.traceparent(span).decode()
        spans.end(span, 201, "")

    (taken,) = collector.taken
    assert told == f"00-0af7651916cd43dd8448eb211c80319c-{taken.span.span_id.hex()}-01"


def test_what_is_over_the_rate_is_dropped_and_counted() -> None:
    with Collector() as collector, sending(collector, max_per_s=0.001) as spans:
        seen = [send(spans) for _ in range(5)]

    assert seen == [True, False, False, False, False]
    assert spans.counts() == (1, 0, 4)


def test_what_waits_for_a_collector_that_hangs_is_bounded_and_nobody_waits_for_it() -> None:
    with Collector() as collector:
        collector.is_well.clear()
        spans = Spans(TracingSettings(max_queued=3, max_per_s=1000), collector.endpoint, "test", 0)
        late = spans.begin(b"POST", "/v1/events", {}, 0)
        seen = [send(spans) for _ in range(5)]
        assert late is not None
        spans.end(late, 201, "")  # There was room when it began.

        assert seen == [True, True, True, False, False]
        assert spans.counts() == (0, 0, 3)
        close(spans, within_s=0.0)
        assert spans.counts() == (0, 0, 6)


def test_what_a_collector_refuses_is_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with Collector(400) as collector, sending(collector) as spans:
        send(spans)
        send(spans)
        eventually(lambda: spans.counts() == (0, 2, 0), FAR_S)
        with caplog.at_level(logging.WARNING):
            spans.look()
            spans.look()

    (said,) = [record.getMessage() for record in caplog.records if record.name == "tracing"]
    assert said.startswith(f"2 spans were not accepted by {collector.endpoint}: ")
    assert "400" in said


def test_a_sdk_that_is_disabled_makes_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with Collector() as collector, sending(collector) as spans:
        assert not send(spans, 201, HEADERS)

    assert collector.taken == []
