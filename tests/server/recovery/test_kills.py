"""A recovery that is killed at any point loses no event and stores none twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.running import PATIENCE_S, ROOT
from tests.server.recovery.site import STREAM, Site

EVENTS = 3_000
KILLS = 6
COUNT = "SELECT count(*) FROM event WHERE topic = ?"


def stored(site: Site) -> int:
    """Return the number of recovered events, in all databases."""
    return sum(counted(path) for path in site.events.glob("events-*.db"))


def counted(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE_S)) as database:
            return int(database.execute(COUNT, (STREAM,)).fetchone()[0])
    except sqlite3.OperationalError as failed:
        if "no such table" in str(failed):  # The database is being made.
            return 0
        raise


@pytest.mark.slow(reason="it starts a process for each kill, which reads settings and schemas")
def test_a_recovery_that_is_killed_at_random_points_stores_every_event_once(tmp_path: Path) -> None:
    site, random_points = Site(tmp_path), random.Random(24)
    site.refuse_many(EVENTS)
    site.put_schema("1.0.0", note={"type": "string", "maxLength": 80})
    command = [
        sys.executable,
        "-m",
        "server",
        "recover",
        "-c",
        str(site.settings),
        "--stream",
        STREAM,
        "--rate",
        "2000",
    ]
    killed_at = []
    for _ in range(KILLS):
        before = stored(site)
        at = before + random_points.randrange((EVENTS - before) // 2 + 1)
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while stored(site) <= at and process.poll() is None:
                assert time.monotonic() < deadline
        finally:
            process.kill()
            process.wait()
        killed_at.append(stored(site))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.returncode == 0, done.stdout + done.stderr
    assert len({count for count in killed_at if 0 < count < EVENTS}) >= 2, "no kill came in the middle"
    assert sorted(site.ids()) == sorted(f"sale-{number}" for number in range(EVENTS))


@pytest.mark.slow(reason="it starts two processes, which read settings and schemas")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_recovery_reports_what_is_left_and_the_next_one_stores_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    site = Site(tmp_path)
    site.refuse_many(EVENTS)
    site.put_schema("1.0.0", note={"type": "string", "maxLength": 80})
    command = [sys.executable, "-m", "server", "recover", "-c", str(site.settings), "--stream", STREAM]
    with subprocess.Popen([*command, "--rate", "50"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not stored(site) and process.poll() is None:
                assert time.monotonic() < deadline
            process.send_signal(number)
            said = process.communicate(timeout=PATIENCE_S)[0]
        finally:
            process.kill()
    count = stored(site)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)

    assert process.returncode == 1
    assert f"  {count} recovered" in said
    assert f"  {EVENTS - count} left for the next run: it was interrupted" in said
    assert (done.returncode, stored(site)) == (0, EVENTS)
