"""One page as bytes, for the state of either engine.

Place: embedded.store, flink → HERE.
Rule: the first byte is the version of the layout; bytes of another version are refused, never misread.
Not here: the page (page).
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from processors.page_change.draft import Draft, Kind, State
from processors.page_change.page import Page

LAYOUT: Final = 1


class _Waiting(Struct, array_like=True):
    kind: Kind
    rev: int
    at: int
    made: int | None
    source: str
    stream: str
    has_parent: bool
    raw: bytes
    more: bytes | None


class _Stored(Struct, array_like=True):
    state: State
    pending: list[_Waiting]
    fired_at: int = -1  # Earlier programs have not stored it.


class _Keyed(_Waiting, array_like=True):
    wiki: str
    page_id: int


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Stored).decode
_decode_draft: Final = msgspec.msgpack.Decoder(_Keyed).decode


def packed(page: Page) -> bytes:
    """Return the bytes of a page."""
    pending = [
        _Waiting(one.kind, one.rev, one.at, one.made, one.source, one.stream, one.has_parent, one.raw, one.more)
        for one in page.pending
    ]
    return bytes((LAYOUT,)) + _encode(_Stored(page.state, pending, page.fired_at))


def unpacked(stored: bytes, wiki: str, page_id: int) -> Page:
    """Return the page of these bytes. Raises ValueError for another layout."""
    if stored[0] != LAYOUT:
        raise ValueError(f"the state of a page has layout {stored[0]}; this program reads {LAYOUT}")
    found = _decode(memoryview(stored)[1:])
    pending = [
        Draft(
            *(one.kind, wiki, page_id, one.rev, one.at, one.made, one.source, one.stream, one.raw),
            has_parent=one.has_parent,
            more=one.more,
        )
        for one in found.pending
    ]
    return Page(found.state, pending, found.fired_at)


def packed_draft(one: Draft) -> bytes:
    """Return the bytes of a draft with its page, for the way between two processes."""
    return _encode(
        _Keyed(
            *(one.kind, one.rev, one.at, one.made, one.source, one.stream, one.has_parent, one.raw, one.more),
            wiki=one.wiki,
            page_id=one.page_id,
        )
    )


def unpacked_draft(stored: bytes) -> Draft:
    """Return the draft of these bytes."""
    one = _decode_draft(stored)
    return Draft(
        *(one.kind, one.wiki, one.page_id, one.rev, one.at, one.made, one.source, one.stream, one.raw),
        has_parent=one.has_parent,
        more=one.more,
    )
