"""Metrics of canaries.

Place: admin.canaries, by the view → HERE → metrics.table.
Rule: a metric is defined by its declaration alone. Without canaries in the settings none of them has a value.
Not here: what a stage means (docs/CANARIES.md), the state behind the numbers (canary.state).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.metrics.declare import FromHost, MetricGroup, Sample, gauge

if TYPE_CHECKING:
    from server.admin.canaries import CanaryView, Expected
    from server.admin.view import HostView


def _each(number: Callable[[Expected], float | None]) -> FromHost:
    """A source of one number for each stream and target that has it."""

    def read(view: HostView) -> list[Sample]:
        seen = view.canaries()
        expected = seen.expected if seen is not None else []
        numbers = [((one.check.stream, one.check.target), number(one)) for one in expected]
        return [(labels, value) for labels, value in numbers if value is not None]

    return FromHost(read)


def _whole(number: Callable[[CanaryView], float]) -> FromHost:
    """A source of one number for all canaries."""

    def read(view: HostView) -> list[Sample]:
        seen = view.canaries()
        return [((), number(seen))] if seen is not None else []

    return FromHost(read)


def _failing(view: HostView) -> list[Sample]:
    seen = view.canaries()
    rows = [one.row for one in seen.expected if one.row is not None] if seen is not None else []
    return [((row.stream, row.target, row.stage), 1) for row in rows if not row.ok]


def _ages(view: HostView) -> list[Sample]:
    seen = view.canaries()
    expected = seen.expected if seen is not None else []
    return [((one.check.stream, one.check.target, one.check.owner), one.age_s) for one in expected]


def _roundtrip_s(one: Expected) -> float | None:
    return None if one.row is None or one.row.roundtrip_ms is None else one.row.roundtrip_ms / 1000


CANARIES: Final = MetricGroup(
    "Canaries",
    (
        gauge(
            "canary_expected",
            "1 for each stream and target that should have canaries, by the settings and streams in force.",
            _each(lambda one: 1),
            "stream",
            "target",
        ),
        gauge(
            "canary_age_seconds",
            "Time since a canary of the stream last came back from the target, or since it was first "
            "expected. `owner` is that of `alarms` in the settings of the stream.",
            FromHost(_ages),
            "stream",
            "target",
            "owner",
        ),
        gauge(
            "canary_last_success_timestamp_seconds",
            "When a canary of the stream last came back from the target, in seconds since 1970; absent before.",
            _each(lambda one: one.row.success_s if one.row is not None else None),
            "stream",
            "target",
        ),
        gauge(
            "canary_roundtrip_seconds",
            "Time from sending the last canary until it was read where the sink stores events; absent if it failed.",
            _each(_roundtrip_s),
            "stream",
            "target",
        ),
        gauge(
            "canary_failing",
            "1 for each stream and target whose last canary failed, with the stage: `example`, `schema`, `http`, "
            "`kafka` or `sqlite`, `consumer`, `clock`, `eventstreams`.",
            FromHost(_failing),
            "stream",
            "target",
            "stage",
        ),
        gauge(
            "canary_heartbeat_age_seconds",
            "Time since a run of canaries ended, or since the settings were read.",
            _whole(lambda seen: seen.silent_s),
        ),
        gauge("canary_period_seconds", "The setting `canary.period_s`.", _whole(lambda seen: seen.period_s)),
    ),
)
