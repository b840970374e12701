"""Make spans and export them to a collector: the only module that uses OpenTelemetry.

Place: tracing.sampled → HERE → a thread of the SDK → the collector, over HTTP.
Rules: the loop makes spans and never waits for them. A second thread exports them in batches and takes time from the
loop, so there may be only few (``tracing.max_per_s``). The number that the collector has not taken yet is bounded;
beyond it a span is dropped and counted. Attributes follow OpenTelemetry's semantic conventions for HTTP servers.
Not here: which requests have a span (tracing.sampled).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span as Span  # Exported: tracing.sampled names the type.
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.log import Limited
from server.timing.rate_limit import TokenBuckets
from server.version import VERSION

if TYPE_CHECKING:
    from server.config.tracing_settings import TracingSettings as Settings

BATCH_S: Final = 1.0  # How long a span waits for others to leave with it.
CLOSE_S: Final = 1.0  # How long a worker waits for the collector at its end.

_logger = logging.getLogger("tracing")
_limited = Limited(_logger)


class Spans:
    """Makes, exports and counts the spans of one worker."""

    def __init__(self, settings: Settings, endpoint: str, service_name: str, slot: int) -> None:
        self._endpoint = endpoint
        self._max_queued = settings.max_queued
        self._buckets = TokenBuckets(settings.max_per_s, ceil(settings.max_per_s), max_entries=1)
        self._trouble = _Trouble()
        self._exporter = _Counted(OTLPSpanExporter(endpoint))
        if self._trouble.said:
            _logger.warning("OpenTelemetry: %s", self._trouble.said)
        self._processor = BatchSpanProcessor(
            self._exporter, max_queue_size=settings.max_queued, schedule_delay_millis=BATCH_S * 1000,
            max_export_batch_size=min(512, settings.max_queued),
        )  # fmt: skip
        instance = f"{socket.gethostname()}/{slot}"
        named = {"service.name": service_name, "service.version": VERSION, "service.instance.id": instance}
        provider = TracerProvider(resource=Resource.create(named), sampler=ALWAYS_ON, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("penstock", VERSION)
        self._propagator = TraceContextTextMapPropagator()
        self._ended = 0
        self._dropped = 0
        self._failed_said = 0

    def begin(self, method: bytes, path: str, headers: Mapping[bytes, bytes], body_bytes: int) -> Span | None:
        """Begin a span in the trace that the headers name, or in a new one. None: too many, or none are wanted."""
        if not self._has_room() or self._buckets.take("", time.monotonic()):
            self._dropped += 1
            return None
        name = method.decode()
        attributes: dict[str, str | int] = {
            "http.request.method": name,
            "http.route": path,
            "url.path": path,
            "url.scheme": "http",
            "http.request.body.size": body_bytes,
        }
        span = self._tracer.start_span(f"{name} {path}", self._parent(headers), SpanKind.SERVER, attributes)
        return span if span.is_recording() else None  # OTEL_SDK_DISABLED

    def traceparent(self, span: Span) -> bytes:
        """Return the ``traceparent`` that names this span as parent."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span, Context()))
        return carrier["traceparent"].encode()

    def end(self, span: Span, status: int, request_id: str) -> None:
        """End the span with its request's ``status`` and identity; "": the answer has none."""
        if not self._has_room():
            self._dropped += 1
            return
        span.set_attribute("http.response.status_code", status)
        if request_id:
            span.set_attribute("http.response.header.x-request-id", [request_id])
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))
        self._ended += 1
        span.end()

    def counts(self) -> tuple[int, int, int]:
        """Return the numbers of spans that were exported, that the collector did not take, and that had no room."""
        return self._exporter.exported, self._exporter.failed, self._dropped

    def look(self) -> None:
        """Log the spans that the collector has not taken since the last call."""
        failed = self._exporter.failed
        if failed > self._failed_said:
            more, self._failed_said = failed - self._failed_said, failed
            _limited.warning("export", "%d spans were not accepted by %s: %s", more, self._endpoint, self._trouble.said)

    async def close(self, deadline: float) -> None:
        """Send the remaining spans, for at most CLOSE_S and until ``loop.time()`` = deadline; the rest is lost."""
        loop = asyncio.get_running_loop()
        deadline = min(deadline, loop.time() + CLOSE_S)
        closing = threading.Thread(target=self._processor.shutdown, daemon=True)  # It waits for the collector.
        closing.start()
        while closing.is_alive() and loop.time() < deadline:  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.01)
        self._dropped += self._waiting()

    def _has_room(self) -> bool:
        return self._waiting() < self._max_queued

    def _waiting(self) -> int:
        return self._ended - self._exporter.exported - self._exporter.failed

    def _parent(self, headers: Mapping[bytes, bytes]) -> Context:
        given = headers.get(b"traceparent", b"")  # The tracestate is left out: it may be any text.
        return self._propagator.extract({"traceparent": given.decode("latin-1")}, Context())


class _Counted(SpanExporter):
    """Wraps an exporter and counts its spans. It runs on the thread of the SDK."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch. Returns when the collector has answered or the exporter gives up."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            if result is SpanExportResult.SUCCESS:
                self.exported += len(spans)
            else:
                self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Stop trying."""
        self._exporter.shutdown()


class _Trouble(logging.Handler):
    """Catches the log lines of the SDK, which come several per batch; ``said`` is the last one, for our own log."""

    def __init__(self) -> None:
        super().__init__()
        self.said = ""
        theirs = logging.getLogger("opentelemetry")
        theirs.addHandler(self)
        theirs.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.said = record.getMessage()
