"""Convert an event to a row of the spool, and back.

Place: sink.spool.spool → HERE; the event that comes back is a record for the sink (sink.spool.replay).
Rule: the size of a row is computed here alone, both for rows that go in and for rows that come out.
Not here: the table (sink.spool.file).
"""

from __future__ import annotations

import msgspec

from server.sink.base import Record
from server.sink.spool.file import Row
from server.sink.spool.store import ROW_BYTES

_encode_headers = msgspec.msgpack.Encoder().encode
_decode_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


class Spooled(msgspec.Struct, eq=False):
    """An event that was read from the spool: a record for the sink."""

    number: int
    topic: str
    key: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes]]
    value: bytes
    stream: str
    size: int
    pending: None = None


def row_of(number: int, stream: str, record: Record) -> Row:
    """Return the row of an event."""
    headers = _encode_headers(record.headers)
    return number, record.topic, record.key, record.timestamp_ms, headers, record.value, stream


def size_of(row: Row) -> int:
    """Return the bytes by which a row counts against the limit."""
    _, topic, key, _, headers, value, stream = row
    return len(value) + len(headers) + len(stream) + len(key or b"") + len(topic) + ROW_BYTES


def spooled(row: Row) -> Spooled:
    """Return the event of a row."""
    number, topic, key, timestamp_ms, headers, value, stream = row
    return Spooled(number, topic, key, timestamp_ms, _decode_headers(headers), value, stream, size_of(row))
