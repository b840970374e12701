"""The metrics of the embedded runner, and forgetting a wiki."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from processors.metrics_server import table
from processors.page_change.catalog import open_catalog
from processors.page_change.consolidator import Consolidator
from processors.page_change.draft import Bounds
from processors.page_change.embedded import metrics
from processors.page_change.embedded.run import Runner
from processors.page_change.embedded.stop import Stop
from processors.page_change.embedded.store import Store
from processors.page_change.oracle.run import prepared, records_of, stored
from processors.page_change.records import Output
from processors.page_change.settings import load
from server.errors import SettingsError
from tests.harness.running import ROOT
from tests.processors.page_change.events import NAMES, T, event

HISTORY = (
    event("page-create", 10, 0),
    event("revision-create", 10, 0.1, 0),
    event("revision-create", 11, 100, rev_parent_id=10, id="twice"),
    event("revision-create", 11, 100, rev_parent_id=10, id="twice"),
    event("page-delete", 11, 200),
    event("page-delete", 11, 300),
)


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """Return the samples: name without prefix and values of the labels → value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        text = response.read().decode()
    return {
        (sample.name.removeprefix(metrics.PREFIX), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_shows_what_became_of_each_event(tmp_path: Path) -> None:
    lines = [orjson.dumps(one) for one in HISTORY]
    broken = orjson.dumps({**event("page-delete", 0, 400), "rev_id": 0})
    config = prepared(tmp_path, {"eqiad": records_of([*lines, broken])}, metrics_listen="127.0.0.1:0", ttl_h=8_000)
    settings, base_dir = load(config)
    runner = Runner(settings, base_dir, open_catalog(settings, base_dir))
    try:
        before = scrape(runner.metrics_port)
        runner.run(once=True)
        runner.metrics._sized_at = -metrics.SIZES_EVERY_S  # The sizes are those of the first scrape for a minute.
        found = scrape(runner.metrics_port)
    finally:
        runner.close()

    assert before["commits_total",] == 0
    assert before["state_pages",] == 0
    assert found["commits_total",] >= 1
    assert found["last_commit_time_seconds",] * 1000 > T
    assert found["events_in_total", "mediawiki.revision-create"] == 3
    assert found["events_in_total", "mediawiki.page-delete"] == 3
    assert {key[1]: value for key, value in found.items() if key[0] == "events_out_total"} == {
        "create": 1,
        "edit": 1,
        "delete": 1,
    }
    assert found["verdicts_total", "mediawiki.revision-create", "duplicate"] == 1
    assert found["verdicts_total", "mediawiki.page-delete", "delete_of_gone"] == 1
    assert found["verdicts_total", "mediawiki.page-delete", "invalid"] == 1
    assert found["side_events_total", NAMES.inconsistent] == 1
    assert found["side_events_total", NAMES.error] == 1
    assert found["state_pages",] == 1
    assert found["state_bytes",] > 20
    assert found["waiting_events",] == 0
    assert found["watermark_lag_seconds",] >= 60
    assert found["partition_lag_seconds", "events-0.db"] < found["watermark_lag_seconds",]


def test_the_clock_of_idle_inputs_goes_on(tmp_path: Path) -> None:
    settings, base_dir = load(prepared(tmp_path, {"eqiad": []}, commit_s=0.01))
    stop = Stop()
    told: list[metrics.Told] = []

    def look() -> None:
        assert runner.metrics._told is not None
        told.append(runner.metrics._told)
        if len(told) == 3:
            stop.ask()

    runner = Runner(settings, base_dir, open_catalog(settings, base_dir), stop)
    with closing(runner):
        before = runner.metrics._told
        runner.run(on_commit=look)

    assert before is not None
    assert before.watermark == -1
    assert 0 < told[0].watermark < told[2].watermark
    assert [one.commits for one in told] == [0, 0, 0]
    assert {one.committed_at for one in told} == {before.committed_at}


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    settings, base_dir = load(prepared(tmp_path, {"eqiad": []}, metrics_listen="127.0.0.1:port"))

    with pytest.raises(SettingsError, match="metrics_listen"):
        Runner(settings, base_dir, open_catalog(settings, base_dir))


def test_the_page_lists_the_metrics() -> None:
    assert table(metrics.PREFIX, metrics.DECLARED) in (ROOT / "docs" / "PAGE_CHANGE.md").read_text("utf-8")


@pytest.mark.slow(reason="starts the command")
def test_a_wiki_whose_numbers_begin_again_can_be_forgotten(tmp_path: Path) -> None:
    config = prepared(tmp_path, {"eqiad": records_of([orjson.dumps(event("page-create", 10, 0))])}, ttl_h=8_000)
    before = run(config)
    command = [sys.executable, "-m", "server", "process", "page-change", "-c", str(config)]
    done = subprocess.run([*command, "--forget-wiki", "examplewiki"], cwd=ROOT, capture_output=True, timeout=60)
    later = tmp_path / "later"
    later.mkdir()
    prepared(later, {"codfw": records_of([orjson.dumps(event("page-create", 3, 500))])})
    (later / "sink" / "events-0.db").rename(tmp_path / "sink" / "events-1.db")
    after = run(config)

    assert (done.returncode, orjson.loads(done.stdout)) == (0, {"wiki": "examplewiki", "forgotten": 1}), done.stderr
    assert [orjson.loads(one.value)["revision"]["rev_id"] for one in before] == [10]
    # Its revision is smaller than that of before; with the state it would have been superseded.
    assert [orjson.loads(one.value)["revision"]["rev_id"] for one in after] == [10, 3]


def test_events_that_wait_go_on_waiting_when_their_wiki_is_forgotten(tmp_path: Path) -> None:
    core = Consolidator(Bounds(), NAMES)
    for raw in records_of([orjson.dumps(one) for one in HISTORY[:2]]):
        core.take(raw.raw, raw.at)
    key = ("examplewiki", 7)
    store = Store(tmp_path)
    store.commit([(key, core.page(key)), (("other", 7), core.page(key))], [], {}, -1)

    forgotten = store.forget_wiki("examplewiki")
    waiting = store.waiting()
    store.close()

    assert forgotten == 1
    assert sorted(waiting) == [key, ("other", 7)]
    assert len(waiting[key].pending) == 2


def run(config: Path) -> list[Output]:
    """Run to the end of the inputs. Returns all records of the output."""
    settings, base_dir = load(config)
    runner = Runner(settings, base_dir, open_catalog(settings, base_dir))
    try:
        runner.run(once=True)
    finally:
        runner.close()
    return [one for one in stored(base_dir / settings.path) if one.stream == NAMES.output]
