"""What is submitted with a spool is on disk, within its bounds, until the intake has it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from penstock_client import Intake, SpoolError
from penstock_client.testing import UNAVAILABLE, Fault, FaultServer
from tests.clients.python.conftest import EVENT, STREAM
from tests.clients.python.driven import DRIVERS, SOON, make
from tests.clients.python.test_processes import run, submitted

LONG_S = 60.0
NOWHERE = "http://127.0.0.1:9"  # The port of a service that no machine runs any more.
drivers = pytest.mark.parametrize("driver", DRIVERS)


def hand_over(spool: str) -> None:
    """Let a client of any address send what is left."""
    for lock in Path(spool).glob("*.lock"):
        lock.write_bytes(b"")


def databases(spool: str) -> list[Path]:
    return sorted(Path(spool).glob("*.sqlite"))


@drivers
def test_an_event_is_on_disk_when_submit_returns_and_gone_when_it_is_sent(
    driver: str, faulty: FaultServer, spool: str
) -> None:
    client = make(driver, faulty.url, spool=spool, linger_s=LONG_S)
    ticket = client.submit(STREAM, EVENT)
    (path,) = databases(spool)
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT id, stream, body FROM events").fetchall()
    database.close()
    body = ticket.body
    was_stored = ticket.stored
    client.flush(LONG_S)

    assert rows == [(ticket.id, STREAM, body)]
    assert was_stored and not ticket.stored and ticket.outcome.is_sent
    client.close()
    assert list(Path(spool).iterdir()) == []


@drivers
@pytest.mark.parametrize("is_killed", [False, True])
def test_what_does_not_fit_into_memory_waits_on_disk_in_its_order(
    is_killed: bool, driver: str, faulty: FaultServer, spool: str
) -> None:
    options: dict[str, Any] = {"max_queue_events": 10, "max_batch_events": 1000, "linger_s": LONG_S, "spool": spool}
    client = make(driver, NOWHERE if is_killed else faulty.url, **options)
    faulty.faults.append(UNAVAILABLE)
    tickets = [client.submit(STREAM, EVENT | {"page": f"/{number}"}) for number in range(100)]
    waiting = client.health()
    if is_killed:
        client.close(0)
        hand_over(spool)
        client = make(driver, faulty.url, **options)
    result = client.close(LONG_S)

    assert waiting.queued_events == 100
    assert waiting.queued_bytes < 10 * 1000
    assert (result.sent, result.pending) == (100, 0)
    assert faulty.ids() == [ticket.id for ticket in tickets]


@drivers
def test_a_client_that_is_closed_in_time_leaves_the_rest_to_the_next(
    driver: str, faulty: FaultServer, spool: str
) -> None:
    first = make(driver, NOWHERE, spool=spool, **SOON)
    tickets = [first.submit(STREAM, EVENT) for _ in range(30)]
    left = first.close(0.05)
    hand_over(spool)
    second = make(driver, faulty.url, spool=spool)
    result = second.close(LONG_S)

    assert (left.sent, left.pending, left.dropped) == (0, 30, 0)
    assert all(ticket.outcome.status == "pending" and ticket.stored for ticket in tickets)
    assert (result.sent, result.pending) == (30, 0)
    assert faulty.ids() == [ticket.id for ticket in tickets]


def test_clients_of_one_directory_do_not_take_what_the_others_are_sending(faulty: FaultServer, spool: str) -> None:
    clients = [Intake(faulty.url, spool=spool) for _ in range(3)]
    tickets = [client.submit(STREAM, EVENT) for _ in range(20) for client in clients]
    results = [client.close(LONG_S) for client in clients]

    assert [result.sent for result in results] == [20, 20, 20]
    assert sorted(faulty.ids()) == sorted(ticket.id for ticket in tickets)


def test_a_full_spool_drops_the_oldest(faulty: FaultServer, spool: str) -> None:
    client = Intake(faulty.url, spool=spool, spool_max_bytes=5000, driver="inline")
    tickets = [client.submit(STREAM, EVENT | {"page": "/" + "x" * 500}) for _ in range(10)]
    dropped = [ticket.outcome[:2] for ticket in tickets if ticket.is_done]
    result = client.close(LONG_S)

    assert dropped == [("dropped", "queue_full")] * len(dropped)
    assert 0 < len(dropped) < 10
    assert (result.sent, result.dropped) == (10 - len(dropped), len(dropped))
    assert faulty.ids() == [ticket.id for ticket in tickets[len(dropped) :]]


def test_events_that_were_rejected_leave_the_disk_too(faulty: FaultServer, spool: str) -> None:
    faulty.faults.append(Fault(status=400, accepts=False, entries={0: "schema_violation"}))
    client = Intake(faulty.url, spool=spool)
    client.submit(STREAM, EVENT)
    client.close(LONG_S)

    assert list(Path(spool).iterdir()) == []


def test_events_that_are_too_old_are_dropped_by_the_next_client(faulty: FaultServer, spool: str) -> None:
    first = Intake(NOWHERE, spool=spool, driver="inline")
    first.submit(STREAM, EVENT)
    first.close(0)
    (path,) = databases(spool)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE events SET unix_ms = unix_ms - 4 * 24 * 3600 * 1000")
    database.close()
    hand_over(spool)
    second = Intake(faulty.url, spool=spool)
    result = second.close(LONG_S)

    assert (result.sent, result.dropped) == (0, 1)
    assert second.health().dropped == {"expired": 1}


def test_a_damaged_file_is_left_alone_and_stops_nothing(faulty: FaultServer, spool: str) -> None:
    Path(spool).mkdir()
    (Path(spool) / "old.lock").touch()
    (Path(spool) / "old.sqlite").write_bytes(b"no database" * 100)
    with sqlite3.connect(Path(spool) / "older.sqlite") as database:
        database.execute("CREATE TABLE events (row)")
    database.close()
    (Path(spool) / "older.lock").touch()
    first = Intake(NOWHERE, spool=spool, driver="inline")
    left = first.submit(STREAM, EVENT)
    first.close(0)
    hand_over(spool)
    client = Intake(faulty.url, spool=spool)
    ticket = client.submit(STREAM, EVENT)
    result = client.close(LONG_S)

    assert result.sent == 2
    assert sorted(faulty.ids()) == sorted([left.id, ticket.id])
    assert (Path(spool) / "old.sqlite").exists() and (Path(spool) / "older.sqlite").exists()


def test_a_damaged_file_is_named_in_the_log_once(
    faulty: FaultServer, spool: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path(spool).mkdir()
    (Path(spool) / "old.lock").touch()
    (Path(spool) / "old.sqlite").write_bytes(b"no database" * 100)
    client = Intake(faulty.url, spool=spool)
    for _ in range(3):
        client.flush(LONG_S)
    client.close(LONG_S)

    assert caplog.text.count("old.sqlite cannot be read") == 1
    assert "(1 more" not in caplog.text


@pytest.mark.parametrize("place", ["/proc/nowhere", "file", "file/spool"])
def test_a_directory_that_cannot_be_used_is_an_error_at_once(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for kind in (SpoolError, ValueError):
        with pytest.raises(kind, match="cannot be used"):
            Intake(NOWHERE, spool=tmp_path / place)


def test_events_for_one_address_do_not_go_to_another(
    faulty: FaultServer, spool: str, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultServer() as other:
        first = Intake(faulty.url, spool=spool, driver="inline")
        left = first.submit(STREAM, EVENT)
        first.close(0)
        second = Intake(other.url, spool=spool)
        ticket = second.submit(STREAM, EVENT)
        second.close(LONG_S)

        assert other.ids() == [ticket.id]
        assert f"holds events for {faulty.url}" in caplog.text
    assert Intake(faulty.url, spool=spool).close(LONG_S).sent == 1
    assert faulty.ids() == [left.id]


def test_after_its_directory_is_removed_nothing_is_said_to_be_stored(
    faulty: FaultServer, spool: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = Intake(faulty.url, spool=spool, driver="inline", max_queue_events=2)
    tickets = [client.submit(STREAM, EVENT) for _ in range(4)]  # Two of them are on disk alone.
    assert all(ticket.stored for ticket in tickets)
    shutil.rmtree(spool)
    tickets.append(client.submit(STREAM, EVENT))

    assert not any(ticket.stored for ticket in tickets)
    assert "was removed); events are kept in memory alone" in caplog.text
    assert client.health().dropped == {"queue_full": 1}  # The bound of memory holds now.
    assert client.close(LONG_S).sent == 4
    assert sorted(faulty.ids()) == sorted(ticket.id for ticket in tickets[1:])


def test_when_its_directory_is_back_what_waits_is_stored_again(faulty: FaultServer, spool: str) -> None:
    client = Intake(NOWHERE, spool=spool, driver="inline", max_queue_events=2)
    tickets = [client.submit(STREAM, EVENT) for _ in range(4)]
    shutil.rmtree(spool)
    Path(spool).mkdir()
    tickets.append(client.submit(STREAM, EVENT))
    assert all(ticket.stored for ticket in tickets)
    client.close(0)

    hand_over(spool)
    assert Intake(faulty.url, spool=spool).close(LONG_S).sent == 5
    assert sorted(faulty.ids()) == sorted(ticket.id for ticket in tickets)


def test_other_users_cannot_read_what_is_stored(spool: str) -> None:
    before = os.umask(0)
    try:
        client = Intake(NOWHERE, spool=spool, driver="inline")
        client.submit(STREAM, EVENT)
        modes = {path.suffix or "directory": path.stat().st_mode & 0o777 for path in Path(spool).iterdir()}
    finally:
        os.umask(before)
    client.close(0)

    assert modes == dict.fromkeys([".lock", ".sqlite", ".sqlite-wal", ".sqlite-shm"], 0o600)
    assert Path(spool).stat().st_mode & 0o777 == 0o700


def test_in_the_child_of_a_fork_a_spool_that_cannot_be_used_is_no_exception(faulty: FaultServer, spool: str) -> None:
    done = run("forks_without_spool", faulty.url, spool)

    assert done.returncode == 0, done.stderr
    assert "cannot be used" in done.stderr and "events are kept in memory alone" in done.stderr
    assert faulty.ids() == submitted(done)


def test_a_spool_that_breaks_goes_on_in_another_file(
    faulty: FaultServer, spool: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = Intake(faulty.url, spool=spool, linger_s=LONG_S)
    first = client.submit(STREAM, EVENT)
    (path,) = databases(spool)
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE events")
    database.close()
    second = client.submit(STREAM, EVENT)
    fresh = next(one for one in databases(spool) if one != path)
    with sqlite3.connect(fresh) as database:
        kept = [row[0] for row in database.execute("SELECT id FROM events ORDER BY row")]
    database.close()

    assert (first.stored, second.stored) == (True, True)
    assert kept == [first.id, second.id]
    assert "the spool goes on in another file" in caplog.text
    assert f"{path.name} cannot be read" in caplog.text or client.flush(LONG_S)
    assert f"{path.name} cannot be read" in caplog.text
    client.close(LONG_S)
    assert sorted(faulty.ids()) == sorted([first.id, second.id])
