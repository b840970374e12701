"""Rules of Prometheus for single streams, and their tests for promtool.

Place: commands.monitoring.alerts → HERE.
Rules: pure text. A rule carries the owner and the severity of its stream. Canaries are taken off. A stream without a
series counts as one without events, as long as some service was up all the time that is looked at.
Not here: the alerts of the whole service (deploy/prometheus), alarms that learn (plausibility.model).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

HEAD: Final = (
    "# Written by `penstock alerts generate` from the settings of streams: change those, and write it again.\n"
)
STEADY_EVENTS: Final = 36_000  # In an hour: 5 % of the events of five minutes are then above 2.7 of their deviations.
USUAL_EVENTS: Final = 1_000

_UP: Final = 'on () (count(up{job="penstock"} == 1) and count(up{job="penstock"} offset 1h == 1))'


class StreamRule(NamedTuple):
    """One stream to watch. ``is_steady``: it has events at all times, so that minutes without any are a fault."""

    stream: str
    owner: str
    severity: str
    expected_min_per_h: float | None
    is_steady: bool = False


class _Alert(NamedTuple):
    name: str
    expression: str
    lasting: str
    summary: str
    # For its test: events per minute while all is well and in the fault, and when it fires, in minutes.
    well: float
    ill: float
    fires: int


def rules(streams: Sequence[StreamRule]) -> str:
    """Return the file of rules."""
    lines = [HEAD + "groups:", "  - name: penstock-streams", "    rules:"]
    for window in ("1h", "5m"):
        lines += [f"      - record: {_record(window)}", "        expr: |"]
        lines += [f"          {line}" for line in _traffic(window)]
    for stream in streams:
        for alert in _alerts(stream):
            lines += [f"      - alert: {alert.name}", "        expr: |", f"          {alert.expression}"]
            lines += [f"        for: {alert.lasting}", f"        labels: {_labels(stream)}"]
            lines += ["        annotations:", f"          summary: {json.dumps(alert.summary)}"]
            lines += ["          runbook: docs/PLAUSIBILITY.md#rules-for-single-streams"]
    return "\n".join(lines) + "\n"


def tests(streams: Sequence[StreamRule], rule_file: str) -> str:
    """Return promtool's tests of ``rules`` for the same streams: each alert is silent, and fires in its fault."""
    lines = [HEAD + f"rule_files: [{json.dumps(rule_file)}]", "evaluation_interval: 1m", "tests:"]
    for stream in streams:
        for alert in _alerts(stream):
            lines += _test(stream, alert)
    return "\n".join(lines if len(lines) > 3 else [*lines[:2], "tests: []"]) + "\n"


def _alerts(stream: StreamRule) -> Iterator[_Alert]:
    of_stream = f"{{stream={json.dumps(stream.stream)}}}"
    hour, minutes = f"sum({_record('1h')}{of_stream})", f"sum({_record('5m')}{of_stream})"
    least = stream.expected_min_per_h
    if least is not None:
        seen = "{{ $value | humanize }}"
        text = f"Stream {stream.stream} has had {seen} events in an hour, and at least {least:g} are expected."
        expression = f"({hour} or vector(0)) < {least:g} and {_UP}"
        yield _Alert("PenstockStreamBelowMinimum", expression, "10m", text, least / 30, least / 240, 200)
    if stream.is_steady:
        text = f"Stream {stream.stream}, which always has events, has had none for five minutes."
        before = f"sum({_record('1h')}{of_stream} offset 10m)"
        expression = f"({minutes} or vector(0)) < 0.5 and {before} > {USUAL_EVENTS} and {_UP}"
        yield _Alert("PenstockStreamStopped", expression, "5m", text, 100.0, 0.0, 135)
        text = f"Stream {stream.stream} is more than 5 % off its mean of the last hour."
        expression = f"abs({minutes} * 12 / {hour} - 1) > 0.05 and {hour} > {STEADY_EVENTS} and {_UP}"
        yield _Alert("PenstockStreamOffMean", expression, "10m", text, 1200.0, 900.0, 135)


def _test(stream: StreamRule, alert: _Alert) -> list[str]:
    """The fault begins after two hours; canaries come all the time."""
    name = stream.stream
    canaries = 0.2
    first, second = alert.well + canaries, alert.ill + canaries
    middle = first * 120
    series = {
        f'penstock_events_accepted_total{{stream={json.dumps(name)}, instance="a", job="penstock"}}': (
            f"0+{first:g}x119 {middle:g}+{second:g}x120"
        ),
        f'penstock_events_canaries_total{{stream={json.dumps(name)}, instance="a", job="penstock"}}': (
            f"0+{canaries:g}x240"
        ),
        'up{instance="a", job="penstock"}': "1x240",
    }
    lines = [f"  - name: {json.dumps(f'{alert.name} {name}')}", "    interval: 1m", "    input_series:"]
    for text, values in series.items():
        lines += [f"      - series: {json.dumps(text)}", f"        values: {json.dumps(values)}"]
    expression = f'count(ALERTS{{alertname="{alert.name}", alertstate="firing", stream={json.dumps(name)}}})'
    lines += ["    promql_expr_test:"]
    for minute, samples in ((115, "[]"), (alert.fires, "[{labels: '{}', value: 1}]")):
        lines += [f"      - expr: {json.dumps(expression)}", f"        eval_time: {minute}m"]
        lines += [f"        exp_samples: {samples}"]
    return lines


def _labels(stream: StreamRule) -> str:
    return json.dumps({"severity": stream.severity, "stream": stream.stream, "owner": stream.owner})


def _record(window: str) -> str:
    return f"penstock:stream_events:increase{window}"


def _traffic(window: str) -> list[str]:
    accepted = f"sum by (stream) (increase(penstock_events_accepted_total[{window}]))"
    canaries = f"sum by (stream) (increase(penstock_events_canaries_total[{window}]))"
    return [accepted, f"  - ({canaries} or 0 * {accepted})"]
