"""The soak finds no broken promise in the service, and finds those that are made up for it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from server.shared.ledger import NAMES, Numbers
from soak.books import Books
from soak.clients import Sent
from soak.faults import Fault
from soak.log_reader import LogReader
from soak.service import Kill
from soak.strangers import Strangers
from soak.topic_reader import StoredRecord
from soak.verdict import judge
from tests.harness.running import ROOT, eventually

MINUTES = "0.7"


@pytest.mark.timeout(240)
def test_a_short_soak_breaks_no_promise(tmp_path: Path) -> None:
    report = tmp_path / "soak.json"
    command = [sys.executable, "-m", "server", "soak", "--seed", "1", "--minutes", MINUTES, "--report", str(report)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=220)

    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(report.read_text())
    assert outcome["verdict"]["violations"] == []
    assert outcome["verdict"]["once"] > 500
    assert len(outcome["faults"]) > 1


def test_a_soak_that_is_told_to_end_leaves_no_process_and_no_directory(tmp_path: Path) -> None:
    def started() -> int:
        count = 0
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # It has ended meanwhile.
                count += os.fsencode(tmp_path) in line.read_bytes()
        return count

    command = [sys.executable, "-m", "server", "soak", "--minutes", "5"]
    soak = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)})
    try:
        eventually(lambda: started() > 2)  # The master and workers.
        soak.terminate()
        assert soak.wait(60) == 143
    finally:
        soak.kill()
    eventually(lambda: started() == 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--minutes", "x"], ["--kafka", "/nowhere"]])
def test_wrong_command_lines_end_with_2(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "server", "soak", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def visited(visit: Callable[[Strangers], Coroutine[Any, Any, str]]) -> Strangers:
    """A visit to a server that takes connections and never reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as server:
        strangers = Strangers(1, server.getsockname)
        asyncio.run(visit(strangers))
        return strangers


@pytest.mark.parametrize("visit", [Strangers.hang_up, Strangers.expect, Strangers.leave_refusals])
def test_what_strangers_send_is_in_the_books_without_an_answer(
    visit: Callable[[Strangers], Coroutine[Any, Any, str]],
) -> None:
    strangers = visited(visit)

    assert {one.status for one in strangers.sent} <= {0}
    assert violations(strangers.sent, [], accepted=0) == []
    identities = {(one.client, one.number) for one in strangers.sent}
    assert len(identities) == len(strangers.sent)


def test_strangers_let_go_of_all_connections() -> None:
    before = len(os.listdir("/proc/self/fd"))
    visited(lambda strangers: strangers.use_up_descriptors(0.2))

    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_reader_of_the_log_that_stalls_loses_nothing_and_one_that_is_gone_breaks_the_pipe(tmp_path: Path) -> None:
    reader = LogReader(tmp_path / "log")
    reader.start()
    os.write(reader.write_fd, b"one\n")
    eventually(lambda: (tmp_path / "log").read_bytes() == b"one\n")
    reader.stall()
    os.write(reader.write_fd, b"two\n")  # The last that is read: it was waited for.
    os.set_blocking(reader.write_fd, False)
    with pytest.raises(BlockingIOError):
        write_for_ever(reader.write_fd)
    reader.go_on()
    eventually(lambda: b"two\nxxx" in (tmp_path / "log").read_bytes())
    reader.vanish()
    os.set_blocking(reader.write_fd, True)
    with pytest.raises(BrokenPipeError):
        write_for_ever(reader.write_fd)
    os.close(reader.write_fd)
    reader.join(60)


def write_for_ever(fd: int) -> None:
    while True:
        os.write(fd, b"x" * 512)


STREAM = "s"


def event(number: int) -> dict[str, Any]:
    return {"meta": {"stream": STREAM, "request_id": f"1/{number}"}, "total": number}


def sent(number: int, status: int, *, is_hasty: bool = False, worker: int = 7) -> Sent:
    return Sent(1, number, is_hasty, event(number), 100.0, status, None, 100.1, worker=worker)


