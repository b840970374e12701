"""Metrics of checks in the background: schemas that streams try, and expectations.

Place: intake.background counts, by the lines of shared.scoreboard and the view → HERE → metrics.table.
Rules: a metric is defined by its declaration alone. Labels are declared streams, versions, and places or titles in
schemas.
Not here: what the counts mean (intake.background.counts).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from server.intake.background.counts import BETTER, EXPECT, JUDGED, SHADOW, SKIPPED, TIME, WORSE, CheckName, parsed
from server.metrics.declare import FromHost, Labels, MetricGroup, Sample, counter, one

if TYPE_CHECKING:
    from server.admin.view import HostView


def _lines(view: HostView, kind: str) -> Iterator[tuple[CheckName, list[int]]]:
    for line, numbers in view.checks.items():
        name = parsed(line)
        if name is not None and name.kind == kind:
            yield name._replace(stream=view.stream_label(name.stream)), numbers


def _summed(samples: Iterator[Sample]) -> list[Sample]:
    """Add up samples with the same labels: streams that are not declared share one."""
    sums: dict[Labels, float] = {}
    for labels, number in samples:
        sums[labels] = sums.get(labels, 0) + number
    return list(sums.items())


def _shadow_events(view: HostView) -> Iterator[Sample]:
    for (stream, _, version, rule), numbers in _lines(view, SHADOW):
        if not rule:
            changed = numbers[WORSE] + numbers[BETTER]
            yield (stream, version, "unchanged"), numbers[JUDGED] - changed
            yield (stream, version, "would_be_refused"), numbers[WORSE]
            yield (stream, version, "would_be_accepted"), numbers[BETTER]
            yield (stream, version, "skipped"), numbers[SKIPPED]


def _shadow_violations(view: HostView) -> Iterator[Sample]:
    for (stream, _, version, rule), numbers in _lines(view, SHADOW):
        if rule:
            yield (stream, version, rule), numbers[WORSE]


def _expectation_events(view: HostView) -> Iterator[Sample]:
    for (stream, _, _, rule), numbers in _lines(view, EXPECT):
        if not rule:
            yield (stream, "met"), numbers[JUDGED] - numbers[WORSE]
            yield (stream, "failed"), numbers[WORSE]
            yield (stream, "skipped"), numbers[SKIPPED]


def _expectation_failures(view: HostView) -> Iterator[Sample]:
    for (stream, _, _, rule), numbers in _lines(view, EXPECT):
        if rule:
            yield (stream, rule), numbers[WORSE]


def _expectation_skips(view: HostView) -> Iterator[Sample]:
    for (stream, _, _, rule), numbers in _lines(view, EXPECT):
        if rule:
            yield (stream, rule), numbers[SKIPPED]


BACKGROUND: Final = MetricGroup(
    "Checks in the background",
    (
        counter(
            "shadow_events",
            "Events that were judged by the `shadow_schema` of their stream, by what it would change; `skipped` ones "
            "were chosen and not judged, because the time of the worker was used up or the event takes too many steps.",
            FromHost(lambda view: _summed(_shadow_events(view))),
            "stream",
            "version",
            "outcome",
        ),
        counter(
            "shadow_violations",
            "Events that the `shadow_schema` would refuse, by each rule that they break: its place in the schema.",
            FromHost(lambda view: _summed(_shadow_violations(view))),
            "stream",
            "version",
            "rule",
        ),
        counter(
            "expectation_events",
            "Accepted events that were judged by the expectations of their schema (`x-expect`): those that met all, "
            "and those that failed one at least; `skipped` ones were chosen and not judged.",
            FromHost(lambda view: _summed(_expectation_events(view))),
            "stream",
            "outcome",
        ),
        counter(
            "expectation_failures",
            "Accepted events that failed an expectation, by its title, or else its place in the schema.",
            FromHost(lambda view: _summed(_expectation_failures(view))),
            "stream",
            "rule",
        ),
        counter(
            "expectation_skips",
            "Accepted events that one expectation did not judge, because they have too many values for it or because "
            "the worker ended; the other expectations judged them.",
            FromHost(lambda view: _summed(_expectation_skips(view))),
            "stream",
            "rule",
        ),
        counter(
            "background_checks_seconds",
            "CPU time that workers have spent on checks in the background: at most 1 % of theirs, or 0.1 % of the "
            "time of the clock.",
            one(lambda view: view.checks.get(TIME.line(), [0])[JUDGED] / 1e6),
        ),
    ),
)
