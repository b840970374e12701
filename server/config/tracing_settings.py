"""Define the settings of spans of sampled requests, for OpenTelemetry.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: checks of these settings against the machine and one another (config.checks.tracing_rules).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from server.config.framework.section import Count, Section, Text, says


class TracingSettings(Section, frozen=True):
    """Spans of sampled requests, sent to an OpenTelemetry collector. Needs `penstock[otel]`."""

    endpoint: Annotated[
        Text | None,
        says(
            "URL that accepts OTLP over HTTP: `http://127.0.0.1:4318/v1/traces`. Null: no spans, and no cost. Headers "
            "and certificates are those of `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_CERTIFICATE` and so on."
        ),
    ] = None
    ratio: Annotated[
        float, Meta(ge=0, le=1), says("Share of requests to sample, among those for which no caller has decided.")
    ] = 0.001
    follow_callers: Annotated[
        bool | None,
        says(
            "Whether the sampled flag of a request's `traceparent` decides in place of `ratio`. Null: yes, but no with "
            "`profile: external`, where unknown clients would decide what tracing costs."
        ),
    ] = None
    max_per_s: Annotated[
        float,
        Meta(gt=0, le=10_000),
        says("Most spans a second of one worker, on average, for all callers together; the rest are counted."),
    ] = 20.0
    max_queued: Annotated[
        Count, says("Most spans of one worker that wait for the collector; the rest are counted.")
    ] = 1_000
