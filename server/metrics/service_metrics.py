"""Metrics of the service and its processes.

Place: metrics.declare → HERE → metrics.table.
Rule: a metric is defined by its declaration alone, apart from the integer that is counted.
Not here: the counters that every process has (shared.row.ProcessCount), the master's notices (shared.notices).
"""

from __future__ import annotations

import platform
from typing import Final

from server.compiled import finder
from server.metrics.declare import FromHost, Gauge, Metric, MetricGroup, by_slot, counter, gauge, named, one
from server.shared.row import ProcessCount
from server.version import VERSION

SERVICE: Final = MetricGroup(
    "Service",
    (
        Metric(
            "penstock_build",
            "info",
            "Which version runs, on which Python, and whether its hot path is `compiled` or `interpreted`.",
            FromHost(lambda _: [((VERSION, platform.python_version(), finder.mode().name), 1)]),
            ("version", "python", "mode"),
        ),
        gauge(
            "start_time_seconds",
            "When the master began, in seconds since 1970.",
            one(lambda view: view.shared.board.notices.started_s),
        ),
        gauge(
            "settings_time_seconds",
            "When the settings in force were read, in seconds since 1970.",
            one(lambda view: view.shared.board.notices.reloaded_s),
        ),
        counter(
            "reloads",
            "Reloads by outcome: `done`, `adopted` (only streams changed), `refused`.",
            named(lambda view: view.shared.board.notices.reloads()),
            "outcome",
        ),
        counter(
            "child_deaths",
            "Child processes that ended without being told to: `crashed` (an exit code), `killed` (a signal),"
            " `stuck` (aborted for a late beat), `not_booted`.",
            named(lambda view: view.shared.board.notices.deaths()),
            "cause",
        ),
        counter(
            "task_failures",
            "Unexpected exceptions in timers and tasks of any process; the timer or task continues. Always 0 "
            "on a host with enough descriptors, memory and disk.",
            one(lambda view: view.counters[ProcessCount.TASK_FAILURES] + view.shared.board.notices.task_failures),
        ),
        counter(
            "log_lines_dropped",
            "Log lines of any process that were dropped because standard error was not read.",
            one(
                lambda view: view.counters[ProcessCount.LOG_LINES_DROPPED] + view.shared.board.notices.log_lines_dropped
            ),
        ),
        gauge(
            "workers", "Workers by state: `booting`, `ready`, `draining`.", named(lambda view: view.states()), "state"
        ),
        gauge(
            "worker_beat_age_seconds",
            "Time since the last beat of the worker's loop.",
            by_slot(lambda view, at: view.beat_age_s(view.workers[at])),
            "slot",
        ),
        gauge(
            "worker_loop_lag_seconds",
            "Longest delay of a timer of the worker's loop during the last 20 beats.",
            Gauge(lambda worker: int(max(worker.lags_s) * 1e6), is_by_slot=True, scale=1e6),
            "slot",
        ),
        gauge(
            "worker_resident_bytes",
            "Memory of the worker, including what it shares with other processes.",
            by_slot(lambda view, at: view.usage(view.workers[at]).resident_bytes),
            "slot",
        ),
        gauge(
            "worker_cpu_seconds",
            "CPU time that the worker has used.",
            by_slot(lambda view, at: view.usage(view.workers[at]).cpu_s),
            "slot",
        ),
        gauge(
            "scrape_seconds",
            "Duration of the previous scrape; the workers take no part in it.",
            one(lambda view: view.shared.scrape_s),
        ),
    ),
)
