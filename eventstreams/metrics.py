"""The metrics of EventStreams, declared once, and their copying to shared memory.

Place: counts → HERE → server.shared, from which server.admin reads; docs/EVENTSTREAMS.md lists them.
Rules: as in server.metrics.declare, whose declarations these are. Label values are from closed sets: streams that are
declared, reasons, kinds; never an address of a client.
Not here: counting.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eventstreams.counts import ENDS, REFUSALS, STARTS, Counts
from eventstreams.web.paths import StreamPaths
from server.metrics.declare import FromHost, Gauge, Labels, MetricGroup, Sums, counter, gauge
from server.metrics.served_metrics import connections, limits_hit, responses
from server.metrics.service_metrics import SERVICE
from server.metrics.table import MetricTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventstreams.flow.hub import Hub
    from server.admin.view import HostView
    from server.http.server import HttpServer
    from server.shared.row import WorkerRow


class StreamParts(NamedTuple):
    """The parts of a worker that count."""

    hub: Hub
    server: HttpServer
    counts: Counts
    lags_s: deque[float]


def _sums(
    read: Callable[[StreamParts], Sequence[int]], cells: tuple[Labels, ...], *, skips_zeros: bool = False
) -> Sums:
    untyped: Any = read  # The parts are those of this program.
    return Sums(untyped, cells, skips_zeros)


def _count(read: Callable[[StreamParts], int]) -> Sums:
    return _sums(lambda parts: (read(parts),), ((),))


def _gauge(read: Callable[[StreamParts], int]) -> Gauge:
    untyped: Any = read
    return Gauge(untyped)


def _by_name(read: Callable[[Counts], dict[str, int]], names: tuple[str, ...]) -> Sums:
    return _sums(lambda parts: [read(parts.counts)[name] for name in names], tuple((name,) for name in names))


def _consumed(at: int) -> FromHost:
    return FromHost(lambda view: view.by_stream((name, numbers[at]) for name, numbers in view.consumed.items()))


def _clients(view: HostView) -> Iterable[tuple[Labels, float]]:
    return view.by_stream((name, sum(one[0] for one in every)) for name, every in view.consuming.items())


def _lags(view: HostView) -> Iterable[tuple[Labels, float]]:
    return view.by_stream((name, max(one[1] for one in every)) for name, every in view.consuming.items())


ROUTES: Final = tuple(path.value for path in StreamPaths)

STREAMS: Final = MetricGroup(
    "Event streams",
    (
        gauge("eventstreams_clients", "Open streams.", _gauge(lambda parts: parts.counts.clients)),
        gauge(
            "eventstreams_live_clients",
            "Open streams that get the newest events together with others; the rest catches up or is slow.",
            _gauge(lambda parts: parts.counts.live),
        ),
        gauge("eventstreams_stream_clients", "Open streams by stream.", FromHost(_clients), "stream"),
        gauge(
            "eventstreams_stream_lag_events",
            "Most offsets that a client of the stream is behind the newest event.",
            FromHost(_lags),
            "stream",
        ),
        counter(
            "eventstreams_starts",
            "Streams that began, by where.",
            _by_name(lambda counts: counts.starts, STARTS),
            "start",
        ),
        counter(
            "eventstreams_ends",
            "Streams that ended: `client` (it has closed), `age`, `drain`, `stalled` (it took nothing), `done` (a "
            "bound was reached), `changed` (its streams are others now), `error`, `cut`.",
            _by_name(lambda counts: counts.ends, ENDS),
            "reason",
        ),
        counter(
            "eventstreams_refused",
            "Requests for a stream that got none: `full` includes a worker that drains and a source that is away.",
            _by_name(lambda counts: counts.refused, REFUSALS),
            "reason",
        ),
        counter(
            "eventstreams_deliveries",
            "Events sent, once for each client.",
            _count(lambda parts: parts.counts.deliveries),
        ),
        counter("eventstreams_stream_deliveries", "The same by stream.", _consumed(0), "stream"),
        counter("eventstreams_stream_bytes", "Bytes of these events, before compression.", _consumed(1), "stream"),
        counter(
            "eventstreams_stream_events_read",
            "Events that the live reader brought, over all workers.",
            _consumed(2),
            "stream",
        ),
        counter(
            "eventstreams_sent_bytes", "Bytes sent, after compression.", _count(lambda parts: parts.counts.sent_bytes)
        ),
        counter("eventstreams_gaps", "Gaps that clients were told of.", _count(lambda parts: parts.counts.gaps)),
        counter(
            "eventstreams_lost_offsets",
            "Offsets within these gaps, as far as known.",
            _count(lambda parts: parts.counts.lost),
        ),
        counter(
            "eventstreams_skipped_records",
            "Records that cannot be decoded and were passed over, once for each group of clients.",
            _count(lambda parts: parts.counts.skipped),
        ),
        counter(
            "eventstreams_source_failures",
            "Attempts to read Kafka or the embedded sink that failed.",
            _count(lambda parts: parts.counts.source_failures),
        ),
        counter(
            "eventstreams_reader_jobs",
            "Readings for clients that were behind.",
            _count(lambda parts: parts.hub.pool.jobs),
        ),
        gauge("eventstreams_readers_busy", "Readers at work for them.", _gauge(lambda parts: parts.hub.pool.busy)),
        gauge(
            "eventstreams_readers_wanted",
            "Clients that wait for a reader.",
            _gauge(lambda parts: parts.hub.pool.waiting),
        ),
        gauge(
            "eventstreams_choices",
            "Different choices of streams, filter, fields and sample.",
            _gauge(lambda parts: parts.hub.projection_count()),
        ),
        counter(
            "eventstreams_filter_evaluations",
            "Evaluations of filters: one for each event and different filter.",
            _count(lambda parts: parts.counts.evaluated),
        ),
        connections("eventstreams_"),
        responses(ROUTES, "eventstreams_", " A stream counts when it begins."),
        limits_hit("eventstreams_"),
        counter(
            "eventstreams_internal_errors",
            "Unexpected exceptions at the top of a request.",
            _count(lambda parts: parts.server.handler_errors),
        ),
    ),
)
TABLE: Final = MetricTable(SERVICE, STREAMS)


class StreamMeasures:
    """Writes the counts of one worker, on its beat."""

    def __init__(self, row: WorkerRow, parts: StreamParts) -> None:
        self._row = row
        self._page = row.pages().consumed
        self._parts = parts

    def write(self) -> None:
        """Copy all counts."""
        parts: Any = self._parts
        sums = array("q")
        for source in TABLE.sums.values():
            sums.extend(source.read(parts))
        self._row.write_metrics(sums, array("q", [source.read(parts) for source in TABLE.gauges.values()]))
        if self._page is not None:
            lags = self._parts.hub.lags()
            self._page.write(
                (name, (one.events, one.bytes, one.read, one.clients, lags.get(name, 0)))
                for name, one in self._parts.counts.by_stream.items()
            )
