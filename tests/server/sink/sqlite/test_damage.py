"""The embedded sink when its file is damaged: service goes on, and what can be read is kept."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.sink.sqlite.recovery import recover, unrecovered
from tests.contract.sinks import Acks, drive, record, settle, until
from tests.server.sink.sqlite.sqlites import CONTENTS, make, overwrite, rows, storing, values


@pytest.mark.parametrize(
    "content", [b"this is not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4000], ids=["text", "broken"]
)
def test_a_file_that_is_no_database_is_set_aside_and_the_service_goes_on(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "events-0.db").write_bytes(content)
    acks = Acks()

    async def test(sink: Any) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        assert sink.upkeep.file.damaged == 1

    drive(test, make(tmp_path))

    assert acks.errors == [None]
    (aside,) = tmp_path.glob("events-0.broken-*Z")
    assert aside.read_bytes() == content
    assert str(aside) in caplog.text


@pytest.mark.parametrize("pages", [(30,), (20, 60, 90)])
def test_damaged_pages_are_noticed_at_the_start_and_all_other_rows_are_recovered(
    tmp_path: Path, pages: tuple[int, ...], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events-0.db"
    drive(storing(*CONTENTS), make(tmp_path))
    for page in pages:
        overwrite(path, page)

    async def test(sink: Any) -> None:
        await until(lambda: sink.upkeep.recovered)
        assert sink.upkeep.file.damaged == 1
        await storing(b"new")(sink)

    drive(test, make(tmp_path))

    (recovered,) = tmp_path.glob("events-0.recovered-*Z.db")
    kept = values(recovered)
    assert len(kept) >= 1000 - 8 * len(pages), "some seven rows are on a page"
    assert len(kept) < 1000
    wanted = [content.decode() for content in CONTENTS]
    assert kept == [value for value in wanted if value in set(kept)]
    assert values(path) == ["new"]
    assert "are recovered in" in caplog.text


@pytest.mark.parametrize("length", [16, 100, 4096])
def test_a_damaged_header_costs_no_row(tmp_path: Path, length: int) -> None:
    drive(storing(*CONTENTS), make(tmp_path))
    overwrite(tmp_path / "events-0.db", 0, length)

    async def test(sink: Any) -> None:
        await until(lambda: sink.upkeep.recovered)

    drive(test, make(tmp_path))

    (recovered,) = tmp_path.glob("events-0.recovered-*Z.db")
    assert values(recovered) == [content.decode() for content in CONTENTS]
    assert values(tmp_path / "events-0.db") == []


def test_a_header_that_is_damaged_while_the_file_is_open_is_noticed(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Any) -> None:
        await storing(*CONTENTS)(sink)
        sink._file.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        overwrite(tmp_path / "events-0.db", 0, 100)
        await until(lambda: sink.upkeep.recovered)
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0

    drive(test, make(tmp_path))

    assert acks.errors == [None]
    assert values(tmp_path / "events-0.db") == ['{"n":1}']
    (recovered,) = tmp_path.glob("events-0.recovered-*Z.db")
    assert len(values(recovered)) == 1000


def test_a_commit_that_meets_damage_goes_into_a_new_file(tmp_path: Path) -> None:
    acks = Acks()
    path = tmp_path / "events-0.db"

    async def test(sink: Any) -> None:
        await storing(*CONTENTS)(sink)
        sink._file.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = path.stat().st_size // 4096
        overwrite(path, pages - 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as stranger:  # Makes SQLite look at the file again.
            stranger.execute("PRAGMA user_version = 1")
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        await until(lambda: sink.upkeep.recovered)

    drive(test, make(tmp_path))

    assert acks.errors == [None]
    assert values(path) == ['{"n":1}']


def test_a_recovery_that_was_interrupted_begins_again_at_the_next_start(tmp_path: Path) -> None:
    drive(storing(*CONTENTS), make(tmp_path))
    (tmp_path / "events-0.db").rename(tmp_path / "events-0.broken-20260101T000000Z")
    (tmp_path / "events-0.recovered-20260101T000000Z.part").write_bytes(b"half of a file")

    async def test(sink: Any) -> None:
        await until(lambda: sink.upkeep.recovered)

    drive(test, make(tmp_path))

    assert len(values(tmp_path / "events-0.recovered-20260101T000000Z.db")) == 1000
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_file_that_cannot_be_set_aside_is_not_written_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acks = Acks()
    tries: list[Path] = []

    def refuse(path: Path) -> Path:
        tries.append(path)
        raise OSError(errno.EROFS, "Read-only file system")

    async def test(sink: Any) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("server.sink.sqlite.file.set_aside", refuse)
            overwrite(tmp_path / "events-0.db", 0, 100)
            await until(lambda: len(tries) >= 2)
            sink.submit(record("t", 1), acks)
            await until(sink.is_away)
            assert acks.errors == []
        assert await settle(sink) == 0
        assert sink.upkeep.file.damaged == 1

    drive(test, make(tmp_path))

    assert acks.errors == [None]


def test_a_recovery_that_fails_leaves_nothing_behind_and_can_be_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(storing(*CONTENTS), make(tmp_path))
    aside = (tmp_path / "events-0.db").rename(tmp_path / "events-0.broken-20260101T000000Z")

    with monkeypatch.context() as patched:
        patched.setattr("server.sink.sqlite.recovery.SCHEMA", "no SQL")
        with pytest.raises(sqlite3.Error):
            recover(aside, lambda: False)
    assert not list(tmp_path.glob("*.part"))

    assert recover(aside, lambda: True) == -1
    assert recover(aside, lambda: False) == 1000
    assert unrecovered(tmp_path, "events-0") == []


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_file_that_is_cut_while_it_is_open_is_set_aside(tmp_path: Path, ending: str) -> None:
    """SQLite has its pages in memory and does not look: what came afterwards was acked, and could not be read."""
    acks = Acks()

    async def test(sink: Any) -> None:
        for number in range(50):
            sink.submit(record("t", number), acks)
        assert await settle(sink) == 0
        sink._file.check()
        os.truncate(tmp_path / f"events-0.db{ending}", 0)
        # SQLite itself may meet the cut file first, and drop the log: then the log is gone.
        await until(lambda: sink.upkeep.file.damaged + sink.upkeep.file.gone)
        for number in range(50, 60):
            sink.submit(record("t", number), acks)
        assert await settle(sink) == 0

    drive(test, make(tmp_path))

    assert acks.errors == [None] * 60
    assert rows(tmp_path / "events-0.db") == 10


def test_a_log_that_another_process_has_emptied_into_the_database_is_no_damage(tmp_path: Path) -> None:
    acks = Acks()

    async def test(sink: Any) -> None:
        sink.submit(record("t", 1), acks)
        assert await settle(sink) == 0
        with closing(sqlite3.connect(tmp_path / "events-0.db", isolation_level=None)) as stranger:
            stranger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert (tmp_path / "events-0.db-wal").stat().st_size == 0
        sink._file.check()
        sink.submit(record("t", 2), acks)
        assert await settle(sink) == 0
        assert sink.upkeep.file.damaged == 0

    drive(test, make(tmp_path))

    assert acks.errors == [None] * 2
    assert rows(tmp_path / "events-0.db") == 2
