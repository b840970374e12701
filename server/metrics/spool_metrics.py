"""Metrics of the spool: events that wait on disk.

Place: sink.spool counts → HERE → metrics.table.
Rule: a metric is defined by its declaration alone, apart from the integer that is counted.
Not here: events that went into the spool, by stream (metrics.event_metrics).
"""

from __future__ import annotations

from typing import Final

from server.metrics.declare import Gauge, MetricGroup, count, counter, gauge, one

SPOOL: Final = MetricGroup(
    "Spool",
    (
        gauge("spool_events", "Events that wait on this host's disk.", one(lambda view: view.spool()[0])),
        gauge(
            "spool_bytes",
            "Bytes of the events in the spools of living workers.",
            Gauge(lambda worker: worker.durability.spool_bytes()),
        ),
        gauge("spool_max_bytes", "The limit, `spool.max_bytes`.", one(lambda view: view.config.spool.max_bytes)),
        gauge(
            "spool_oldest_age_seconds",
            "Time that the oldest event in the spool has waited; 0 when the spool is empty.",
            one(lambda view: view.spool()[1]),
        ),
        gauge(
            "spool_catch_up_seconds",
            "In how many seconds the replay will have caught up, as it looks now; a year where it does not.",
            one(lambda view: view.catch_up_s()),
        ),
        gauge(
            "spool_refuses_hasty",
            "1 while hasty events of keys that wait are refused: the spool hardly shrinks, and brokers answer.",
            one(lambda view: int(view.sheds())),
        ),
        gauge(
            "spool_aside_events",
            "Of these, events that are set aside because they are too large for their topic. They are tried again.",
            one(lambda view: view.aside()),
        ),
        gauge(
            "spool_unusable_workers",
            "Workers whose spool takes nothing: its disk is full, read-only or gone.",
            Gauge(lambda worker: int(worker.durability.is_spool_unusable())),
        ),
        gauge(
            "events_waiting_for_key",
            "Live events that wait in memory until older ones of their key have left the spool.",
            Gauge(lambda worker: worker.durability.delivery.in_room()),
        ),
        counter(
            "spool_replayed",
            "Events that left the spool for the broker.",
            count(lambda worker: worker.durability.replayed()),
        ),
        counter(
            "spool_damaged",
            "Events that were found damaged on the disk: they are set aside there, and not delivered.",
            count(lambda worker: worker.durability.damaged()),
        ),
        counter(
            "spool_files_broken",
            "Files of the spool that were found broken and set aside; their readable events were recovered.",
            count(lambda worker: worker.durability.spool.broken if worker.durability.spool is not None else 0),
        ),
        counter(
            "spool_files_broken_events",
            "Events that these files held, as far as is known.",
            count(lambda worker: worker.durability.spool.broken_held if worker.durability.spool is not None else 0),
        ),
        counter(
            "spool_refused",
            "Events for which the spool had no room.",
            count(lambda worker: worker.durability.spool.refused if worker.durability.spool is not None else 0),
        ),
        counter(
            "spool_failed_commits",
            "Transactions that could not be committed; each is tried again.",
            count(lambda worker: worker.durability.spool.failed_commits if worker.durability.spool is not None else 0),
        ),
    ),
)
