"""The alerts: faults that page an operator, or open a ticket for the morning.

``python deploy/prometheus/alerts.py > deploy/prometheus/alerts.yml`` writes them.

Place: ALERTS → HERE → alerts.yml, which Prometheus takes as it stands; a test keeps the two equal.
Rules: a time is written ``<15m>``, or ``<15m:s>`` where a number of seconds is wanted. So the same rules can be had
with all times shorter, for tests that cause each fault and cannot wait for an hour: ``render(faster=180)``. Thresholds
are where most services can live; raise or lower them here, not in the dashboard.
Not here: what to do (docs/RUNBOOKS.md, under the name of the alert), how each fires and clears in numbers alone
(alerts_test.yml).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple


class Alert(NamedTuple):
    """``lasting``: the expression must be true for so long. ``why``: what the expression does not say by itself."""

    name: str
    severity: Literal["page", "ticket"]
    summary: str
    lasting: str
    expression: str
    why: str = ""


ALERTS = (
    Alert(
        "PenstockDown",
        "page",
        "No worker of {{ $labels.instance }} takes requests.",
        "<1m>",
        'up{job="penstock"} == 0 or sum by (instance) (penstock_workers{state="ready"}) == 0',
    ),
    Alert(
        "PenstockStreamSilent",
        "ticket",
        "Stream {{ $labels.stream }} always has events, and has had none for 20 minutes.",
        "<5m>",
        """\
(sum by (stream) (increase(penstock_events_accepted_total[<1h>] offset <30m>)) > 100
  and sum by (stream) (increase(penstock_events_accepted_total[<1h>] offset <90m>)) > 100)
unless sum by (stream) (increase(penstock_events_accepted_total[<15m>]))
  - (sum by (stream) (increase(penstock_events_canaries_total[<15m>]))
     or 0 * sum by (stream) (increase(penstock_events_accepted_total[<15m>]))) > 0.5""",
        "A stream that had events in each of the last hours has had none but canaries for 15 minutes.",
    ),
    Alert(
        "PenstockInvalidShareHigh",
        "ticket",
        "{{ $value | humanizePercentage }} of the events of stream {{ $labels.stream }} are invalid.",
        "<10m>",
        """\
sum by (stream) (rate(penstock_events_invalid_total[<10m>]))
  / (sum by (stream) (rate(penstock_events_invalid_total[<10m>]))
     + (sum by (stream) (rate(penstock_events_accepted_total[<10m>]))
        or 0 * sum by (stream) (rate(penstock_events_invalid_total[<10m>])))) > 0.1
and sum by (stream) (rate(penstock_events_invalid_total[<10m>])) > 0.1""",
    ),
    Alert(
        "PenstockEventsUnaccounted",
        "page",
        "{{ $value }} accepted events of {{ $labels.instance }} are neither in the sink nor the spool.",
        "<1m>",
        "penstock_events_unaccounted != 0",
    ),
    Alert(
        "PenstockEventsLost",
        "page",
        "{{ $value | humanize }} accepted events of stream {{ $labels.stream }} will not be delivered.",
        "",
        """\
sum by (stream) (increase(penstock_events_lost_total[<15m>])) > 0
or sum by (stream) (increase(penstock_events_dropped_total[<15m>])) > 0""",
    ),
    Alert(
        "PenstockSpoolFilling",
        "page",
        "The spool of {{ $labels.instance }} is filling, or will be full within the hour.",
        "<5m>",
        """\
