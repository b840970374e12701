"""A scrape shows what became of each event, and how far hours are closed."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from processors.lake import metrics
from processors.metrics_server import table
from server.canary.event import DOMAIN
from server.errors import SettingsError
from tests.harness.running import ROOT
from tests.processors.lake.world import STREAM, World, event


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """Return the samples: name without prefix and values of the labels → value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        text = response.read().decode()
    return {
        (sample.name.removeprefix(metrics.PREFIX), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.slow(reason="commits to tables")
def test_a_scrape_shows_what_became_of_each_event(tmp_path: Path) -> None:
    world = World(tmp_path, metrics_listen="127.0.0.1:0")
    canary = event(9)
    canary["meta"]["domain"] = DOMAIN
    world.put(event(1), event(2), event(1), canary, "no JSON")
    began = time.time()
    runner = world.runner()
    try:
        before = scrape(runner.metrics_port)
        runner.run(once=True)
        found = scrape(runner.metrics_port)
    finally:
        runner.close()

    assert {key[2]: value for key, value in before.items() if key[0] == "events_total"} == dict.fromkeys(
        ("row", "canary", "duplicate", "rejected"), 0
    )
    assert {key[1:]: value for key, value in found.items() if key[0] == "events_total"} == {
        (STREAM, "row"): 2,
        (STREAM, "canary"): 1,
        (STREAM, "duplicate"): 1,
        (STREAM, "rejected"): 1,
    }
    assert found["commits_total",] == 1
    assert found["last_commit_time_seconds",] >= began
    assert found["closed_through_seconds", STREAM] % 3600 == 0
    assert found["closed_through_seconds", STREAM] > began - 3 * 3600
    assert 0 <= found["partition_lag_seconds", "events-0.db"] < 3600


@pytest.mark.slow(reason="opens a catalogue")
def test_an_address_that_cannot_be_taken_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, metrics_listen="127.0.0.1:port")

    with pytest.raises(SettingsError, match="metrics_listen"):
        world.runner()


def test_the_page_lists_the_metrics() -> None:
    assert table(metrics.PREFIX, metrics.DECLARED) in (ROOT / "docs" / "LAKE.md").read_text("utf-8")
