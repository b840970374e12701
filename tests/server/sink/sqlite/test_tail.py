"""The newest events of the embedded sink are read once each, and a file that is made again is read from its start."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.sink.sqlite.tail import SqliteTail
from server.sink.watch import WatchError

TABLE = (
    "CREATE TABLE event (id INTEGER PRIMARY KEY, stored_ns INTEGER, topic TEXT, key TEXT, timestamp_ms INTEGER, "
    "headers TEXT, value TEXT)"
)


def store(path: Path, *events: tuple[str, str]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            database.execute(TABLE)
        for topic, value in events:
            database.execute(
                "INSERT INTO event (stored_ns, topic, timestamp_ms, headers, value) VALUES (0, ?, 5, '', ?)",
                (topic, value),
            )


def values(tail: SqliteTail, *topics: str, most: int = 3) -> dict[str, list[bytes]]:
    return {topic: [one.value for one in stored] for topic, stored in tail.take(topics, most, 10.0).items()}


def test_each_event_is_read_once_and_the_newest_of_many(tmp_path: Path) -> None:
    tail, path = SqliteTail(tmp_path), tmp_path / "events-0.db"
    assert values(tail, "a") == {}
    store(path, ("a", "1"), ("b", "2"), ("c", "3"))
    assert values(tail, "a", "b") == {"a": [b"1"], "b": [b"2"]}
    assert values(tail, "a", "b") == {}
    store(path, *(("a", str(at)) for at in range(10)))
    store(tmp_path / "events-1.db", ("b", "9"))
    assert values(tail, "a", "b") == {"a": [b"7", b"8", b"9"], "b": [b"9"]}


def test_a_file_that_was_made_again_is_read(tmp_path: Path) -> None:
    tail, path = SqliteTail(tmp_path), tmp_path / "events-0.db"
    store(path, *(("a", str(at)) for at in range(10)))
    values(tail, "a")
    path.unlink()
    store(path, ("a", "new"))

    assert values(tail, "a") == {"a": [b"new"]}


def test_the_bytes_of_one_look_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.sink.sqlite.tail.TAIL_BYTES", 25)
    store(tmp_path / "events-0.db", *(("a", str(at) * 10) for at in range(3)))

    assert values(SqliteTail(tmp_path), "a") == {"a": [b"1" * 10, b"2" * 10]}


def test_what_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "events-0.db").write_bytes(b"no database" * 1000)
    with pytest.raises(WatchError, match=r"events-0\.db cannot be read"):
        SqliteTail(tmp_path).take(["a"], 3, 10.0)
