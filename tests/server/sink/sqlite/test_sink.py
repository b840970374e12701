"""The embedded sink: whose file is whose, what a commit promises, which records are refused."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.errors import BootError
from server.sink.base import Sink
from tests.contract.sinks import Acks, drive, record, settle
from tests.server.sink.sqlite.sqlites import make, rows, values


def databases(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.db"))


def test_the_directory_is_made(tmp_path: Path) -> None:
    async def test(sink: Sink) -> None:
        pass

    drive(test, make(tmp_path / "a" / "b"))

    assert databases(tmp_path / "a" / "b") == ["events-0.db"]


def test_each_sink_claims_the_first_free_file_and_a_later_one_takes_it_again(tmp_path: Path) -> None:
    async def test(first: Sink) -> None:
        second, third = make(tmp_path), make(tmp_path)
        await second.open()
        assert databases(tmp_path) == ["events-0.db", "events-1.db"]
        await second.close()
        await third.open()
        assert databases(tmp_path) == ["events-0.db", "events-1.db"]
        await third.close()

    drive(test, make(tmp_path))


def test_records_of_one_loop_turn_are_one_transaction_and_acked_after_it(tmp_path: Path) -> None:
    seen: list[int] = []

    async def test(sink: Sink) -> None:
        for number in range(10):
            sink.submit(record("t", number), lambda error, message: seen.append(rows(tmp_path / "events-0.db")))
        assert rows(tmp_path / "events-0.db") == 0
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    drive(test, make(tmp_path))

    assert seen == [10] * 10


def test_another_connection_sees_that_every_commit_is_synced_to_disk(tmp_path: Path) -> None:
    async def test(sink: Any) -> None:
        assert sink._file.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert sink._file.database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL

    drive(test, make(tmp_path))


def test_what_was_acked_survives_kill_9_and_the_file_opens_cleanly(tmp_path: Path) -> None:
    source = f"""
import asyncio, os, signal, uvloop
from pathlib import Path
from tests.contract.sinks import record
from server.sink.sqlite.sink import SqliteSink
async def main():
    sink = SqliteSink(Path({str(tmp_path)!r}), max_outstanding=1000, max_outstanding_bytes=1 << 20)
    await sink.open()
    last = asyncio.get_running_loop().create_future()
    for number in range(100):
        sink.submit(record("t", number), lambda error, message: last.done() or last.set_result(error))
    assert await last is None
    os.kill(os.getpid(), signal.SIGKILL)
uvloop.run(main())
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, timeout=60)
    acks = Acks()

    async def test(sink: Sink) -> None:
        sink.submit(record("t", 100), acks)
        assert await settle(sink) == 0

    drive(test, make(tmp_path))

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert acks.errors == [None]
    assert databases(tmp_path) == ["events-0.db"]
    assert rows(tmp_path / "events-0.db") == 101


def test_a_value_that_sqlite_finds_too_large_is_event_too_large(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Any) -> None:
        sink._file.database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
        large = record("t", 1)
        large.value = b'"%s"' % (b"x" * 2000)
        sink.submit(large, acks)
        assert await settle(sink) == 0

        assert sink.classify(acks.errors[0]) == "event_too_large"

    drive(test, make(tmp_path))


