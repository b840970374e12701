"""All metrics, and the cells of a worker's row that hold their numbers.

Place: the declarations in this room → HERE → worker.measures fills the cells, admin reads them.
Rules: cells follow the order of the declarations; all processes of a master have the same code, hence the same layout.
Not here: the memory (shared.row), the parts of a declaration (metrics.declare).
"""

from __future__ import annotations

from typing import Final

from server.metrics.catalog_metrics import CATALOG
from server.metrics.declare import Gauge, Sums
from server.metrics.event_metrics import EVENTS
from server.metrics.http_metrics import HTTP
from server.metrics.service_metrics import SERVICE
from server.metrics.sink_metrics import SINK
from server.metrics.spool_metrics import SPOOL
from server.shared.row import GAUGE_CELLS, SUM_CELLS

SECTIONS: Final = (SERVICE, HTTP, EVENTS, SPOOL, SINK, CATALOG)  # In the order of the reference page.
METRICS: Final = {metric.name: metric for section in SECTIONS for metric in section.metrics}

# By name of the metric, in the order of their cells.
SUMS: Final[dict[str, Sums]] = {
    name: metric.source for name, metric in METRICS.items() if isinstance(metric.source, Sums)
}
GAUGES: Final[dict[str, Gauge]] = {
    name: metric.source for name, metric in METRICS.items() if isinstance(metric.source, Gauge)
}


def _places() -> dict[str, slice]:
    places, at = {}, 0
    for name, source in SUMS.items():
        places[name] = slice(at, at + len(source.cells))
        at += len(source.cells)
    assert at <= SUM_CELLS, f"a row has {SUM_CELLS} cells for sums, {at} are needed"
    assert len(GAUGES) <= GAUGE_CELLS, f"a row has {GAUGE_CELLS} cells for gauges, {len(GAUGES)} are needed"
    return places


SUM_PLACES: Final = _places()
GAUGE_PLACES: Final = {name: place for place, name in enumerate(GAUGES)}
