"""Metrics of events: received, rejected, validated, accepted, and the outcomes of accepted ones.

Place: intake.books counts → HERE → metrics.table. Numbers by stream and by schema come from shared.ledger and the lines
of shared.scoreboard.
Rules: a metric is defined by its declaration alone, apart from the integer that is counted. Numbers of undeclared
streams are added up as ``other``.
Not here: the cells of a stream (shared.ledger, intake.books.counts).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from server.intake.books.counts import ERROR, INVALID, OBSERVED
from server.intake.verdict import ERROR_TYPES, INVALID_TYPES
from server.metrics.declare import FromHost, Gauge, MetricGroup, Sample, Sums, count, counter, gauge
from server.shared.ledger import COUNTS, REASONS

if TYPE_CHECKING:
    from server.admin.view import HostView

REJECTED: Final = tuple(sorted(INVALID_TYPES | ERROR_TYPES))


def _noted(place: int) -> FromHost:
    """A source of events that were not accepted, or were invalid, by stream."""
    return FromHost(lambda view: view.by_stream((name, cells[place]) for name, cells in view.streams.items()))


def _booked(name: str) -> FromHost:
    """A source that reads a count of the ledger, by stream."""
    return FromHost(lambda view: view.by_stream((stream, numbers[name]) for stream, numbers in view.ledger.items()))


def _dropped(view: HostView) -> Iterator[Sample]:
    for reason in REASONS:
        lines = ((name, numbers[reason]) for name, numbers in view.ledger.items())
        yield from (((label, reason), number) for (label,), number in view.by_stream(lines))


def _lost(view: HostView) -> list[Sample]:
    """Events without an outcome that were accepted by workers that are gone."""
    settled = len(COUNTS) + len(REASONS)
    gone = ((name, max(0, cells[0] - sum(cells[1:settled]))) for name, cells in view.retired.items())
    return view.by_stream([*gone, *((name, 0) for name in view.ledger)])


def _judged(view: HostView) -> Iterator[Sample]:
    for schema, counts in view.schemas.items():
        for way, number in zip(("one_decode", "one_pass", "reference"), counts, strict=True):
            yield (schema, way), number


EVENTS: Final = MetricGroup(
    "Events",
    (
        counter(
            "events_received",
            "Events of well-formed requests that were examined.",
            count(lambda worker: worker.counts.received),
        ),
        counter(
            "events_rejected",
            "Events that were not accepted, or failed afterwards, by type.",
            Sums(
                lambda worker: [worker.counts.by_type[name] for name in REJECTED], tuple((name,) for name in REJECTED)
            ),
            "error_type",
        ),
        counter(
            "events_invalid",
            "Events that were not accepted because of a fault of the sender.",
            _noted(INVALID),
            "stream",
        ),
        counter(
            "events_failed",
            "Events that failed through a fault of this service or of the broker.",
            _noted(ERROR),
            "stream",
        ),
        counter(
            "events_observed",
            "Invalid events that were accepted because of `validation: observe`.",
            _noted(OBSERVED),
            "stream",
        ),
        counter(
            "events_judged",
            "How events were validated: `one_decode`, `one_pass` or, at ten times the cost, by the `reference`.",
            FromHost(_judged),
            "schema",
            "way",
        ),
        counter(
            "events_accepted",
            "Events that were accepted and are owed a delivery, including error events.",
            _booked("accepted"),
            "stream",
        ),
        counter(
            "events_canaries",
            "Accepted events that a canary process sent. They are no traffic; `events_accepted` counts them too.",
            _booked("canaries"),
            "stream",
        ),
        counter(
            "events_old",
            "Valid events whose own time was more than an hour before their receipt. Counted with plausibility alarms.",
            _booked("old"),
            "stream",
        ),
        counter(
            "events_askew",
            "Valid events whose own time was more than five minutes off their receipt, and that are not old. Counted "
            "with plausibility alarms.",
            _booked("askew"),
            "stream",
        ),
        counter("events_delivered", "Accepted events that the broker has acked.", _booked("delivered"), "stream"),
        counter(
            "events_spooled",
            "Accepted events that went to the spool; `spool_replayed` counts those that left it.",
            _booked("spooled"),
            "stream",
        ),
        counter(
            "events_withdrawn",
            "Accepted events that were not stored after all; their clients, which waited for them, were told so.",
            _booked("withdrawn"),
            "stream",
        ),
        counter(
            "events_dropped",
            "Accepted events that will never be delivered and of which no client learned that, by reason.",
            FromHost(_dropped),
            "stream",
            "reason",
        ),
        counter(
            "events_lost",
            "Accepted events that were in the memory of a worker that was killed.",
            FromHost(_lost),
            "stream",
        ),
        gauge(
            "events_in_flight",
            "Accepted events without an outcome yet, in living workers.",
            Gauge(lambda worker: worker.durability.in_flight()),
        ),
        gauge(
            "events_unaccounted",
            "Events in flight that neither the sink nor the spool has: the books do not add up. Always 0.",
            Gauge(lambda worker: worker.durability.unaccounted()),
        ),
        counter(
            "events_refused_hasty",
            "Hasty events that neither the sink nor the spool had room for.",
            count(lambda worker: worker.counts.refused_hasty),
        ),
        counter(
            "error_events",
            "Error events, which report invalid ones: `produced`, `suppressed`.",
            Sums(
                lambda worker: (worker.error_events.produced, worker.error_events.dropped),
                (("produced",), ("suppressed",)),
            ),
            "outcome",
        ),
    ),
)
