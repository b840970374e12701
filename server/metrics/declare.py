"""The declaration of a metric: its name, kind, help and labels, and the source of its numbers.

Place: the declarations in this room → HERE → metrics.table, from which cells, beat, scrape and reference page follow.
Rules: a name begins with ``penstock_`` and ends with its unit, a counter's with ``_total`` after that. Label values
come from closed sets and never from clients. A source is a function; it is called in the worker on each beat (``Sums``,
``Gauge``), or in the admin process on each scrape (``FromHost``).
Not here: the metrics themselves (the other files of this room), cells (metrics.table), the format (admin.collect).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from server.admin.view import HostView
    from server.http.server import HttpServer
    from server.intake.background.checks import BackgroundChecks
    from server.intake.books.counts import Counts, Times
    from server.intake.error_events import ErrorEvents
    from server.tracing.make import Tracing
    from server.worker.durability import Durability

Kind = Literal["counter", "gauge", "histogram", "info"]
Labels = tuple[str, ...]
Sample = tuple[Labels, float]

NO_LABELS: tuple[Labels, ...] = ((),)


class WorkerParts(NamedTuple):
    """The parts of a worker that count. ``lags_s`` holds the delays of the last beats."""

    server: HttpServer
    counts: Counts
    durability: Durability
    error_events: ErrorEvents
    tracing: Tracing
    lags_s: deque[float]
    background: BackgroundChecks


class Sums(NamedTuple):
    """Numbers that every worker counts and that only grow; the sums include workers that are gone.

    ``read`` returns one number for each item of ``cells``, in that order; an item holds the values of the labels.
    ``skips_zeros``: a cell that is 0 is not shown.
    """

    read: Callable[[WorkerParts], Sequence[int]]
    cells: tuple[Labels, ...] = NO_LABELS
    skips_zeros: bool = False


class Gauge(NamedTuple):
    """A whole number that goes up and down in each living worker.

    It is shown as the sum over the workers, or, with ``is_by_slot``, for each slot; of two workers in one slot, one of
    which drains, the larger number counts. ``scale`` is how many units of the cell make one of the metric.
    """

    read: Callable[[WorkerParts], int]
    is_by_slot: bool = False
    scale: float = 1.0


class FromHost(NamedTuple):
    """Numbers that no cell holds: of settings, processes, the ledger, and the lines of streams, schemas and brokers."""

    read: Callable[[HostView], Iterable[Sample]]


Source = Sums | Gauge | FromHost


class Metric(NamedTuple):
    """``name`` without what the format adds (``_total``, ``_bucket``, ``_info``); ``help`` is the text for readers."""

    name: str
    kind: Kind
    help: str
    source: Source
    labels: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Return the end of the name if that is a unit of measurement."""
        last = self.name.rpartition("_")[2]
        return last if last in ("seconds", "bytes") else ""

    @property
    def shown(self) -> str:
        """Return the name that queries use."""
        return self.name + {"counter": "_total", "gauge": "", "histogram": "_bucket", "info": "_info"}[self.kind]


class MetricGroup(NamedTuple):
    """The metrics of one section of the reference page."""

    title: str
    metrics: tuple[Metric, ...]


# Kinds of metrics.


def counter(name: str, help_text: str, source: Source, *labels: str) -> Metric:
    """Declare a number that only grows; ``name`` without ``penstock_`` and without ``_total``."""
    return Metric(f"penstock_{name}", "counter", help_text, source, labels)


def gauge(name: str, help_text: str, source: Source, *labels: str) -> Metric:
    """Declare a number that goes up and down; ``name`` without ``penstock_``."""
    return Metric(f"penstock_{name}", "gauge", help_text, source, labels)


def histogram(name: str, help_text: str, bounds: Sequence[float], times: Callable[[WorkerParts], Times]) -> Metric:
    """Declare a histogram of durations. Its cells are the counts of buckets, each without those below it, and the sum
    in microseconds; ``name`` ends with ``_seconds``."""
    cells = tuple((str(bound),) for bound in (*bounds, "+Inf", "sum"))
    return Metric(f"penstock_{name}", "histogram", help_text, Sums(lambda worker: _cells_of(times(worker)), cells))


def _cells_of(times: Times) -> list[int]:
    return [*times.counts, int(times.sum_s * 1e6)]


# Sources.


def count(read: Callable[[WorkerParts], int]) -> Sums:
    """A source of one number that every worker counts, without labels."""
    return Sums(lambda worker: (read(worker),))


def one(read: Callable[[HostView], float]) -> FromHost:
    """A source of one number without labels that the admin process computes."""
    return FromHost(lambda view: [((), read(view))])


def named(read: Callable[[HostView], dict[str, int]]) -> FromHost:
    """A source of numbers by the value of their only label."""
    return FromHost(lambda view: [((name,), number) for name, number in read(view).items()])


def by_slot(read: Callable[[HostView, int], float]) -> FromHost:
    """A source of one number for each living worker, given its position in ``view.workers``."""
    return FromHost(lambda view: view.by_slot(lambda at: read(view, at)))
