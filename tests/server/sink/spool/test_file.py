"""server.sink.spool.file: what was committed comes back, in the order of acceptance, whatever happens to the file."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from server.sink.spool.file import Row, SpoolFile


def row(number: int, value: bytes = b'{"n":1}') -> Row:
    return (number, "a.topic", b'{"k":1}', 1_700_000_000_000, b"\x90", value, "a.stream")


@pytest.fixture
def file(tmp_path: Path) -> SpoolFile:
    file = SpoolFile(tmp_path / "spool-0.db")
    file.open()
    return file


def again(file: SpoolFile) -> SpoolFile:
    file.close()
    other = SpoolFile(file.path)
    other.open()
    return other


def test_rows_come_back_in_the_order_of_their_numbers_whatever_order_they_were_kept_in(file: SpoolFile) -> None:
    file.append([row(7), row(9)])
    file.append([row(3), row(8)])

    assert [found[0] for found in again(file).oldest(10)] == [3, 7, 8, 9]


def test_a_row_comes_back_with_all_its_parts(file: SpoolFile) -> None:
    bare = (2, "t", None, -5, b"", b"\xff\x00", "")
    file.append([row(1), bare])

    assert again(file).oldest(10) == [row(1), bare]


def test_the_same_rows_twice_are_there_once(file: SpoolFile) -> None:
    """A commit that failed may have reached the disk all the same; it is tried again."""
    file.append([row(1), row(2)])
    file.append([row(1), row(2)])

    assert len(file.oldest(10)) == 2


def test_an_empty_spool_gives_its_room_back(file: SpoolFile) -> None:
    file.append([row(number, b"x" * 10_000) for number in range(1, 1001)])
    full = file.path.stat().st_size
    file.delete(range(1, 1000))
    assert len(file.oldest(10)) == 1
    file.delete([1000])

    assert full > 8_000_000
    assert file.path.stat().st_size < 100_000


def test_a_file_that_is_no_database_is_set_aside_and_the_service_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spool-0.db"
    path.write_bytes(b"no database at all" * 1000)
    file = SpoolFile(path)
    with caplog.at_level(logging.ERROR, "sink.spool"):
        file.open()
    file.append([row(1)])

    assert len(file.oldest(10)) == 1
    (aside,) = tmp_path.glob("spool-0.broken-*Z")
    assert aside.read_bytes().startswith(b"no database")
    assert str(aside) in caplog.text


@pytest.mark.parametrize("damaged_page", [20, 100, 300])
def test_what_can_be_read_of_a_broken_file_is_recovered(file: SpoolFile, damaged_page: int) -> None:
    rows = [row(number, b"%05d" % number * 100) for number in range(1, 3001)]
    file.append(rows)
    file.close()
    (size,) = sqlite3.connect(file.path).execute("PRAGMA page_size").fetchone()
    with file.path.open("r+b") as raw:
        raw.seek(size * damaged_page)
        raw.write(b"\xaa" * size)

    file.open()
    found = file.oldest(10_000)

    assert 2500 < len(found) < 3000
    assert set(found) <= set(rows)
    assert [one[0] for one in found] == sorted(one[0] for one in found)


def test_rows_between_two_damaged_pages_and_behind_a_damaged_header_are_recovered(file: SpoolFile) -> None:
    rows = [row(number * 1000, b"%05d" % number * 100) for number in range(1, 3001)]
    file.append(rows)
    file.close()
    with file.path.open("r+b") as raw:
        for page in (0, 100, 300):
            raw.seek(4096 * page)
            raw.write(b"\xaa" * 4096)

    file.open()
    found = file.oldest(10_000)

    assert 2980 <= len(found) < 3000, "some seven rows are on a page"
    assert set(found) <= set(rows)


def test_a_file_of_another_layout_is_set_aside(file: SpoolFile, tmp_path: Path) -> None:
    file.close()
    database = sqlite3.connect(file.path)
    database.execute("PRAGMA user_version = 99")
    database.close()

    file.open()

    assert file.oldest(1) == []
    assert list(tmp_path.glob("spool-0.broken-*Z"))


def test_a_file_that_was_deleted_under_us_is_made_anew(file: SpoolFile, caplog: pytest.LogCaptureFixture) -> None:
    file.append([row(1)])
    for path in file.path.parent.glob("spool-0.db*"):
        path.unlink()
    file.append([row(2)])

    assert [found[0] for found in again(file).oldest(10)] == [2]
    assert "is gone" in caplog.text


def test_a_full_disk_is_not_a_broken_file(file: SpoolFile) -> None:
    database = file._ready()
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        file.append([row(number, b"x" * 1000) for number in range(1, 1001)])
    assert file.oldest(10) == []
    database.execute("PRAGMA max_page_count = 1000000")
    file.append([row(1)])

    assert len(file.oldest(10)) == 1
    assert not list(file.path.parent.glob("*broken*"))
