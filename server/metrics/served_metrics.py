"""Metrics that every program with an HTTP server has: the intake and EventStreams.

Place: http.server counts → HERE → metrics.http_metrics, eventstreams.metrics.
Rules: each program gives the prefix of its names and its routes. A route that is not among them counts as OTHER; UNREAD
are answers to what was no request.
Not here: metrics of one program alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from server.http.limits import KINDS
from server.http.response import PHRASES
from server.metrics.declare import Metric, Sums, counter, gauge, one

if TYPE_CHECKING:
    from server.http.server import HttpServer

OTHER: Final = "other"
UNREAD: Final = "unread"
STATUSES: Final = tuple(PHRASES)
_NOTHING: Final = (0,) * len(STATUSES)  # Of a route without a response.
_at_statuses: Final = itemgetter(*STATUSES)


def connections(prefix: str = "") -> Metric:
    """Declare the number of open connections."""
    return gauge(
        f"{prefix}http_connections", "Open connections.", one(lambda view: sum(row.connections for row in view.workers))
    )


def limits_hit(prefix: str = "") -> Metric:
    """Declare how often limits were hit."""
    return counter(
        f"{prefix}http_limits_hit",
        "Requests and connections refused or ended by a limit of `http.limits`, by limit.",
        Sums(lambda worker: [worker.server.refused[kind] for kind in KINDS], tuple((kind,) for kind in KINDS)),
        "limit",
    )


def responses(routes: Sequence[str], prefix: str = "", more: str = "") -> Metric:
    """Declare the responses by route and status. ``more`` is added to the help."""
    paths = [path.encode() for path in routes]
    named = frozenset(paths)

    def read(server: HttpServer) -> list[int]:
        by_route = server.by_route
        found: list[int] = []
        for path in paths:
            counts = by_route.get(path)
            found += _NOTHING if counts is None else _at_statuses(counts)
        unnamed = [_at_statuses(counts) for path, counts in by_route.items() if path not in named]
        found += map(sum, zip(_at_statuses(server.unrouted), *unnamed, strict=True))
        found += _at_statuses(server.unread)
        return found

    return counter(
        f"{prefix}http_responses",
        "Responses by route and status. `other`: nothing is served at the path; `unread`: the bytes were "
        f"not a request, or not a whole one.{more}",
        Sums(
            lambda worker: read(worker.server),
            tuple(product((*routes, OTHER, UNREAD), map(str, STATUSES))),
            skips_zeros=True,
        ),
        "route",
        "status",
    )
