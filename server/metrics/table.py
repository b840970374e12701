"""All metrics, and the cells of a worker's row that hold their numbers.

Place: the declarations in this room → HERE → worker.measures fills the cells, admin reads them.
Rules: cells follow the order of the declarations; all processes of a master have the same code, hence the same layout.
Not here: the memory (shared.row), the parts of a declaration (metrics.declare).
"""

from __future__ import annotations

from typing import Final

from server.metrics.background_metrics import BACKGROUND
from server.metrics.canary_metrics import CANARIES
from server.metrics.catalog_metrics import CATALOG
from server.metrics.declare import Gauge, MetricGroup, Sums
from server.metrics.event_metrics import EVENTS
from server.metrics.http_metrics import HTTP
from server.metrics.plausibility_metrics import PLAUSIBILITY
from server.metrics.service_metrics import SERVICE
from server.metrics.sink_metrics import SINK
from server.metrics.spool_metrics import SPOOL
from server.shared.row import GAUGE_CELLS, SUM_CELLS


class MetricTable:
    """The metrics of one program. ``sections`` are in the order of the reference page; ``sums`` and ``gauges`` hold the
    sources by name of the metric, in the order of their cells."""

    def __init__(self, *sections: MetricGroup) -> None:
        self.sections = sections
        self.metrics = {metric.name: metric for section in sections for metric in section.metrics}
        sources = {name: metric.source for name, metric in self.metrics.items()}
        self.sums: dict[str, Sums] = {name: one for name, one in sources.items() if isinstance(one, Sums)}
        self.gauges: dict[str, Gauge] = {name: one for name, one in sources.items() if isinstance(one, Gauge)}
        self.sum_places = self._places()
        self.gauge_places = {name: place for place, name in enumerate(self.gauges)}

    def _places(self) -> dict[str, slice]:
        places, at = {}, 0
        for name, source in self.sums.items():
            places[name] = slice(at, at + len(source.cells))
            at += len(source.cells)
        assert at <= SUM_CELLS, f"a row has {SUM_CELLS} cells for sums, {at} are needed"
        assert len(self.gauges) <= GAUGE_CELLS, (
            f"a row has {GAUGE_CELLS} cells for gauges, {len(self.gauges)} are needed"
        )
        return places


INTAKE: Final = MetricTable(SERVICE, HTTP, EVENTS, BACKGROUND, SPOOL, SINK, CATALOG, CANARIES, PLAUSIBILITY)
SECTIONS, METRICS = INTAKE.sections, INTAKE.metrics
SUMS, GAUGES, SUM_PLACES, GAUGE_PLACES = INTAKE.sums, INTAKE.gauges, INTAKE.sum_places, INTAKE.gauge_places
