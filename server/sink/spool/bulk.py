"""Put many rows into a database of the spool, read and delete them, with few steps of SQLite.

Place: sink.spool.file, sink.spool.reader → HERE, on a thread.
Rule: Python's sqlite3 releases the interpreter's lock for every step of a statement, and a thread gets it back only
after 5 ms while the loop has work. With a step per row a commit of 500 rows took more than a second on a busy worker,
and the spool could neither take nor give 500 events a second. So rows are inserted by statements of many rows, read as
one text, and deleted by one statement.
Not here: the table (sink.spool.file), what a row means (sink.spool.event).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from server.sink.spool.event import COLUMNS, ROW_BYTES, Row

MOST_ROWS: Final = 1000  # Of one statement: 9,000 parameters, of which SQLite allows 32,766.
_PLACES: Final = f"({', '.join('?' * len(COLUMNS.split(',')))})"
SIZE: Final = f"length(value) + length(headers) + length(stream) + ifnull(length(key), 0) + length(topic) + {ROW_BYTES}"
_OLDEST: Final = f"""
SELECT group_concat(id || ' ' || size, ';') FROM (
    SELECT id, ifnull({SIZE}, 0) AS size FROM event WHERE topic = ? AND number > ? ORDER BY number, id LIMIT ?
)
"""
# A row is `id number timestamp_ms checksum` and the lengths of its bytes, a semicolon, and these bytes: ``||`` joins
# them as they are, whether they are UTF-8 or not. A row with columns of other types is its id alone.
_WHOLE: Final = """
SELECT group_concat(
    id || ' ' || CASE
        WHEN typeof(number) = 'integer' AND typeof(topic) = 'blob' AND typeof(key) IN ('blob', 'null')
            AND typeof(timestamp_ms) = 'integer' AND typeof(headers) = 'blob' AND typeof(value) = 'blob'
            AND typeof(stream) = 'blob' AND typeof(checksum) = 'integer'
        THEN number || ' ' || timestamp_ms || ' ' || checksum || ' ' || length(topic) || ' ' || ifnull(length(key), -1)
            || ' ' || length(headers) || ' ' || length(value) || ' ' || length(stream) || ';'
            || topic || ifnull(key, x'') || headers || value || stream
        ELSE ';'
    END, ''
)
FROM event NOT INDEXED WHERE id IN (SELECT value FROM json_each(?))
"""
_DELETE: Final = "DELETE FROM event WHERE id IN (SELECT value FROM json_each(?))"


def insert(database: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert rows, or replace those with the same ids. The caller has begun a transaction."""
    for first in range(0, len(rows), MOST_ROWS):
        some = rows[first : first + MOST_ROWS]
        places = ", ".join([_PLACES] * len(some))
        values = [column for row in some for column in row]
        database.execute(f"INSERT OR REPLACE INTO event ({COLUMNS}) VALUES {places}", values)


def oldest_ids(
    database: sqlite3.Connection, topic: bytes, count: int, above: int, most_bytes: int
) -> tuple[list[int], bool]:
    """Return the ids of the oldest events of a topic with numbers above ``above``, in their order: ``count`` at most,
    and no more than the first that reach ``most_bytes``; and whether these bytes were the limit."""
    (found,) = database.execute(_OLDEST, (topic, above, count)).fetchone()
    ids: list[int] = []
    size = 0
    for one in (found or b"").split(b";") if found else ():
        if size >= most_bytes:
            return ids, True
        seq, bytes_of_it = one.split()
        ids.append(int(seq))
        size += int(bytes_of_it)
    return ids, False


def read(database: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[Row], list[int]]:
    """Return the rows with these ids, in any order, and the ids of those with columns of other types than a row has.
    The connection must return text as bytes."""
    (found,) = database.execute(_WHOLE, (str(list(ids)),)).fetchone()
    rows: list[Row] = []
    others: list[int] = []
    text: bytes = found or b""
    at = 0
    while at < len(text):
        end = text.index(b";", at)
        head = [int(number) for number in text[at:end].split()]
        at = end + 1
        if len(head) == 1:
            others.append(head[0])
            continue
        seq, number, timestamp_ms, checksum, *lengths = head
        parts: list[Any] = []
        for length in lengths:
            parts.append(None if length < 0 else text[at : at + length])
            at += max(0, length)
        topic, key, headers, value, stream = parts
        rows.append((seq, number, topic, key, timestamp_ms, headers, value, stream, checksum))
    return rows, others


def delete(database: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Delete the events with these ids. Returns how many there were."""
    return int(database.execute(_DELETE, (str(list(ids)),)).rowcount)
