"""The whole service on its embedded sink while the database is locked, full, damaged or gone.

What was answered 2xx is stored once; what was refused is not; health is answered all the while; nothing needs a hand.
"""

from __future__ import annotations

import http.client
import json
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.running import ROOT
from tests.harness.served import Served
from tests.process.scraped import Scrape

STREAM = "app.tick.faults"
DT = "2026-01-02T03:04:05.678Z"
ROOM = 200  # Events that may wait.


def served(directory: Path, **settings: Any) -> Served:
    (directory / "log").unlink(missing_ok=True)  # Of an earlier start.
    whole: dict[str, Any] = {
        "workers": 1,
        "sink": {"max_outstanding": ROOM},
        "http": {"limits": {"max_events": ROOM, "answer_s": 20.0}},
        **settings,
    }
    return Served(directory, **whole)


class Client:
    """Requests on connections of their own, and what was promised for which event."""

    def __init__(self, service: Served) -> None:
        self._service = service
        self._next = 0
        self.promised: list[int] = []
        self.refused: list[int] = []
        self.retry_after: list[str | None] = []
        self.last_id: str | None = None

    def post(self, path: str = "/v1/events", count: int = 1) -> int:
        numbers = range(self._next, self._next + count)
        self._next += count
        events = [
            {"$schema": "/app/tick/1.0.0", "meta": {"stream": STREAM, "dt": DT}, "count": number} for number in numbers
        ]
        with closing(http.client.HTTPConnection(*self._service.address, timeout=60)) as connection:
            connection.request("POST", path, json.dumps(events), {"content-type": "application/json"})
            with connection.getresponse() as response:
                response.read()
                self.last_id = response.headers["X-Request-Id"]
                (self.promised if response.status in (201, 202) else self.refused).extend(numbers)
                if response.status == 503:
                    self.retry_after.append(response.headers["Retry-After"])
                return response.status

    def hasty(self, count: int = 10) -> int:
        return self.post("/v1/events?hasty=true", count)

    def fill(self) -> None:
        """Hasty ones until no more is taken."""
        for _ in range(ROOM + 1):
            if self.hasty() == 503:
                return
        raise AssertionError("more is taken than may wait")

    def assert_kept(self) -> None:
        count = Counter(event["value"]["count"] for event in self._service.events() if event["topic"] == STREAM)
        assert set(self.promised) - set(count) == set(), "promised and not stored"
        assert set(self.refused) & set(count) == set(), "refused and stored"
        assert set(count.values()) <= {1}


def receipt(service: Served, request_id: str | None) -> dict[str, int]:
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        connection.request("GET", f"/v1/receipts/{request_id}")
        found: dict[str, int] = json.loads(connection.getresponse().read())
        return found


def is_alive(service: Served) -> bool:
    """Whether the loop answers while the sink cannot."""
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200


def assert_books(service: Served, withdrawn: int = 0) -> None:
    """On the books of every stream, once nothing is in flight."""

    def settled() -> bool:
        scrape = Scrape.of(service)
        names = ("accepted", "delivered", "spooled", "withdrawn", "dropped")
        accepted, delivered, *others = (scrape.sum(f"penstock_events_{name}_total") for name in names)
        return accepted == delivered + sum(others) and others == [0, withdrawn, 0] and accepted > 0

    service.until(settled)
    assert Scrape.of(service).sum("penstock_events_unaccounted") == 0


def stop(service: Served) -> None:
    service.signal(signal.SIGTERM)
    assert service.exit_code() == 0, service.log()
    assert "Traceback" not in service.log()


def database(directory: Path) -> Path:
    return directory / "events" / "events-0.db"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database(directory), isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        yield
        stranger.execute("ROLLBACK")


def is_away(service: Served) -> bool:
    return Scrape.of(service).sum("penstock_sink_away_workers") == 1