def read(offset: int, number: int) -> StoredRecord:
    return StoredRecord(("t", 0), offset, b"k", event(number) | {"added": 1})


def numbers(**counts: int) -> Numbers:
    return dict.fromkeys(NAMES, 0) | counts


def books(told: list[Sent], kills: list[Kill], **counts: int) -> Books:
    """Those of a service that accepted what it said; without ``counts`` all of it has been delivered."""
    accepted = sum(one.status in (201, 202) for one in told)
    return Books([{STREAM: numbers(**{"accepted": accepted} | (counts or {"delivered": accepted}))}], kills)


def violations(
    told: list[Sent],
    there: list[StoredRecord],
    faults: list[Fault] | None = None,
    gaps: int = 0,
    *,
    kills: list[Kill] | None = None,
    is_idempotent: bool = False,
    **counts: int,
) -> list[str]:
    kept = books(told, kills or [], **counts)
    return judge(told, there, faults or [Fault("HUP", 0.0)], kept, gaps, is_idempotent=is_idempotent).violations


def test_what_is_kept_is_no_violation() -> None:
    told = [sent(0, 201), sent(1, 202), sent(2, 503), sent(3, 0), sent(4, 202, is_hasty=True), sent(5, 0)]

    assert violations(told, [read(0, 0), read(1, 1), read(2, 3), read(3, 4), read(4, 0)]) == []


@pytest.mark.parametrize(
    ("told", "there", "what"),
    [
        ([sent(0, 201)], [], "guaranteed events lost"),
        ([sent(0, 202)], [], "guaranteed events lost"),
        ([sent(0, 202, is_hasty=True)], [], "lost without a kill"),
        ([sent(0, 503)], [read(0, 0)], "ghosts"),
        ([sent(0, 201), sent(1, 201)], [read(0, 1), read(1, 0)], "out of order"),
        ([], [read(0, 7)], "never sent"),
        ([sent(0, 201)], [StoredRecord(("t", 0), 0, b"k", event(0) | {"total": 5})], "wrong payloads"),
    ],
)
def test_each_broken_promise_is_found(told: list[Sent], there: list[StoredRecord], what: str) -> None:
    found = violations(told, there, delivered=len(there), spooled=len(told) - len(there))

    assert any(what in one for one in found)


LOST = [sent(0, 202, is_hasty=True)]


def test_hasty_events_may_be_lost_to_a_kill_of_their_worker_that_came_soon() -> None:
    assert violations(LOST, [], kills=[Kill(7, 103.0, 0)], spooled=0) == []
    assert "without a kill" in violations(LOST, [], kills=[Kill(7, 120.0, 0)], spooled=0)[0]
    assert "without a kill" in violations(LOST, [], kills=[Kill(8, 103.0, 0)], spooled=0)[0]
    assert "guaranteed" in violations([sent(0, 201)], [], kills=[Kill(7, 100.2, 0)], spooled=0)[0]


def test_a_loss_that_the_books_do_not_know_of_is_none_that_a_kill_excuses() -> None:
    (violation,) = violations(LOST, [], kills=[Kill(7, 105.0, 0)], spooled=1)

    assert "in all, and 0 by the books" in violation


def test_hasty_events_may_be_refused_for_good_and_no_more_than_the_books_count() -> None:
    refused = [Fault("brokers refuse", 100.0, 101.0, "not authorised, 5 times")]

    assert violations(LOST, [], refused, broker_rejected=1) == []
    assert "refused for good, and 0" in violations(LOST, [], refused, spooled=1)[0]
    passing = [Fault("brokers refuse", 100.0, 101.0, "not enough replicas, 5 times")]
    assert "without a kill" in violations(LOST, [], passing, broker_rejected=1)[0]