penstock_spool_bytes / penstock_spool_max_bytes > 0.3
or predict_linear(penstock_spool_bytes[<15m>], <1h:s>) > 0.75 * penstock_spool_max_bytes""",
    ),
    Alert(
        "PenstockSpoolOld",
        "ticket",
        "An event has waited {{ $value | humanizeDuration }} in the spool of {{ $labels.instance }}.",
        "<5m>",
        "penstock_spool_oldest_age_seconds > <15m:s>",
    ),
    Alert(
        "PenstockSpoolBehind",
        "ticket",
        "{{ $labels.instance }} refuses hasty events of keys that wait in its spool: more come in than it can replay.",
        "<1m>",
        "penstock_spool_refuses_hasty > 0",
    ),
    Alert(
        "PenstockSpoolUnusable",
        "page",
        "{{ $value }} workers of {{ $labels.instance }} cannot write their spool.",
        "<1m>",
        "penstock_spool_unusable_workers > 0",
    ),
    Alert(
        "PenstockSpoolFailing",
        "page",
        "{{ $labels.instance }}: writes to the spool fail, or files or events of it were found broken and set aside.",
        "",
        """\
sum by (instance) (increase(penstock_spool_failed_commits_total[<15m>])) > 0
or sum by (instance) (increase(penstock_spool_files_broken_total[<15m>])) > 0
or sum by (instance) (increase(penstock_spool_damaged_total[<15m>])) > 0""",
    ),
    Alert(
        "PenstockBrokerTrouble",
        "page",
        "{{ $labels.instance }}: brokers do not answer, or answer with errors.",
        "<2m>",
        """\
penstock_sink_away_workers > 0
or sum by (instance, broker) (rate(penstock_kafka_broker_errors_total[<5m>])
  + rate(penstock_kafka_broker_timeouts_total[<5m>])) > 0.1""",
    ),
    Alert(
        "PenstockCatalogStale",
        "ticket",
        "{{ $labels.instance }} serves with streams that may be out of date.",
        "<5m>",
        "penstock_catalog_source_failing_seconds > <30m:s> or penstock_catalog_snapshots > 1",
    ),
    Alert(
        "PenstockReloadRefused",
        "ticket",
        "{{ $labels.instance }} has refused a reload: its old settings are still in force.",
        "",
        'sum by (instance) (increase(penstock_reloads_total{outcome="refused"}[<15m>])) > 0',
    ),
    Alert(
        "PenstockWorkersDying",
        "page",
        "{{ $value | humanize }} processes of {{ $labels.instance }} have died within 15 minutes.",
        "",
        "sum by (instance) (increase(penstock_child_deaths_total[<15m>])) > 2",
    ),
    Alert(
        "PenstockTaskFailing",
        "page",
        "Timers or tasks of {{ $labels.instance }} have failed {{ $value | humanize }} times within 15 minutes.",
        "",
        "sum by (instance) (increase(penstock_task_failures_total[<15m>])) > 0",
    ),
    Alert(
        "PenstockSlow",
        "ticket",
        "{{ $labels.instance }} makes senders wait: p99, or the lag of a loop, is {{ $value | humanizeDuration }}.",
        "<10m>",
        """\
histogram_quantile(0.99, sum by (instance, le) (rate(penstock_guaranteed_seconds_bucket[<5m>]))) > 1
or max by (instance) (penstock_worker_loop_lag_seconds) > 0.25""",
        "The promise is an answer within http.limits.answer_s, 10 s; a healthy broker takes milliseconds and a linger.",
    ),
    Alert(
        "PenstockTurningAway",
        "page",
        "{{ $labels.instance }} turns away {{ $value | humanizePercentage }} of its requests.",
        "<5m>",
        """\
(sum by (instance) (rate(penstock_requests_refused_total[<5m>]))
  + sum by (instance) (rate(penstock_http_limits_hit_total{limit!="idle"}[<5m>])))
