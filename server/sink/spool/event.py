"""Convert an event to a row of the spool, and back.

Place: sink.spool.spool → HERE; the event that comes back is a record for the sink (sink.spool.replay).
Rules: the size of a row is computed here, both for rows that go in and for rows that come out (sink.spool.reader has
the same sum in SQL). A row has a checksum over all of its columns, each with its type and length, so damage is
recognised even if the row can still be read.
Not here: the table (sink.spool.file).
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec

from server.record import Record
from server.sink.spool.keys import is_likely

# (id, number, topic, key, timestamp_ms, headers as MessagePack, value, stream, checksum). Texts are UTF-8 bytes.
Row = tuple[int, int, bytes, bytes | None, int, bytes, bytes, bytes, int]
COLUMNS: Final = "id, number, topic, key, timestamp_ms, headers, value, stream, checksum"
KINDS: Final[tuple[Any, ...]] = (int, int, bytes, (bytes, type(None)), int, bytes, bytes, bytes, int)
_TYPES: Final = frozenset({(int, int, bytes, key, int, bytes, bytes, bytes, int) for key in (bytes, type(None))})
ROW_BYTES: Final = 96  # About as many bytes as SQLite adds to a row, in the table and its index.

_encode = msgspec.msgpack.Encoder().encode
_decode_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


class Spooled(Record):
    """An event that was read from the spool: a record for the sink. ``id`` is its sequence number in its database,
    ``number`` the order of acceptance."""

    __slots__ = ("id", "number", "size", "stream")

    def __init__(
        self,
        id: int,
        number: int,
        topic: str,
        key: bytes | None,
        timestamp_ms: int,
        headers: list[tuple[str, bytes]],
        value: bytes,
        stream: str,
        size: int,
    ) -> None:
        super().__init__(topic, value, key, timestamp_ms, headers)
        self.id = id
        self.number = number
        self.stream = stream
        self.size = size


def row_of(seq: int, number: int, stream: str, record: Record) -> Row:
    """Return the row of an event."""
    columns: Any = (
        seq,
        number,
        record.topic.encode("utf-8", "surrogatepass"),
        record.key,
        record.timestamp_ms,
        _encode(record.headers),
        record.value,
        stream.encode("utf-8", "surrogatepass"),
    )
    return (*columns, checksum_of(columns))


def checksum_of(columns: tuple[Any, ...]) -> int:
    """Return the checksum of the columns before it, each with its type and length. Raises OverflowError for an integer
    of more than 64 bits."""
    return zlib.crc32(_encode(columns))


def name_of(raw: object) -> str:
    """Return a name that a row has, or something like it if it is damaged."""
    if not isinstance(raw, bytes):
        return ""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")


def size_of(row: Row) -> int:
    """Return the bytes by which a row counts against the limit."""
    _, _, topic, key, _, headers, value, stream, _ = row
    return len(value) + len(headers) + len(stream) + len(key or b"") + len(topic) + ROW_BYTES


def is_whole(row: tuple[Any, ...]) -> bool:
    """Whether a row is as it was written: its columns have the right types, and the checksum matches."""
    if tuple(map(type, row)) not in _TYPES:
        return False
    try:
        return bool(checksum_of(row[:-1]) == row[-1])
    except OverflowError:
        return False


def converted(seq: int, row: tuple[Any, ...]) -> Row:
    """Return the row of an event that layout 1 has as (number, topic, key, timestamp_ms, headers, value, stream)."""
    return (seq, *row, checksum_of((seq, *row)))


def sound(row: Row) -> Row:
    """Return a whole row with a number that an event can have: one that was far too high becomes the lowest."""
    return row if is_likely(row[1]) else converted(row[0], (0, *row[2:-1]))


def spooled(row: Row) -> Spooled:
    """Return the event of a row. ``is_whole`` must be true of it."""
    seq, number, topic, key, timestamp_ms, headers, value, stream, _ = row
    names = topic.decode("utf-8", "surrogatepass"), stream.decode("utf-8", "surrogatepass")
    return Spooled(seq, number, names[0], key, timestamp_ms, _decode_headers(headers), value, names[1], size_of(row))