def test_spooled_events_are_not_lost_because_they_are_too_large_later() -> None:
    later = [Fault("brokers refuse", 430.0, 431.0, "message too large, 5 times")]

    assert "without a kill" in violations(LOST, [], later, spooled=1)[0]


def test_brokers_that_lose_records_themselves_spoil_the_verdict() -> None:
    assert "lost records" in violations([], [], gaps=1)[0]


def test_duplicates_need_a_fault_and_brokers_that_do_not_know_them_again() -> None:
    told, twice = [sent(0, 201)], [read(0, 0), read(1, 0)]

    assert "twice" in judge(told, twice, [], books(told, []), 0, is_idempotent=False).violations[0]
    assert violations(told, twice) == []
    assert "acked at once" in violations(told, twice, is_idempotent=True)[0]
    assert violations([sent(0, 202)], twice, is_idempotent=True) == []


def test_an_event_that_timed_out_while_the_disk_was_full_may_be_there_after_a_503() -> None:
    quick, late = sent(0, 503), sent(0, 503)
    late.answered_at = late.sent_at + 6
    full = Fault("the disk is full while the brokers are away", 99.0, 109.0, is_of_brokers=True)

    assert "ghosts" in violations([quick], [read(0, 0)], [full], accepted=0)[0]
    assert "ghosts" in violations([late], [read(0, 0)], [Fault("brokers hang", 99.0, 109.0)], accepted=0)[0]
    assert not any("ghosts" in one for one in violations([late], [read(0, 0)], [full], accepted=0))


def test_an_event_that_was_on_its_way_while_brokers_were_away_may_be_there_twice() -> None:
    told, twice = [sent(0, 201)], [read(0, 0), read(1, 0)]

    for at, until, is_of_brokers, is_excused in (
        (99.0, 100.05, True, True),
        (95.0, 99.0, True, True),  # What it held up times out as late as this.
        (99.0, 100.05, False, False),  # A worker died.
        (80.0, 90.0, True, False),
        (101.0, 105.0, True, False),  # It had been answered by then.
    ):
        fault = Fault("brokers hang", at, until, is_of_brokers=is_of_brokers)
        assert (violations(told, twice, [fault], is_idempotent=True) == []) == is_excused


def test_order_is_asked_for_wherever_the_service_must_have_known_it() -> None:
    there = [read(0, 1), read(1, 0)]
    older, younger = sent(0, 202, is_hasty=True, worker=7), sent(1, 202, is_hasty=True, worker=8)
    assert violations([older, younger], there)  # One connection.
    younger.connection = 2
    assert violations([older, younger], there) == []
    older.worker = 8
    assert violations([older, younger], there)  # One worker.
    older.worker, younger.sent_at = 7, 160.0
    assert violations([older, younger], there)  # Well apart in time.
    older.is_hasty, younger.sent_at = False, 101.0
    assert violations([older, younger], there)  # The older one was on disk.
    older.status, younger.sent_at = 201, 100.2
    assert violations([older, younger], there)  # … or acked.
    younger.sent_at = 100.05
    assert violations([older, younger], there) == []


def test_books_that_do_not_add_up_are_found() -> None:
    told = [sent(0, 201)]

    assert "have no outcome" in violations(told, [read(0, 0)], accepted=1, spooled=0)[0]
    assert "by the answers" in violations(told, [read(0, 0)], accepted=2, delivered=2)[0]
    assert "acked by the books" in violations(told, [read(0, 0)], delivered=1, replayed=1)[0]


def test_what_became_of_an_example_is_told_with_every_copy() -> None:
    told = [sent(0, 201)]

    (history,) = judge(told, [read(0, 0), read(3, 0)], [], books(told, []), 0, is_idempotent=True).histories

    assert history.startswith("(1, 0) guaranteed, sent ")
    assert ", 201 " in history and " by 7; t/0 offset 0 read " in history and "t/0 offset 3 read " in history
    (lost,) = judge(told, [], [], books(told, []), 0, is_idempotent=True).histories
    assert lost.endswith("; never read")