def penstock_events(service: Served) -> tuple[int, list[int], str]:
    command = [sys.executable, "-m", "server", "events", "-c", str(service.settings_file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, [json.loads(line)["value"]["count"] for line in done.stdout.splitlines()], done.stderr


def test_while_a_backup_holds_the_lock_what_was_answered_2xx_waits_and_the_rest_is_refused(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        client = Client(service)
        assert client.post() == 201
        with locked(tmp_path):
            assert client.hasty() == 202
            waiting = client.last_id
            service.until(lambda: is_away(service))
            client.fill()
            held_until = time.monotonic() + 5.5
            while time.monotonic() < held_until:  # Longer than any busy timeout would be.
                assert client.hasty() == 503
                assert client.post() == 503
                assert is_alive(service)
            assert receipt(service, waiting)["pending"] == 10
        service.until(lambda: receipt(service, waiting)["delivered"] == 10)
        service.until(lambda: client.post() == 201)
        assert set(client.retry_after) != {None}
        assert None not in client.retry_after
        client.assert_kept()
        assert_books(service)
        assert "events wait in memory" in service.log()
        assert "events are stored in" in service.log()
        stop(service)


def test_a_guaranteed_event_waits_for_a_lock_or_is_refused_and_never_stored(tmp_path: Path) -> None:
    with served(tmp_path, http={"limits": {"answer_s": 3.0}}) as service:
        client = Client(service)
        assert client.post() == 201
        with locked(tmp_path):
            assert client.hasty() == 202
            assert client.post() == 503
            assert client.retry_after != [None]
            assert is_alive(service)
        service.until(lambda: client.post() == 201)
        client.assert_kept()
        assert_books(service, withdrawn=1)
        stop(service)


def test_a_lock_at_the_start_of_a_worker_does_not_end_the_service(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        assert Client(service).post() == 201
        stop(service)
    with locked(tmp_path), served(tmp_path) as service:
        client = Client(service)
        client._next = 1
        assert client.hasty() == 202
        service.until(lambda: is_away(service))
        assert is_alive(service)
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0
        assert "10 accepted events were not delivered and never will be: 10 broker_timeout" in service.log()
        assert "do not add up" not in service.log()


def test_term_waits_for_a_lock_and_loses_nothing_when_it_is_released_in_time(tmp_path: Path) -> None:
    with served(tmp_path, drain_s=20.0) as service:
        client = Client(service)
        assert client.post() == 201
        with locked(tmp_path):
            assert client.hasty() == 202
            service.until(lambda: is_away(service))
            service.signal(signal.SIGTERM)
            service.says("drain")
            assert service.process.poll() is None
        assert service.exit_code() == 0
        client.assert_kept()
        assert "were not delivered" not in service.log()


def test_a_full_disk_is_waited_for_and_passes(tmp_path: Path) -> None:
    """A limit of file sizes stands for the disk: SQLite's write fails, in the middle of a transaction."""
    with served(tmp_path) as service:
        client = Client(service)
        assert client.post() == 201
        (worker,) = service.workers()
        log = Path(f"{database(tmp_path)}-wal")
        before = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (log.stat().st_size + 10_000, before[1]))
        for _ in range(100):
            client.hasty()
            if is_away(service):
                break
        client.fill()
        assert client.post() == 503
        assert is_alive(service)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
        service.until(lambda: client.post() == 201)
        client.assert_kept()
        assert_books(service)
        assert Scrape.of(service).sum("penstock_sink_failed_commits_total") > 0
        assert Scrape.of(service).sum("penstock_sink_databases_damaged_total") == 0
        stop(service)


@pytest.mark.parametrize("gone", ["events-0.db", "events-0.db-wal", "events-0.db-shm", "events-0.*", "the directory"])
def test_files_that_are_deleted_are_noticed_and_what_is_answered_2xx_afterwards_is_stored(
    tmp_path: Path, gone: str
) -> None:
    with served(tmp_path) as service:
        early, late = Client(service), Client(service)
        assert early.hasty() == 202
        service.until(lambda: len(service.events()) == 10)
        if gone == "the directory":
            shutil.rmtree(tmp_path / "events")
        else:
            for path in (tmp_path / "events").glob(gone):
                path.unlink()
        late._next = 1000
        for _ in range(20):
            assert late.post() == 201
        service.until(lambda: Scrape.of(service).sum("penstock_sink_databases_gone_total") == 1)
        late.assert_kept()
        if gone.endswith(("-wal", "-shm")):
            early.assert_kept()
        assert_books(service)
        assert service.log().count("was deleted, replaced or made inaccessible") == 1
        stop(service)


def test_files_that_are_deleted_are_noticed_when_nothing_is_sent(tmp_path: Path) -> None:
    with served(tmp_path) as service:
        shutil.rmtree(tmp_path / "events")
        service.says("was deleted, replaced or made inaccessible")
        service.until(database(tmp_path).exists)
        stop(service)


def test_a_directory_that_cannot_be_made_again_is_waited_for(tmp_path: Path) -> None:
    """A file in its place stands for a directory without the right to write: tests may run as root."""
    with served(tmp_path) as service:
        client = Client(service)
        shutil.rmtree(tmp_path / "events")
        (tmp_path / "events").write_text("in the way")
        assert client.hasty() == 202
        service.until(lambda: is_away(service))
        client.fill()
        assert client.post() == 503
        assert is_alive(service)
        (tmp_path / "events").unlink()
        service.until(lambda: client.post() == 201)
        client.assert_kept()
        assert_books(service)
        stop(service)


def overwrite(path: Path, page: int, length: int = 4096) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(b"\xaa" * length)


def filled(directory: Path) -> list[int]:
    """A service that has stored 1000 events on some 60 pages, and stopped."""
    with served(directory) as service:
        client = Client(service)
        for _ in range(10):
            assert client.post(count=100) == 201
        stop(service)
        return client.promised


@pytest.mark.parametrize(("page", "length", "most_lost"), [(30, 4096, 30), (0, 16, 0), (0, 100, 0), (0, 4096, 0)])
def test_a_damaged_database_is_set_aside_at_the_start_and_what_can_be_read_stays_readable(
    tmp_path: Path, page: int, length: int, most_lost: int
) -> None:
    early = filled(tmp_path)
    overwrite(database(tmp_path), page, length)
    with served(tmp_path) as service:
        service.says("are recovered in")
        client = Client(service)
        client._next = 1000
        assert client.post(count=20) == 201
        stop(service)
        code, shown, said = penstock_events(service)

        assert code == 0, said
        assert shown == sorted(set(shown))
        assert set(shown) <= {*early, *client.promised}
        assert set(client.promised) <= set(shown)
        assert len(early) - most_lost <= len(set(shown) & set(early))
        assert "it is kept as" in service.log()


def test_events_of_a_damaged_database_are_printed_and_the_rest_is_named(tmp_path: Path) -> None:
    early = filled(tmp_path)
    overwrite(database(tmp_path), 30)
    service = served(tmp_path)
    service.end()

    code, shown, said = penstock_events(service)

    assert code == 1
    assert 970 <= len(shown) < 1000
    assert set(shown) <= set(early)
    assert re.search(r"the ids \d+ to \d+ are missing", said)


def test_damage_is_noticed_while_the_service_runs(tmp_path: Path) -> None:
    early = filled(tmp_path)
    with served(tmp_path) as service:
        client = Client(service)
        client._next = 1000
        assert client.post() == 201
        overwrite(database(tmp_path), 0, 100)
        service.says("are recovered in")
        assert client.post(count=20) == 201
        service.until(lambda: Scrape.of(service).sum("penstock_sink_databases_damaged_total") == 1)
        service.until(lambda: Scrape.of(service).sum("penstock_sink_events_recovered_total") == 1001)
        assert_books(service)
        assert sorted(penstock_events(service)[1]) == sorted([*early, *client.promised])
        stop(service)


def test_several_workers_each_wait_for_their_own_file(tmp_path: Path) -> None:
    with served(tmp_path, workers=2) as service:
        client = Client(service)
        for _ in range(40):
            assert client.hasty(1) == 202
        with locked(tmp_path):
            for _ in range(40):
                assert client.hasty(1) == 202
        service.until(lambda: len(service.events()) == 80)
        client.assert_kept()
        assert_books(service)
        stop(service)
