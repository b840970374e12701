"""server.admin: one table of metrics, from which the page is rendered and which every scrape fills."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.admin.collect import READERS
from server.admin.metrics_page import render
from server.admin.sheet import FAMILIES, PLACES, ROUTES, Gauge
from server.admin.table import METRICS, SECTIONS
from server.http.limits import KINDS
from server.intake.verdict import ERROR_TYPES, INVALID_TYPES
from server.pages.published import PATHS
from server.shared.row import GAUGE_CELLS, SUM_CELLS

PAGE = Path(__file__).parents[3] / "docs" / "METRICS.md"


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text() == render(), "run: python -m server.admin.metrics_page > docs/METRICS.md"


def test_no_metric_stands_there_twice() -> None:
    assert len(METRICS) == sum(len(section.metrics) for section in SECTIONS)


def test_every_metric_has_a_reader_and_no_reader_is_without_one() -> None:
    own = {name for name, metric in METRICS.items() if metric.kind == "histogram"} | {"penstock_scrape_seconds"}

    assert READERS.keys() == METRICS.keys() - own


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_names_follow_the_rules_of_prometheus(metric: object) -> None:
    name = METRICS[metric.name].name  # type: ignore[attr-defined]

    assert re.fullmatch(r"penstock(_[a-z0-9]+)+", name)
    assert not re.search(r"_(total|count|sum|bucket|info|ms|us|s)$", name)


def test_the_sheet_has_a_place_for_every_number() -> None:
    assert max(place.stop for place in PLACES.values()) <= SUM_CELLS
    assert len(Gauge) <= GAUGE_CELLS
    assert [place.stop - place.start for place in PLACES.values()] == [len(family.labels) for family in FAMILIES]
    assert [labels for (labels,) in FAMILIES[1].labels] == sorted(INVALID_TYPES | ERROR_TYPES)
    assert [labels for (labels,) in FAMILIES[2].labels] == list(KINDS)


def test_every_route_of_a_worker_is_a_label() -> None:
    """One that is not is counted as ``other``: add it to server.admin.sheet."""
    server = Path(__file__).parents[3] / "server"
    texts = [(server / name).read_text() for name in ("worker/process.py", "pages/service.py", "pages/receipt.py")]
    written = {path for text in texts for path in re.findall(r'"(/[a-z_][\w./-]*)"', text)}

    assert "/v1/events" in written
    assert written | set(PATHS) - {"/v1/receipts/"} <= {*ROUTES, "/v1/receipts/"}
