"""server.metrics: one declaration of each metric, from which cells, page and scrape follow."""

from __future__ import annotations

import re
from array import array
from pathlib import Path

import pytest

from server.admin.metrics_page import render
from server.admin.view import HostView
from server.http.limits import KINDS
from server.intake.books.counts import Counts
from server.metrics.http_metrics import ROUTES
from server.metrics.table import GAUGE_PLACES, INTAKE, METRICS, SECTIONS, SUM_PLACES, SUMS
from server.paths import Paths
from server.shared.row import GAUGE_CELLS, SUM_CELLS
from server.shared.scoreboard import Scoreboard

PAGES = ("pages/service.py", "pages/receipt.py", "pages/published.py")
PAGE = Path(__file__).parents[3] / "docs" / "METRICS.md"


def test_the_page_is_that_of_the_table() -> None:
    assert PAGE.read_text() == render(), "run: python -m server.admin.metrics_page > docs/METRICS.md"


def test_no_metric_stands_there_twice() -> None:
    assert len(METRICS) == sum(len(section.metrics) for section in SECTIONS)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_names_follow_the_rules_of_prometheus(metric: object) -> None:
    name = METRICS[metric.name].name  # type: ignore[attr-defined]

    assert re.fullmatch(r"penstock(_[a-z0-9]+)+", name)
    assert not re.search(r"_(total|count|sum|bucket|info|ms|us|s)$", name)


def test_every_number_has_a_cell_of_its_own() -> None:
    cells = [cell for place in SUM_PLACES.values() for cell in range(place.start, place.stop)]

    assert cells == list(range(len(cells)))
    assert len(cells) <= SUM_CELLS
    assert list(GAUGE_PLACES.values()) == list(range(len(GAUGE_PLACES)))
    assert len(GAUGE_PLACES) <= GAUGE_CELLS


def test_a_cell_has_a_value_for_each_label_and_no_two_cells_have_the_same() -> None:
    for name, source in SUMS.items():
        metric = METRICS[name]
        labels = ("le",) if metric.kind == "histogram" else metric.labels

        assert {len(values) for values in source.cells} == {len(labels)}, name
        assert len(set(source.cells)) == len(source.cells), name


def test_labels_are_those_of_the_code_that_counts() -> None:
    assert [name for (name,) in SUMS["penstock_events_rejected"].cells] == list(Counts().by_type)
    assert [kind for (kind,) in SUMS["penstock_http_limits_hit"].cells] == list(KINDS)


def test_a_worker_that_is_gone_leaves_its_sums_and_takes_its_gauges_along() -> None:
    board = Scoreboard(2)
    gone, alive = board.claim(0, 1), board.claim(1, 1)
    assert gone is not None
    assert alive is not None
    sums = array("q", range(max(place.stop for place in SUM_PLACES.values())))
    gauges = array("q", range(1, len(GAUGE_PLACES) + 1))
    for row in (gone, alive):
        row.write_metrics(sums, gauges)
    board.release(gone)
    view = HostView.__new__(HostView)
    view.table = INTAKE
    view.workers, view.sums, view.gauges = board.live(), board.sums(), [row.gauges() for row in board.live()]

    for name, source in SUMS.items():
        assert view.cells(name) == [
            (labels, 2 * sums[cell]) for cell, labels in enumerate(source.cells, SUM_PLACES[name].start)
        ]
    for name, place in GAUGE_PLACES.items():
        assert (view.gauge(name), view.gauge_of(0, name)) == (gauges[place], gauges[place])


@pytest.mark.parametrize("file", ["worker/process.py", "intake/receive.py", *PAGES])
def test_every_route_of_a_worker_is_a_label(file: str) -> None:
    """One that is not would be counted as ``other``: tables of routes name members of server.paths."""
    text = (Path(__file__).parents[3] / "server" / file).read_text()

    assert re.findall(r'"(/[a-z_][\w./*-]*)"', text) == []
    assert tuple(Paths) == ROUTES
