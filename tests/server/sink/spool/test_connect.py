"""A connection that fails leaves no descriptor open, not even until the garbage collector runs."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from server.sink.spool.file import connect


def test_a_connection_that_fails_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "spool-0.db"
    path.write_bytes(b"no database" * 1000)

    with pytest.raises(sqlite3.DatabaseError) as failed:
        connect(path)

    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    assert [link for link in links if link.exists() and link.readlink() == path] == []
    assert failed.value.sqlite_errorname == "SQLITE_NOTADB"  # The traceback, which held the connection, is still there.


def test_a_directory_in_place_of_the_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spool-0.db"
    path.mkdir()

    with pytest.raises(IsADirectoryError, match=r"spool-0\.db"):
        connect(path)
