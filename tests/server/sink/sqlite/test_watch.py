"""One event is found again in the databases of the embedded sink."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.sink.sqlite.file import SCHEMA
from server.sink.sqlite.watch import SqliteWatch
from server.sink.watch import Found, WatchError

NEVER_S = 0.01  # For what will not come.
PATIENCE_S = 60.0


def store(path: Path, *events: tuple[str, str]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(SCHEMA)
        database.executemany(
            "INSERT INTO event (stored_ns, topic, timestamp_ms, headers, value) VALUES (0, ?, 1234, '[]', ?)", events
        )


def test_an_event_is_found_behind_the_mark_in_its_topic_alone(tmp_path: Path) -> None:
    watch = SqliteWatch(tmp_path)
    store(tmp_path / "events-0.db", ("a", '{"id":"id-1"}'))
    mark = watch.mark("a", PATIENCE_S)

    assert mark.ends == {"events-0.db": 1}
    assert watch.find(mark, b"id-1", NEVER_S).found is None
    store(tmp_path / "events-0.db", ("b", '{"id":"id-1"}'))
    sought = watch.find(mark, b"id-1", NEVER_S)
    assert (sought.found, sought.is_at_end) == (None, True)
    store(tmp_path / "events-0.db", ("a", '{"id":"id-2"}'), ("a", '{"id":"id-1"}'))
    assert watch.find(mark, b"id-1", PATIENCE_S).found == Found("events-0", 4, 1234)


def test_a_database_that_is_made_after_the_mark_is_read_from_its_beginning(tmp_path: Path) -> None:
    watch = SqliteWatch(tmp_path)
    mark = watch.mark("a", PATIENCE_S)
    (tmp_path / "events-0.db").touch()  # Its worker has not made the table yet.
    assert watch.find(mark, b"id-1", NEVER_S).found is None
    store(tmp_path / "events-1.db", ("a", '{"id":"id-1"}'))

    assert watch.find(mark, b"id-1", PATIENCE_S).found == Found("events-1", 1, 1234)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WatchError, match="does not exist"):
        SqliteWatch(tmp_path / "none").mark("a", PATIENCE_S)
    (tmp_path / "events-0.db").write_bytes(b"no database" * 1000)
    with pytest.raises(WatchError, match="cannot be read"):
        SqliteWatch(tmp_path).mark("a", PATIENCE_S)
