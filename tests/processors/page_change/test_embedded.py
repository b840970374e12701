"""The embedded runner: from the inputs in a sink to the output in a sink, with kills in between."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from processors.page_change.catalog import open_catalog
from processors.page_change.consolidator import Consolidator
from processors.page_change.draft import Bounds
from processors.page_change.embedded.run import Runner
from processors.page_change.embedded.stop import Stop
from processors.page_change.embedded.watermarks import Watermarks
from processors.page_change.oracle.history import Wiki
from processors.page_change.oracle.inputs import Inputs, spread
from processors.page_change.oracle.run import history_of, judged, prepared, records_of, run_once, stored, verdict_on
from processors.page_change.records import Output
from processors.page_change.settings import load
from server.errors import SettingsError
from tests.harness.running import ROOT, Running, eventually
from tests.processors.page_change.events import NAMES, T, event


@pytest.mark.slow(reason="three histories from database to database")
@pytest.mark.parametrize("seed", range(3))
def test_the_output_of_a_seed_is_its_history(tmp_path: Path, seed: int) -> None:
    report = judged(tmp_path, seed, 60)

    assert report.is_good, report
    assert report.emitted > 200


@pytest.mark.slow(reason="several runs of one history")
def test_every_interleaving_and_a_replay_give_the_same_bytes() -> None:
    wiki = Wiki(7, 60)
    wiki.run()
    inputs = spread(wiki, 7, 60_000, 30_000, late_share=0.0)

    found = [interleaved(inputs, seed) for seed in range(6)]

    assert len(found[0]) > 200
    assert all(one == found[0] for one in found)


def interleaved(inputs: Inputs, seed: int) -> list[Output]:
    """Consolidate, reading the inputs in turns that follow from the seed."""
    chance = random.Random(seed)
    consolidator = Consolidator(Bounds(), NAMES)
    marks = Watermarks(60_000, {})
    left = {centre: list(reversed(records)) for centre, records in inputs.centres.items()}
    found: list[Output] = []
    while any(left.values()):
        centre = chance.choice([name for name, records in left.items() if records])
        for _ in range(chance.randint(1, 200)):
            if left[centre]:
                one = left[centre].pop()
                found += consolidator.take(one.raw, one.at)
                marks.note(centre, one.at, None if left[centre] else 1 << 60)
        found += consolidator.advance(marks.value(list(left)))
    return [one for one in found + consolidator.flush() if one.stream == NAMES.output]


def test_nothing_of_a_shuffled_history_is_lost_without_an_outcome() -> None:
    wiki = Wiki(9, 60)
    wiki.run()
    inputs = spread(wiki, 9, 60_000, 30_000)
    for records in inputs.centres.values():
        random.Random(1).shuffle(records)  # Far beyond all bounds.
    consolidator = Consolidator(Bounds(), NAMES)
    for records in inputs.centres.values():
        for one in records:
            consolidator.take(one.raw, one.at)
            consolidator.advance(one.at - 60_000)
    consolidator.flush()
    facts = {"unmerged", "missed_revision", "rev_dt_unknown", "flushed"}

    counted = sum(count for (_, verdict), count in consolidator.counts.items() if verdict not in facts)

    assert counted == inputs.count


def test_a_second_run_goes_on_where_the_first_one_stopped(tmp_path: Path) -> None:
    config = prepared(tmp_path, {"eqiad": records_of([orjson.dumps(event("page-create", 10, 0))])})

    first = run_once(config)
    second = run_once(config)

    assert len(first) == 1
    assert second == first


def test_a_partition_that_is_idle_holds_nothing_up_and_one_that_lags_does() -> None:
    marks = Watermarks(60_000, {})
    marks.note("busy", T, None)

    assert marks.value(["busy", "new"]) == -1
    marks.note("new", -1, T + 500_000)
    assert marks.value(["busy", "new"]) == T - 60_000
    assert marks.least_ahead(["busy", "new"]) == "busy"
    marks.note("busy", T + 1, T + 600_000)
    assert marks.value(["busy", "new"]) == T + 440_000
    assert marks.least_ahead(["busy", "new"]) is None


def test_an_input_that_appears_later_is_read_and_its_old_events_are_late(tmp_path: Path) -> None:
    config = prepared(tmp_path, {"eqiad": records_of([orjson.dumps(event("page-create", 10, 0))])}, commit_s=0.01)
    settings, base_dir = load(config)
    stop = Stop()
    runner = Runner(settings, base_dir, open_catalog(settings, base_dir), stop)
    later = tmp_path / "later"
    later.mkdir()
    prepared(later, {"codfw": records_of([orjson.dumps(event("page-create", 20, 0, page_id=8))])})
    commits: list[int] = []

    def on_commit() -> None:
        commits.append(1)
        if not (tmp_path / "sink" / "events-9.db").exists():
            os.rename(later / "sink" / "events-0.db", tmp_path / "sink" / "events-9.db")
        elif len(stored(base_dir / settings.path)) == 2:
            stop.ask()

    try:
        runner.run(on_commit=on_commit)
    finally:
        runner.close()

    assert [(one.stream, one.key) for one in stored(base_dir / settings.path)] == [
        (NAMES.output, b'{"wiki_id":"examplewiki","page_id":7}'),
        (NAMES.late, b'{"wiki_id":"examplewiki","page_id":8}'),
    ]


@pytest.mark.slow(reason="starts the command several times")
def test_a_kill_in_the_middle_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    wiki, inputs = history_of(21, 400)
    expected_at = tmp_path / "expected"
    expected_at.mkdir()
    expected = run_once(prepared(expected_at, inputs.centres))
    config = prepared(tmp_path, inputs.centres, commit_events=100, commit_s=0.01)
    kills = 0
    for goal in (200, 900, 1_700):
        with Running(["-m", "server", "process", "page-change", "-c", str(config), "--once"], tmp_path / "log") as one:
            eventually(partial(_has_rows_or_is_done, tmp_path, goal, one))
            one.signal(signal.SIGKILL)
            kills += one.exit_code() == -signal.SIGKILL
    outputs = run_once(config)
    report = verdict_on(wiki, inputs, outputs)

    assert kills >= 1
    assert report.is_good, report
    assert sorted(one.value for one in outputs if one.stream == NAMES.output) == sorted(
        one.value for one in expected if one.stream == NAMES.output
    )


def _has_rows_or_is_done(directory: Path, goal: int, process: Running) -> bool:
    """Whether this many records of the output are stored, or no more will be."""
    try:
        rows = len(stored(directory / "out"))
    except sqlite3.OperationalError:
        rows = 0  # It has not been made yet.
    return rows >= goal or process.process.poll() is not None


def test_two_processes_cannot_have_one_state(tmp_path: Path) -> None:
    settings, base_dir = load(prepared(tmp_path, {"eqiad": []}))
    catalog = open_catalog(settings, base_dir)
    runner = Runner(settings, base_dir, catalog)

    with pytest.raises(SettingsError, match="in use by another process"):
        Runner(settings, base_dir, catalog)
    runner.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"output": "mediawiki.page-move"}, "'mediawiki/page/change' is needed"),
        ({"inputs": {"other": "move"}}, "stream 'other' is not declared"),
        ({"inputs": {"mediawiki.page-move": "delete"}}, "'mediawiki/page/delete' is needed"),
        ({"reorder": 3}, "reorder_s"),
        ({"disorder_s": -1}, "disorder_s"),
        ({"intake": None}, "intake is missing"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    config = prepared(tmp_path, {"eqiad": []})
    given = orjson.loads(config.read_bytes()) | change
    config.write_bytes(orjson.dumps({name: value for name, value in given.items() if value is not None}))

    with pytest.raises(SettingsError, match=reason):
        open_catalog(*load(config))


@pytest.mark.slow(reason="starts the command")
def test_the_oracle_prints_one_object() -> None:
    command = [sys.executable, "-m", "server", "process", "page-change", "--oracle", "--seed", "4", "--pages", "30"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    report = orjson.loads(done.stdout)

    assert done.returncode == 0, done.stderr
    assert {"emitted", "wrong_order", "lost", "superseded", "duplicates"} <= report.keys()
    assert report["emitted"] > 50


def test_the_checker_finds_each_fault(tmp_path: Path) -> None:
    wiki, inputs = history_of(4, 40)
    outputs = run_once(prepared(tmp_path, inputs.centres))
    changes = [one for one in outputs if one.stream == NAMES.output]
    page = next(page for page, history in wiki.truth.items() if len(history) > 3 and page not in inputs.late_pages)
    own = [one for one in changes if one.key is not None and one.key.endswith(b":%d}" % page)]

    def without(one: Output) -> list[Output]:
        return [other for other in outputs if other is not one]

    assert verdict_on(wiki, inputs, outputs).is_good
    assert verdict_on(wiki, inputs, without(own[1])).lost == 1
    assert verdict_on(wiki, inputs, [*outputs, own[1]]).duplicates == 1
    moved = verdict_on(wiki, inputs, [*without(own[1]), own[1]])
    assert (moved.superseded, moved.wrong_order, moved.is_good) == (1, 1, False)
    other = orjson.loads(own[0].value)
    other["page"]["page_title"] = "Another"
    wrong = Output(own[0].stream, own[0].key, 0, orjson.dumps(other))
    assert verdict_on(wiki, inputs, [*without(own[0]), wrong]).unexpected == 1