/ sum by (instance) (rate(penstock_http_responses_total[<5m>])) > 0.01""",
    ),
    Alert(
        "PenstockCanaryLate",
        "ticket",
        "No canary of stream {{ $labels.stream }} has come back from {{ $labels.target }} for three periods.",
        "",
        "penstock_canary_age_seconds > on (instance) group_left () 3 * penstock_canary_period_seconds",
        "It is the age of the last success and not a failure: a single failure says little.",
    ),
    Alert(
        "PenstockCanaryLost",
        "page",
        "No canary of stream {{ $labels.stream }} has come back from {{ $labels.target }} for twelve periods.",
        "",
        "penstock_canary_age_seconds > on (instance) group_left () 12 * penstock_canary_period_seconds",
    ),
    Alert(
        "PenstockCanarySilent",
        "page",
        "{{ $labels.instance }}: no run of canaries has ended for three periods, so broken streams are not noticed.",
        "",
        "penstock_canary_heartbeat_age_seconds > 3 * penstock_canary_period_seconds",
    ),
    Alert(
        "PenstockImplausible",
        "ticket",
        "{{ $labels.kind }}: the events of stream {{ $labels.stream }} are not as usual. Owner: {{ $labels.owner }}",
        "",
        'max by (instance, stream, kind, owner) (penstock_plausibility_alarm{severity="ticket"}) > 0',
        "The service has compared them with the weeks before, and waited until it lasts.",
    ),
    Alert(
        "PenstockImplausiblePage",
        "page",
        "{{ $labels.kind }}: the events of stream {{ $labels.stream }} are not as usual. Owner: {{ $labels.owner }}",
        "",
        'max by (instance, stream, kind, owner) (penstock_plausibility_alarm{severity="page"}) > 0',
        "Of streams whose settings ask for it, and of many streams at once, which have no stream in the label.",
    ),
    Alert(
        "PenstockSamplesLate",
        "ticket",
        "{{ $labels.instance }}: no samples of events have been taken for ten minutes.",
        "",
        "penstock_plausibility_samples_age_seconds > <10m:s>",
        "Alarms about the content of events have ended, also those whose cause has not.",
    ),
    Alert(
        "PenstockExpectationFailed",
        "ticket",
        "Events of stream {{ $labels.stream }} fail an expectation of their schema: {{ $labels.rule }}",
        "",
        """\
sum by (stream, rule) (increase(penstock_expectation_failures_total[<10m>])) > 0
or (sum by (stream, rule) (penstock_expectation_failures_total)
  unless sum by (stream, rule) (penstock_expectation_failures_total offset <10m>)) > 0""",
        "A series that is new begins with its first failures, of which increase() sees nothing.",
    ),
)

HEAD = """\
# Rendered from alerts.py: edit that file instead. docs/RUNBOOKS.md says what to do, under the name of the alert.
# alerts_test.yml tests each alert with numbers, and tests/process/test_alerts.py with the fault itself.
"""

_TIME = re.compile(r"<(\d+)([smh])(:s)?>")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def render(faster: float = 1) -> str:
    """The file of rules; ``faster``: every time in them is so many times shorter."""
    lines = [f"      {line}".rstrip() for alert in ALERTS for line in ("", *_rule(alert))]
    rules = _TIME.sub(lambda match: _time(match, faster), "\n".join(lines[1:]))
    return f"{HEAD}groups:\n  - name: penstock\n    rules:\n{rules}\n"


def _rule(alert: Alert) -> Iterator[str]:
    yield f"- alert: {alert.name}"
    if alert.why:
        yield f"  # {alert.why}"
    yield "  expr: |"
    yield from (f"    {line}" for line in alert.expression.splitlines())
    if alert.lasting:
        yield f"  for: {alert.lasting}"
    yield f"  labels: {{severity: {alert.severity}}}"
    yield "  annotations:"
    yield f"    summary: {json.dumps(alert.summary)}"
    yield f"    runbook: docs/RUNBOOKS.md#{alert.name.lower()}"


def _time(match: re.Match[str], faster: float) -> str:
    number, unit, is_number = match.groups()
    seconds = int(number) * _SECONDS[unit] / faster
    if is_number:
        return f"{seconds:g}"
    return f"{number}{unit}" if faster == 1 else f"{round(seconds * 1000)}ms"


if __name__ == "__main__":
    sys.stdout.write(render(*map(float, sys.argv[1:])))
