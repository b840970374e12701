"""The layout of a worker's sheet: which of its cells in the scoreboard says what.

Place: server.worker.measures writes by it, server.admin reads by it; both build it from the same closed sets.
Rules: a family is a name and, for each of its cells, the values of its labels, all of closed sets: nothing that a
client sends becomes a label. Cells of families are sums, kept over the end of a worker; gauges are of living ones.
Not here: the memory (scoreboard), names and units for readers (admin.table).
"""

from __future__ import annotations

from enum import IntEnum, unique
from itertools import product
from typing import Final, NamedTuple

from server.http.limits import KINDS
from server.http.response import PHRASES
from server.intake.books.counts import GUARANTEED_BOUNDS, HASTY_BOUNDS
from server.intake.verdict import ERROR_TYPES, INVALID_TYPES
from server.shared.row import GAUGE_CELLS, SUM_CELLS

# Paths as the table of routes has them (``*``: whatever follows). A route that is not here counts as OTHER, and a test
# says so. UNREAD are answers to what was no request.
ROUTES: Final = (
    "/v1/events",
    "/v1/beacon",
    "/v1/pixel.gif",
    "/v1/validate",
    "/v1/receipts/*",
    "/v1/_test/events",
    "/v1/schemas",
    "/v1/schemas/*",
    "/v1/stream-configs",
    "/v1/stream-configs/*",
    "/v1/streamconfigs",
    "/w/api.php",
    "/healthz",
    "/readyz",
    "/_info",
    "/_info/name",
    "/_info/version",
    "/robots.txt",
    "/",
)
OTHER: Final = "other"
UNREAD: Final = "unread"
STATUSES: Final = tuple(PHRASES)


class Family(NamedTuple):
    """``labels`` of each cell; one cell without any is a plain sum."""

    name: str
    labels: tuple[tuple[str, ...], ...] = ((),)


FAMILIES: Final = (
    Family("responses", tuple(product((*ROUTES, OTHER, UNREAD), map(str, STATUSES)))),
    Family("rejected", tuple((error_type,) for error_type in sorted(INVALID_TYPES | ERROR_TYPES))),
    Family("limits", tuple((kind,) for kind in KINDS)),
    Family("refused", (("full",), ("draining",))),
    Family("observed"),
    Family("connections"),
    Family("late_replies"),
    Family("parse_errors"),
    Family("callback_failures"),
    # Counts of buckets, each without those below it, and the sum in microseconds.
    Family("guaranteed", tuple((str(bound),) for bound in (*GUARANTEED_BOUNDS, "+Inf", "sum"))),
    Family("hasty", tuple((str(bound),) for bound in (*HASTY_BOUNDS, "+Inf", "sum"))),
    Family("spans", (("exported",), ("failed",), ("dropped",))),
)


def _places() -> dict[str, slice]:
    places, at = {}, 0
    for family in FAMILIES:
        places[family.name] = slice(at, at + len(family.labels))
        at += len(family.labels)
    assert at <= SUM_CELLS, f"the sheet has {SUM_CELLS} cells for sums, {at} are needed"
    return places


PLACES: Final = _places()
LABELS: Final = {family.name: family.labels for family in FAMILIES}


@unique
class Gauge(IntEnum):
    """What goes up and down in one worker."""

    LOOP_LAG_US = 0  # The largest of the last LAG_BEATS beats.
    OUTSTANDING = 1  # Events that the sink has and has not settled.
    SPOOL_WAITING = 2  # Events on the way to the disk.
    SPOOL_BYTES = 3
    IN_FLIGHT = 4  # Accepted events without an outcome, by the books.
    UNACCOUNTED = 5  # Of these, events that neither the sink nor the spool has.
    HELD_BYTES = 6  # Of requests and of responses that clients are slow to take.
    IS_BROKER_AWAY = 7
    QUEUE_EVENTS = 8  # librdkafka's own word, as of its last statistics.
    QUEUE_BYTES = 9
    IS_THROTTLED = 10  # By a quota of a broker.


assert len(Gauge) <= GAUGE_CELLS
