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
from collections.abc import Container, Sequence
from typing import Any, Final

import orjson

from server.sink.spool.event import COLUMNS, ROW_BYTES, Row

MOST_ROWS: Final = 1000  # Of one statement: 9,000 parameters, of which SQLite allows 32,766.
_PLACES: Final = f"({', '.join('?' * len(COLUMNS.split(',')))})"
SIZE: Final = f"length(value) + length(headers) + length(stream) + ifnull(length(key), 0) + length(topic) + {ROW_BYTES}"
_OLDEST: Final = f"""
SELECT group_concat(id || ' ' || size, ';') FROM (
    SELECT id, ifnull({SIZE}, 0) AS size FROM event WHERE topic = ? AND number > ? ORDER BY number, id LIMIT ?
)
"""
# The numbers of each row, as JSON, and the bytes of all rows: ``||`` joins them as they are, whether they are UTF-8 or
# not. Columns that damage has given another type are cast, so that nothing shifts; the checksum tells.
_BLOBS: Final = ("topic", "key", "headers", "value", "stream")
_WHOLE: Final = f"""
SELECT
    json_group_array(json_array(
        id, CAST(number AS INTEGER), CAST(timestamp_ms AS INTEGER), CAST(checksum AS INTEGER),
        {", ".join(f"length(CAST({blob} AS BLOB))" for blob in _BLOBS)}
    )),
    group_concat(topic || ifnull(key, x'') || headers || value || stream, '')
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
    database: sqlite3.Connection, topic: bytes, count: int, above: int, most_bytes: int, passed: Container[int] = ()
) -> tuple[list[int], bool]:
    """Return the ids of the oldest ``count`` events of a topic with numbers above ``above``, in their order, without
    those in ``passed``, and no more than the first that reach ``most_bytes``; and whether these bytes were the limit.
    """
    (found,) = database.execute(_OLDEST, (topic, above, count)).fetchone()
    ids: list[int] = []
    size = 0
    for one in (found or b"").split(b";") if found else ():
        if size >= most_bytes:
            return ids, True
        seq, bytes_of_it = map(int, one.split())
        if seq not in passed:
            ids.append(seq)
            size += bytes_of_it
    return ids, False


def read(database: sqlite3.Connection, ids: Sequence[int]) -> list[Row]:
    """Return the rows with these ids, in any order. A row without a column that it must have has None in all places but
    the first. The connection must return text as bytes."""
    heads, text = database.execute(_WHOLE, (str(list(ids)),)).fetchone()
    rows: list[Any] = []
    at = 0
    for seq, number, timestamp_ms, checksum, topic, key, headers, value, stream in orjson.loads(heads):
        if None in (topic, headers, value, stream):  # ``||`` with NULL is NULL: its bytes are not among the others.
            rows.append((seq, *[None] * 8))
            continue
        of_key = at + topic
        of_headers = of_key + (key or 0)
        of_value = of_headers + headers
        of_stream = of_value + value
        end = of_stream + stream
        found_key = None if key is None else text[of_key:of_headers]
        parts = text[at:of_key], found_key, timestamp_ms, text[of_headers:of_value], text[of_value:of_stream]
        rows.append((seq, number, *parts, text[of_stream:end], checksum))
        at = end
    return rows


def delete(database: sqlite3.Connection, ids: Sequence[int]) -> int:
    """Delete the events with these ids. Returns how many there were."""
    return int(database.execute(_DELETE, (str(list(ids)),)).rowcount)
