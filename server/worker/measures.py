"""Copy what a worker's parts have counted to its sheet and pages in shared memory, on the beat.

Place: worker → HERE → scoreboard, by the layout of server.admin.sheet.
Rules: parts count plain integers; nobody but this file knows where they go. It takes 0.1 ms a beat, whatever was
served, and a millisecond with a thousand schemas and streams.
Not here: single counters that the master's row has had all along (worker), names for readers (admin.table).
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from server.admin.sheet import FAMILIES, ROUTES, STATUSES, Gauge

if TYPE_CHECKING:
    from server.http.server import HttpServer
    from server.intake.books.counts import Times
    from server.intake.pipeline import Pipeline
    from server.intake.receive import Receiver
    from server.shared.row import WorkerRow
    from server.tracing.make import Tracing
    from server.worker.durability import Durability

LAG_BEATS: Final = 20  # 10 s of beats: a stall is seen by whoever looks every 10 s.


class Measures:
    """One worker's."""

    def __init__(
        self,
        row: WorkerRow,
        server: HttpServer,
        receiver: Receiver,
        pipeline: Pipeline,
        durability: Durability,
        tracing: Tracing,
    ) -> None:
        self._row = row
        self._pages = row.pages()
        self._server = server
        self._counts = receiver.counts
        self._pipeline = pipeline
        self._durability = durability
        self._tracing = tracing
        self._lags_s: deque[float] = deque([0.0], LAG_BEATS)
        named = {path.encode() for path in ROUTES}
        self._unnamed = [counts for path, counts in server.by_route.items() if path not in named]
        self._nothing = [0] * 600

    def note_lag(self, seconds: float) -> None:
        """A beat came so much later than it was due: so long would any other timer have waited."""
        self._lags_s.append(max(0.0, seconds))

    def write(self) -> None:
        """Hand over everything."""
        self._row.write_sheet(array("q", chain.from_iterable(self._sums())), array("q", self._gauges()))
        pages, counts = self._pages, self._counts
        if pages.streams is not None:
            pages.streams.write(counts.by_stream.items())
        if pages.schemas is not None:
            judged = self._pipeline.judged
            pages.schemas.write((one.schema_uri, (one.one_decode, one.one_pass, one.referred)) for one in judged)
        if pages.brokers is not None:
            pages.brokers.write(self._durability.brokers())

    def _sums(self) -> Iterator[Sequence[int]]:
        """In the order of the families."""
        server, counts = self._server, self._counts
        of = {
            "responses": self._responses(),
            "rejected": list(counts.by_type.values()),
            "limits": list(server.refused.values()),
            "refused": [counts.refused_full, counts.refused_draining],
            "observed": [counts.observed],
            "connections": [server.connections],
            "late_replies": [server.late_replies],
            "parse_errors": [server.parse_errors],
            "callback_failures": [server.handler_errors + self._durability.callback_failures()],
            "guaranteed": _times(counts.guaranteed),
            "hasty": _times(counts.hasty),
            "spans": self._tracing.counts(),
        }
        return (of[family.name] for family in FAMILIES)

    def _responses(self) -> list[int]:
        by_route = self._server.by_route
        columns = [by_route.get(path.encode(), self._nothing) for path in ROUTES]
        others = [sum(column) for column in zip(self._server.unrouted, *self._unnamed, strict=True)]
        return [counts[status] for counts in (*columns, others, self._server.unread) for status in STATUSES]

    def _gauges(self) -> list[int]:
        durability = self._durability
        in_flight, outstanding, waiting = durability.in_flight(), durability.outstanding(), durability.waiting()
        values = dict.fromkeys(Gauge, 0) | {
            Gauge.LOOP_LAG_US: int(max(self._lags_s) * 1e6),
            Gauge.OUTSTANDING: outstanding,
            Gauge.SPOOL_WAITING: waiting,
            Gauge.SPOOL_BYTES: durability.spool_bytes(),
            Gauge.IN_FLIGHT: in_flight,
            # The sink may hold more, such as replayed events: then some that nobody has are not seen until it is idle.
            Gauge.UNACCOUNTED: -in_flight if in_flight < 0 else max(0, in_flight - outstanding - waiting),
            Gauge.HELD_BYTES: self._server.in_flight_bytes,
            Gauge.IS_BROKER_AWAY: durability.is_broker_away(),
            Gauge.IS_THROTTLED: durability.is_throttled(),
        }
        queue = durability.queue()
        values[Gauge.QUEUE_EVENTS], values[Gauge.QUEUE_BYTES] = queue
        return list(values.values())


def _times(times: Times) -> list[int]:
    return [*times.counts, int(times.sum_s * 1e6)]
