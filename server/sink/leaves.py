"""Read rows straight from the leaf pages of a damaged SQLite file, without the pages that lead to them.

Place: sink.salvage and commands.events → HERE, for ids that SQLite itself can no longer reach. The file is only read.
Rules: a table has ``id INTEGER PRIMARY KEY`` first, and rows of other tables differ from its rows in their columns. A
page of any bytes gives rows or nothing, no error. Rows that were deleted may still lie on free pages, so a caller knows
which ones were.
Not here: the columns of a table (sink.salvage, sink.sqlite.reader), the write-ahead log of the file, which SQLite
applies when it can.
Source: https://www.sqlite.org/fileformat.html, sections 1.6 (pages, cells, overflow) and 2.1 (records).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

_PAGE_SIZE_AT: Final = 16
_MAGIC: Final = b"SQLite format 3\x00"
_USUAL_PAGE_BYTES: Final = 4096
_LEAF: Final = 0x0D
_MOST_PAYLOAD_BYTES: Final = 1 << 30
_INT_BYTES: Final = (0, 1, 2, 3, 4, 6, 8)


class _Place(NamedTuple):
    """The place of a row's cell. Sorts by the id."""

    row_id: int
    page: int
    at: int


def rows_between(path: Path, first: int, last: int, kinds: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows with these ids and columns of these types that any leaf page holds, in order, each once:
    ``(id, column, …)``, texts as bytes. Raises OSError."""
    with path.open("rb") as file:
        pages = _Pages(file)
        previous = None
        for place in sorted(place for place in pages.places() if first <= place.row_id <= last):
            if place.row_id != previous and (row := pages.row(place)) is not None and is_whole(row, kinds):
                previous = place.row_id  # Not that of another table, which has the same ids.
                yield row


def is_whole(row: Sequence[Any], kinds: Sequence[Any]) -> bool:
    """Whether a row has as many columns, of these types: damage can leave bytes that can be read as another row."""
    return len(row) == len(kinds) and all(isinstance(part, kind) for part, kind in zip(row, kinds, strict=True))


def missing(found: Iterable[int], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Return the ranges of ids from ``first`` to ``last`` that are not among ``found``, which is in rising order."""
    for row_id in found:
        if row_id > first:
            yield first, row_id - 1
        first = row_id + 1
    if first <= last:
        yield first, last


class _Pages:
    """The pages of an open file, and the cells on them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = file.read(_PAGE_SIZE_AT + 2)
        size = int.from_bytes(head[_PAGE_SIZE_AT:], "big") if head.startswith(_MAGIC) else _USUAL_PAGE_BYTES
        size = 65536 if size == 1 else size
        self._size = size if size >= 512 and size & (size - 1) == 0 else _USUAL_PAGE_BYTES

    def places(self) -> Iterator[_Place]:
        """Yield the place of every cell of every leaf page after the first page, which holds the schema."""
        number = 1
        while page := self._page(number):
            if page[0] == _LEAF:
                for index in range(int.from_bytes(page[3:5], "big")):
                    at = int.from_bytes(page[8 + 2 * index : 10 + 2 * index], "big")
                    if 8 <= at < len(page) - 3:
                        _, behind = _varint(page, at)
                        row_id, _ = _varint(page, behind)
                        yield _Place(row_id, number, at)
            number += 1

    def row(self, place: _Place) -> tuple[Any, ...] | None:
        """Read the row at a place. None: there is no valid record."""
        page = self._page(place.page)
        size, at = _varint(page, place.at)
        _, at = _varint(page, at)
        payload = self._payload(page, at, size)
        values = None if payload is None else _record(payload)
        return None if values is None else (place.row_id, *values[1:])

    def _payload(self, page: bytes, at: int, size: int) -> bytes | None:
        if size > _MOST_PAYLOAD_BYTES:
            return None
        local = self._local_bytes(size)
        found = [page[at : at + local]]
        left, following = size - local, int.from_bytes(page[at + local : at + local + 4], "big")
        while left > 0:
            more = self._page(following - 1)
            if len(more) < self._size or following < 2:
                return None
            found.append(more[4 : 4 + left])
            left -= self._size - 4
            following = int.from_bytes(more[:4], "big")
        payload = b"".join(found)
        return payload if len(payload) == size else None

    def _local_bytes(self, size: int) -> int:
        """Return how many bytes of a payload are on the leaf page itself."""
        most = self._size - 35
        if size <= most:
            return size
        least = (self._size - 12) * 32 // 255 - 23
        wanted = least + (size - least) % (self._size - 4)
        return wanted if wanted <= most else least

    def _page(self, index: int) -> bytes:
        """Return a page, counted from 0; empty after the end."""
        if index < 0:
            return b""
        self._file.seek(index * self._size)
        return self._file.read(self._size)


def _varint(page: bytes, at: int) -> tuple[int, int]:
    """Read the number at a place. Returns it and the place after it. After the end of the page there are zeros."""
    number = 0
    for count in range(8):
        byte = page[at + count] if at + count < len(page) else 0
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at + count + 1
    number = number << 8 | (page[at + 8] if at + 8 < len(page) else 0)
    return number - (1 << 64) if number >> 63 else number, at + 9


def _record(payload: bytes) -> list[Any] | None:
    head_bytes, at = _varint(payload, 0)
    if not 0 < head_bytes <= len(payload):
        return None
    values: list[Any] = []
    behind = head_bytes
    while at < head_bytes:
        kind, at = _varint(payload, at)
        if kind >= 12:
            size = (kind - 12) // 2
            value: Any = payload[behind : behind + size]
        elif 1 <= kind <= 6:
            size = _INT_BYTES[kind]
            value = int.from_bytes(payload[behind : behind + size], "big", signed=True)
        elif kind in (0, 8, 9):
            size, value = 0, (None, 0, 1)[(0, 8, 9).index(kind)]
        else:
            return None  # It is a float, which no column here holds, or no type that SQLite writes.
        behind += size
        values.append(value)
    return values if behind == len(payload) else None
