"""The embedded sink when its file is deleted or replaced: service goes on, and what can be read is kept."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.errors import BootError
from server.sink.base import Sink
from tests.contract.sinks import Acks, drive, record, settle, until
from tests.server.sink.sqlite.sqlites import make, nothing, rows, storing, values


def test_a_file_without_its_table_is_set_aside_and_the_record_is_kept(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        with closing(sqlite3.connect(tmp_path / "events-0.db", isolation_level=None)) as stranger:
            stranger.execute("DROP TABLE event")
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0

    drive(test, make(tmp_path))

    assert acks.errors == [None]
    assert rows(tmp_path / "events-0.db") == 1
    assert list(tmp_path.glob("events-0.broken-*"))


@pytest.mark.parametrize("gone", ["events-0.db*", "events-0.db", "events-0.db-wal", "events-0.db-shm", "*"])
def test_files_that_are_deleted_are_noticed_before_the_next_record_is_acked(
    tmp_path: Path, gone: str, caplog: pytest.LogCaptureFixture
) -> None:
    acks = Acks()
    directory = tmp_path / "events"

    async def test(sink: Any) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        for path in directory.glob(gone):
            path.unlink()
        if gone == "*":
            directory.rmdir()
        sink.submit(record("t", 2), acks)
        assert await settle(sink) == 0
        assert sink.upkeep.file.gone == 1

    drive(test, make(directory))

    assert acks.errors == [None, None]
    is_kept = gone.endswith(("-wal", "-shm"))  # What was in the log is in the database by now.
    assert values(directory / "events-0.db") == (['{"n":1}', '{"n":2}'] if is_kept else ['{"n":2}'])
    assert caplog.text.count("was deleted, replaced or made inaccessible") == 1


def test_a_check_that_runs_while_the_log_is_deleted_costs_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection of the check keeps that of the sink from being the last one, which moves what is in the log into
    the database; and it makes a new, empty log."""
    acks, connect, log = Acks(), sqlite3.connect, tmp_path / "events-0.db-wal"
    is_deleted, is_interrupted = threading.Event(), threading.Event()

    class Late:
        """The connection of the first check: it begins when the log is gone, and lasts until it is interrupted."""

        def __init__(self) -> None:
            is_deleted.wait()
            self._database = connect(tmp_path / "events-0.db", isolation_level=None, check_same_thread=False)

        def execute(self, text: str) -> sqlite3.Cursor:
            try:
                return self._database.execute(text)
            finally:
                is_interrupted.wait()

        def interrupt(self) -> None:
            is_interrupted.set()

        def close(self) -> None:
            self._database.close()

    connections: list[Any] = [Late]

    async def test(sink: Any) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        await until(lambda: not sink.upkeep._is_reading)
        monkeypatch.setattr(
            sqlite3, "connect", lambda *a, **n: connections.pop()() if connections else connect(*a, **n)
        )
        sink.upkeep._read_through()
        await until(lambda: not connections)
        log.unlink()
        is_deleted.set()
        await until(log.exists)
        sink.submit(record("t", 2), acks)
        assert await settle(sink) == 0
        assert sink.upkeep.file.gone == 1

    drive(test, make(tmp_path))

    assert acks.errors == [None, None]
    assert values(tmp_path / "events-0.db") == ['{"n":1}', '{"n":2}']


def test_a_log_that_is_deleted_while_another_process_reads_costs_no_record(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Any) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        with closing(sqlite3.connect(tmp_path / "events-0.db", isolation_level=None)) as reader:
            assert reader.execute("SELECT count(*) FROM event").fetchone() == (1,)
            (tmp_path / "events-0.db-wal").unlink()
            sink.submit(record("t", 2), acks)
            assert await settle(sink) == 0

    drive(test, make(tmp_path))

    assert acks.errors == [None, None]
    assert values(tmp_path / "events-0.db") == ['{"n":1}', '{"n":2}']


def test_a_database_that_is_put_in_the_place_of_ours_is_gone_on_with_and_keeps_its_log(tmp_path: Path) -> None:
    acks = Acks()
    other = tmp_path / "other"
    drive(storing(b"1"), make(other))

    async def test(sink: Any) -> None:
        sink.submit(record("t", 2), acks)
        assert await settle(sink) == 0
        restored = sqlite3.connect(other / "events-0.db", isolation_level=None)
        restored.execute("UPDATE event SET value = 'in the log'")
        for ending in ("", "-wal", "-shm"):
            (other / f"events-0.db{ending}").rename(tmp_path / f"events-0.db{ending}")
        sink.submit(record("t", 3), acks)
        assert await settle(sink) == 0
        restored.close()

    drive(test, make(tmp_path))

    assert acks.errors == [None, None]
    assert values(tmp_path / "events-0.db") == ["in the log", '{"n":3}']


def test_a_directory_that_cannot_be_made_again_makes_records_wait(tmp_path: Path) -> None:
    acks = Acks()
    directory = tmp_path / "events"

    async def test(sink: Any) -> None:
        while directory.exists():  # Its reader may make a file while it goes.
            shutil.rmtree(directory, ignore_errors=True)
        directory.write_text("not a directory")
        sink.submit(record("t", 1), acks)
        await until(sink.is_away)
        assert acks.errors == []
        directory.unlink()
        assert await settle(sink) == 0

    drive(test, make(directory))

    assert acks.errors == [None]
    assert values(directory / "events-0.db") == ['{"n":1}']


def test_files_that_are_gone_are_noticed_without_a_record(tmp_path: Path) -> None:
    async def test(sink: Any) -> None:
        (tmp_path / "events-0.db").unlink()
        await until(lambda: sink.upkeep.file.gone)
        await until(lambda: sink.upkeep.is_usable)
        assert (tmp_path / "events-0.db").exists()

    drive(test, make(tmp_path))


def test_an_empty_database_that_was_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "events-0.db").write_bytes(b"")
    drive(nothing, make(tmp_path))

    assert "is empty: any events" in caplog.text


@pytest.mark.parametrize("name", ["events-0.db", "events-0.lock"])
def test_what_is_in_the_place_of_a_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(BootError, match=f"{name} is not a regular file: move it away"):
        drive(nothing, make(tmp_path))
