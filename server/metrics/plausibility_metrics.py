"""Metrics of plausibility alarms.

Place: plausibility.watcher, by the view → HERE → metrics.table.
Rule: a metric is defined by its declaration alone. Without ``plausibility.enabled`` none of them has a value.
Not here: what an alarm means (docs/PLAUSIBILITY.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from server.metrics.declare import FromHost, MetricGroup, Sample, gauge

if TYPE_CHECKING:
    from server.admin.view import HostView


def _alarms(view: HostView) -> list[Sample]:
    watcher = view.shared.plausibility
    found: list[Sample] = []
    for alarm in watcher.alarms.shown() if watcher is not None else ():
        assert watcher is not None
        wanted = watcher.of_stream(alarm.stream)
        severity = wanted.severity if alarm.stream else "page"
        found.append(((alarm.stream, alarm.kind, alarm.of, severity, wanted.owner), 1.0))
    return found


def _seen(view: HostView) -> list[Sample]:
    watcher = view.shared.plausibility
    models = watcher.models if watcher is not None else {}
    numbers = [((name,), model.seen()) for name, model in models.items()]
    return [(labels, number) for labels, number in numbers if number is not None]


def _expected(view: HostView) -> list[Sample]:
    watcher = view.shared.plausibility
    models = watcher.models if watcher is not None else {}
    numbers = [((name,), model.expected()) for name, model in models.items() if model.is_learned]
    return [(labels, number) for labels, number in numbers if number is not None]


def _report_age(view: HostView) -> list[Sample]:
    watcher = view.shared.plausibility
    if watcher is None or not view.config.plausibility.samples.enabled:
        return []
    return [((), max(0.0, view.now_s - watcher.sampled_s))]


def _sampled(view: HostView) -> list[Sample]:
    watcher = view.shared.plausibility
    report = watcher.samples if watcher is not None else None
    return [((name,), one.sampled) for name, one in report.streams.items()] if report is not None else []


def _watched(view: HostView) -> list[Sample]:
    watcher = view.shared.plausibility
    if watcher is None:
        return []
    learning, learned = watcher.watched()
    return [(("learning",), learning), (("learned",), learned)]


PLAUSIBILITY: Final = MetricGroup(
    "Plausibility",
    (
        gauge(
            "plausibility_alarm",
            "1 for each alarm, by `kind` (docs/PLAUSIBILITY.md); `of` is what it concerns within the stream. "
            "`many`, without a stream, stands for alarms of many streams.",
            FromHost(_alarms),
            "stream",
            "kind",
            "of",
            "severity",
            "owner",
        ),
        gauge(
            "plausibility_seen_events",
            "Accepted events of the last hour, without canaries and old events beyond the usual share.",
            FromHost(_seen),
            "stream",
        ),
        gauge(
            "plausibility_expected_events",
            "Events that are usual in this hour of the week; absent while they are learned.",
            FromHost(_expected),
            "stream",
        ),
        gauge(
            "plausibility_samples_age_seconds",
            "Age of the last report of samples; it rises when the process that takes them hangs.",
            FromHost(_report_age),
        ),
        gauge(
            "plausibility_sampled_events",
            "Events of the last round of samples.",
            FromHost(_sampled),
            "stream",
        ),
        gauge(
            "plausibility_watched_streams",
            "Streams by state: `learning` for two weeks, then `learned`.",
            FromHost(_watched),
            "state",
        ),
    ),
)
