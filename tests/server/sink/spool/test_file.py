"""server.sink.spool.file: what was committed can be read, whatever happens to the file."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.sink.spool.event import Row, is_whole
from server.sink.spool.file import VERSION, SpoolFile
from tests.server.sink.spool.spools import made, numbers, row, rows

_LAYOUT_1 = """
CREATE TABLE event (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, key BLOB, timestamp_ms INTEGER NOT NULL, headers BLOB NOT NULL,
    value BLOB NOT NULL, stream TEXT NOT NULL
);
PRAGMA user_version = 1;
"""


@pytest.fixture
def file(tmp_path: Path) -> SpoolFile:
    file = SpoolFile(tmp_path / "spool-0.db")
    file.open()
    return file


def kept(file: SpoolFile) -> list[Row]:
    """What another process finds."""
    return rows(file.path.parent)


def test_a_row_comes_back_with_all_its_parts(file: SpoolFile) -> None:
    whole = [row(1, 70, key=7), row(2, 50, topic="\udc80")]
    file.append(whole)
    file.close()

    assert sorted(kept(file)) == sorted(whole)
    assert all(map(is_whole, kept(file)))


def test_the_same_rows_twice_are_there_once(file: SpoolFile) -> None:
    """A commit that failed may have reached the disk all the same; it is tried again."""
    file.append([row(1), row(2)])
    file.append([row(1), row(2)])

    assert kept(file) == [row(1), row(2)]


def test_no_id_is_used_twice_though_its_row_is_gone(file: SpoolFile) -> None:
    file.append([row(7)])
    with closing(sqlite3.connect(file.path)) as database, database:
        database.execute("DELETE FROM event")
    file.skip_to(5)
    assert file.last() == 7
    file.skip_to(9)
    assert file.last() == 9


def test_a_file_that_is_no_database_is_set_aside_and_the_service_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool-0.db"
    path.write_bytes(b"no database at all" * 1000)
    file = SpoolFile(path)
    with caplog.at_level(logging.ERROR, "sink.spool"):
        file.open()
    file.append([row(1)])

    assert kept(file) == [row(1)]
    (aside,) = tmp_path.glob("spool-0.broken-*Z")
    assert aside.read_bytes().startswith(b"no database")
    assert str(aside) in caplog.text


def test_of_a_broken_file_the_number_of_its_events_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "spool-0.db"
    path.write_bytes(b"no database at all" * 1000)
    file = SpoolFile(path, held=lambda: 7)
    file.open()

    assert "0 of 7 events recovered" in caplog.text
    assert (file.broken, file.broken_held) == (1, 7)


def test_the_readable_rows_of_a_broken_file_are_recovered(file: SpoolFile) -> None:
    whole = [row(number, value=b"%05d" % number * 100) for number in range(1, 3001)]
    file.append(whole)
    file.close()
    with file.path.open("r+b") as raw:
        for page in (100, 300):
            raw.seek(4096 * page)
            raw.write(b"\xaa" * 4096)

    file.open()
    found = kept(file)

    assert 2900 < len(found) < 3000
    assert file.broken == 1
    assert found == [one for one in whole if one in set(found)]


def test_rows_of_a_file_without_a_first_page_are_recovered(file: SpoolFile) -> None:
    whole = [row(number, value=b"%05d" % number * 100) for number in range(1, 501)]
    file.append(whole)
    file.close()
    with file.path.open("r+b") as raw:
        raw.write(b"\xaa" * 4096)

    file.open()

    assert kept(file) == whole


def test_a_row_that_was_changed_on_the_disk_is_not_recovered_and_counted(file: SpoolFile) -> None:
    file.append([row(number, value=b"%05d" % number * 100) for number in range(1, 101)])
    file.close()
    raw = file.path.read_bytes()
    file.path.write_bytes(raw.replace(b"00050" * 100, b"00050" * 99 + b"x0050"))
    file.replace(sqlite3.DatabaseError("a test"))

    assert numbers(file.path.parent) == [number for number in range(1, 101) if number != 50]
    assert file.damaged == 1


def test_a_file_of_a_later_layout_is_set_aside(file: SpoolFile, tmp_path: Path) -> None:
    file.close()
    with closing(sqlite3.connect(file.path)) as database:
        database.execute("PRAGMA user_version = 99")

    file.open()

    assert kept(file) == []
    assert list(tmp_path.glob("spool-0.broken-*Z"))


def test_a_file_of_layout_1_is_converted_with_all_its_rows_in_order(tmp_path: Path) -> None:
    path = tmp_path / "spool-0.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_LAYOUT_1)
        for number in range(100, 0, -1):
            _, *values, _ = row(number, number * 1000, topic=f"topic{number % 3}", key=number % 5 or None)
            insert = "INSERT INTO event VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, CAST(? AS TEXT))"
            database.execute(insert, values)
        database.commit()
    file = SpoolFile(path)
    file.open()

    expected = [row(n, n * 1000, topic=f"topic{n % 3}", key=n % 5 or None) for n in range(1, 101)]
    assert kept(file) == expected
    assert file.last() == 100
    assert not list(tmp_path.glob("*broken*"))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_deleted_log_is_noticed_and_loses_nothing(file: SpoolFile, caplog: pytest.LogCaptureFixture) -> None:
    file.append([row(1), row(2)])
    Path(f"{file.path}-wal").unlink()
    with caplog.at_level(logging.ERROR, "sink.spool"):
        file.check()
    file.append([row(3)])

    assert kept(file) == [row(1), row(2), row(3)]
    assert "was deleted while it was open" in caplog.text


def test_a_deleted_log_loses_nothing_of_what_comes_after_it(file: SpoolFile) -> None:
    file.append([row(1)])
    Path(f"{file.path}-wal").unlink()
    file.append([row(2)])

    assert kept(file) == [row(1), row(2)]


def test_a_deleted_database_is_noticed_and_made_again(file: SpoolFile, caplog: pytest.LogCaptureFixture) -> None:
    file.append([row(1)])
    for path in file.path.parent.glob("spool-0.db*"):
        path.unlink()
    with caplog.at_level(logging.ERROR, "sink.spool"):
        file.check()
    file.append([row(2)])

    assert kept(file) == [row(2)]
    assert "is gone" in caplog.text


def test_a_full_disk_is_not_a_broken_file(file: SpoolFile) -> None:
    database = file._ready()
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        file.append([row(number, value=b"x" * 1000) for number in range(1, 1001)])
    assert kept(file) == []
    database.execute("PRAGMA max_page_count = 1000000")
    file.append([row(1)])

    assert kept(file) == [row(1)]
    assert not list(file.path.parent.glob("*broken*"))


def test_an_empty_file_is_removed_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    path = made(tmp_path / "spool-3.db", row(1))
    path.with_suffix(".lock").touch()
    SpoolFile(path).remove()

    assert list(tmp_path.iterdir()) == []