def test_a_row_that_cannot_be_bound_fails_alone_as_internal(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        late = record("t", 1)
        late.timestamp_ms = 1 << 63
        for one in (record("t", 0), late, record("t", 2)):
            assert sink.submit(one, acks) is None
        assert await settle(sink) == 0
        assert [error and sink.classify(error) for error in acks.errors] == [None, "internal", None]

    sink = make(tmp_path)
    drive(test, sink)

    assert sink.failed_commits == 1
    assert values(tmp_path / "events-0.db") == ['{"n":0}', '{"n":2}']


def test_no_memory_for_a_commit_leaves_nobody_waiting(tmp_path: Path) -> None:
    acks = Acks()

    class Exhausted:
        in_transaction = False

        def execute(self, _: str) -> None:
            raise MemoryError

    async def test(sink: Any) -> None:
        database, sink._file.database = sink._file.database, Exhausted()
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        sink._file.database = database

        assert [sink.classify(error) for error in acks.errors] == ["internal"]

    drive(test, make(tmp_path))


def test_a_reader_in_the_middle_of_a_transaction_does_not_hold_up_the_writer(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        sink.submit(record("t", 1), acks)
        await settle(sink)
        reader = sqlite3.connect(tmp_path / "events-0.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchone()
        sink.submit(record("t", 2), acks)
        assert await settle(sink) == 0
        reader.close()

    drive(test, make(tmp_path))

    assert acks.errors == [None, None]


def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Sink) -> None:
        large = record("t", 1)
        large.value = b'"%s"' % (b"x" * 3000)
        assert sink.submit(large, acks) is None
        assert not sink.is_full()
        assert sink.submit(large, acks) is None
        assert sink.is_full()
        assert sink.submit(record("t", 2), acks) == "queue_full"
        assert await settle(sink) == 0
        assert not sink.is_full()

    drive(test, make(tmp_path, max_bytes=4096))

    assert acks.errors == [None, None]


def test_time_does_not_go_back_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(sink: Sink) -> None:
        sink.submit(record("t", 1), Acks())
        await settle(sink)

    clock = 2_000
    monkeypatch.setattr("server.sink.sqlite.sink.time.time_ns", lambda: clock)
    drive(test, make(tmp_path))
    clock = 1_000
    drive(test, make(tmp_path))

    database = sqlite3.connect(tmp_path / "events-0.db")
    assert database.execute("SELECT stored_ns FROM event ORDER BY id").fetchall() == [(2_000,), (2_000,)]
    database.close()


@pytest.mark.parametrize("place", ["file/below", "/proc/penstock/events"])
def test_a_directory_that_cannot_be_made_ends_the_start_with_its_path_and_the_reason(
    tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").write_text("not a directory")

    with pytest.raises(BootError) as refused:
        asyncio.run(make(tmp_path / place).open())

    assert place in str(refused.value)
    assert "sink.sqlite.path" in str(refused.value)
    assert refused.value.exit_code == 5


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)

    with pytest.raises(BootError, match="Permission denied"):
        asyncio.run(make(tmp_path).open())


def test_a_file_of_another_layout_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "events-0.db")
    database.execute("PRAGMA user_version = 9")
    database.close()

    with pytest.raises(BootError, match="layout 9"):
        asyncio.run(make(tmp_path).open())


def test_headers_are_kept_as_an_object_of_strings(tmp_path: Path) -> None:
    async def test(sink: Sink) -> None:
        odd = record("t", 1)
        odd.headers = [("a", b'x"y'), ("b", b"\xff")]
        sink.submit(odd, Acks())
        await settle(sink)

    drive(test, make(tmp_path))

    database = sqlite3.connect(tmp_path / "events-0.db")
    assert database.execute("SELECT headers FROM event").fetchone() == ('{"a":"x\\"y","b":"\ufffd"}',)
    database.close()


def test_the_headers_of_a_route_are_written_down_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its events have one list: 10,000 of them took 8 ms of one turn for it."""
    written: list[object] = []
    dumps = orjson.dumps

    def counted(value: object) -> bytes:
        written.append(value)
        return dumps(value)

    monkeypatch.setattr(orjson, "dumps", counted)
    one, other = [("a", b"1")], [("a", b"2")]

    async def test(sink: Sink) -> None:
        for headers in (one, one, one, other, one):
            given = record("t", 1)
            given.headers = headers
            sink.submit(given, Acks())
        await settle(sink)

    drive(test, make(tmp_path))

    assert written == [{"a": "1"}, {"a": "2"}, {"a": "1"}]
    with closing(sqlite3.connect(tmp_path / "events-0.db")) as database:
        stored = [bytes(text) for (text,) in database.execute("SELECT CAST(headers AS BLOB) FROM event ORDER BY id")]
    assert stored == [b'{"a":"1"}'] * 3 + [b'{"a":"2"}', b'{"a":"1"}']
