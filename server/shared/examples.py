"""Example events in shared memory: one for each finding of a worker, for the admin process to show.

Place: made by the scoreboard before the first fork; intake.background writes its worker's page, server.admin reads all.
Rules: a page has one writer. An entry carries a checksum, so that a reader which meets it half written passes over it.
A page is not emptied when its worker is gone, so that examples outlive a reload; the next worker of the page overwrites
them one by one.
Not here: which events are examples, and what is masked in them (intake.background).
"""

from __future__ import annotations

import mmap
import struct
import zlib
from typing import Final

from msgspec import Struct

from server.shared.lines import PAGES

ENTRIES: Final = 256  # Of each page; further findings have no example.
ENTRY_BYTES: Final = 2_560  # A name has up to 640 bytes, and the start of an event the rest.
_HEAD: Final = struct.Struct("<IHHq")  # Checksum of what follows, lengths of name and text, milliseconds since 1970.
_FLAGS: Final = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)


class Example(Struct, frozen=True):
    """The beginning of one event, and when it was found."""

    text: str
    at_ms: int


class ExamplesPage:
    """The entries of one worker."""

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._places: dict[str, int] = {}

    def put(self, name: str, text: bytes, at_ms: int) -> None:
        """Write the example of a finding in place of its last one; nothing if all entries are taken by others."""
        place = self._places.setdefault(name, len(self._places))
        if place >= ENTRIES:
            del self._places[name]
            return
        name_bytes = name.encode()
        text = text[: ENTRY_BYTES - _HEAD.size - len(name_bytes)]
        start = place * ENTRY_BYTES
        rest = _HEAD.pack(0, len(name_bytes), len(text), at_ms)[4:] + name_bytes + text
        self._memory[start + 4 : start + 4 + len(rest)] = rest
        self._memory[start : start + 4] = zlib.crc32(rest).to_bytes(4, "little")

    def read(self) -> dict[str, Example]:
        """Return all entries, without those that are being written."""
        found: dict[str, Example] = {}
        for start in range(0, ENTRIES * ENTRY_BYTES, ENTRY_BYTES):
            checksum, name_bytes, text_bytes, at_ms = _HEAD.unpack_from(self._memory, start)
            if not name_bytes:
                break
            rest = bytes(self._memory[start + 4 : start + min(_HEAD.size + name_bytes + text_bytes, ENTRY_BYTES)])
            if zlib.crc32(rest) == checksum:
                name, text = rest[_HEAD.size - 4 :][:name_bytes], rest[_HEAD.size - 4 + name_bytes :]
                found[name.decode()] = Example(text.decode("utf-8", "replace"), at_ms)
        return found


class Examples:
    """The pages of all workers. Memory that no worker writes to is not used."""

    def __init__(self) -> None:
        size = ENTRIES * ENTRY_BYTES
        view = memoryview(mmap.mmap(-1, PAGES * size, flags=_FLAGS))
        self._pages = [ExamplesPage(view[at : at + size]) for at in range(0, PAGES * size, size)]

    def page(self, index: int) -> ExamplesPage | None:
        """Return the page of a row of the scoreboard; None beyond PAGES."""
        return self._pages[index] if index < PAGES else None

    def read(self) -> dict[str, Example]:
        """Return the newest example of each finding."""
        found: dict[str, Example] = {}
        for page in self._pages:
            for name, example in page.read().items():
                before = found.get(name)
                if before is None or before.at_ms <= example.at_ms:
                    found[name] = example
        return found
