"""server.sink.spool.event: a row is the event that was put, or it is known to be damaged."""

from __future__ import annotations

from typing import Any

import pytest

from server.sink.spool.event import Row, checksum_of, is_whole, name_of, row_of, size_of, spooled
from tests.contract.sinks import HEADERS, TIMESTAMP_MS, record
from tests.server.sink.spool.spools import row

COLUMNS = ("id", "number", "topic", "key", "timestamp_ms", "headers", "value", "stream", "checksum")


def whole() -> Row:
    return row_of(7, 1_700_000_000_000_000, "a.stream", record("a.topic", 3, 5))


def changed(found: Row, column: int, value: object) -> tuple[Any, ...]:
    return (*found[:column], value, *found[column + 1 :])


def test_an_event_comes_back_with_all_its_parts() -> None:
    one = spooled(whole())

    assert (one.id, one.number, one.topic, one.key) == (7, 1_700_000_000_000_000, "a.topic", b'{"k":5}')
    assert (one.timestamp_ms, one.headers, one.value) == (TIMESTAMP_MS + 3, HEADERS, b'{"n":3}')
    assert (one.stream, one.size, one.is_awaited()) == ("a.stream", size_of(whole()), False)


def test_names_that_are_no_utf_8_come_back() -> None:
    one = spooled(row_of(1, 1, "s\udc80", record("t\udcff", 1)))

    assert (one.topic, one.stream) == ("t\udcff", "s\udc80")


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
def test_each_flipped_bit_of_each_column_is_found(column: int) -> None:
    found = whole()
    part: Any = found[column]
    bits = 63 if isinstance(part, int) else 8 * len(part)
    for bit in range(bits):
        if isinstance(part, int):
            flipped: Any = part ^ 1 << bit
        else:
            flipped = bytearray(part)
            flipped[bit // 8] ^= 1 << bit % 8
            flipped = bytes(flipped)
        assert not is_whole(changed(found, column, flipped)), bit
    assert is_whole(found)


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
@pytest.mark.parametrize("value", [None, 1.5, "text", b"", b"\0" * 8, -1, 1 << 62])
def test_each_other_type_or_length_in_each_column_is_found(column: int, value: object) -> None:
    assert not is_whole(changed(whole(), column, value))


def test_bytes_that_move_from_one_column_to_the_next_are_found() -> None:
    found = whole()
    moved = changed(changed(found, 6, found[6] + b"a"), 7, found[7][1:])

    assert not is_whole(moved)


def test_no_key_is_another_key_than_an_empty_one() -> None:
    found = row(1)

    assert is_whole(found)
    assert not is_whole(changed(found, 3, b""))


def test_a_number_that_has_no_checksum_is_damage() -> None:
    with pytest.raises(OverflowError):
        checksum_of((1 << 64,))
    assert not is_whole(changed(whole(), 1, 1 << 64))


@pytest.mark.parametrize(("raw", "name"), [(b"a.b", "a.b"), (b"\xed\xb2\x80", "\udc80"), (b"a\xff", "a\ufffd")])
def test_a_damaged_name_is_still_a_name(raw: bytes, name: str) -> None:
    assert name_of(raw) == name


@pytest.mark.parametrize("damaged", [None, 5, 1.5])
def test_a_name_of_another_type_is_an_empty_one(damaged: object) -> None:
    assert name_of(damaged) == ""
