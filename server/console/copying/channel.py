"""The way of copies from the workers to the admin process, and of rules back to the workers.

Place: boot.generation makes it before the first fork → console.copying.tap writes (workers), console.arrivals reads.
Rules: no file and no name. A worker never waits: copies that the reader is too slow for wait in bounded memory, then
they are dropped and counted. The master keeps both ends open, so a new admin process goes on where a dead one was.
Workers learn from shared memory whether the console is read; that ends by itself, also if the admin process dies.
Not here: the form of a copy (console.copying.copies), the rules (console.copying.chaos).
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from server.console.copying.chaos import SharedRules
from server.console.copying.copies import PART_HEAD

PART_BYTES: Final = 49_152  # Several fit into the kernel's buffer for a socket, which is 208 kB.
MAX_WAITING_BYTES: Final = 8_388_608
MAX_READS: Final = 32  # Parts that are read in one turn of the loop.
READ_S: Final = 60.0  # The console counts as read for so long after a request to its interface.

_HEAD: Final = struct.Struct("<IIII")  # Sender, number of the copy, number of this part, and of all; 0: a batch.
_SIZE: Final = struct.Struct("<I")


class Channel:
    """Both ends, and the shared rules."""

    def __init__(self, rules: SharedRules | None = None) -> None:
        """``rules`` are those of the generation before; they stay open when this one is closed."""
        self.to_console, self.from_workers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.to_console.setblocking(False)
        self.from_workers.setblocking(False)
        self.rules = rules or SharedRules()
        self._owns_rules = rules is None
        self._read_until_s = memoryview(mmap.mmap(-1, 8)).cast("d")

    def note_reader(self) -> None:
        """Note, in the admin process, that the console is read."""
        self._read_until_s[0] = time.monotonic() + READ_S

    def is_read(self) -> bool:
        """Whether the console was read lately. The clock is that of the host, so all processes agree on it."""
        return time.monotonic() < self._read_until_s[0]

    def close(self) -> None:
        """Close everything: in the master, when no more children will be forked with it."""
        self.to_console.close()
        self.from_workers.close()
        if self._owns_rules:
            self.rules.close()


class CopyWriter:
    """Writes copies in a worker. ``dropped`` counts those for which there was no room."""

    def __init__(self, channel: Channel) -> None:
        self._socket = channel.to_console
        self._loop: asyncio.AbstractEventLoop
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._pid = os.getpid() & 0xFFFF_FFFF
        self.dropped = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use this loop to wait for room."""
        self._loop = loop

    def write(self, number: int, text: bytes) -> bool:
        """Send a copy at the end of the turn, or when the reader has room. Returns whether it will be sent."""
        if self._waiting_bytes + self._batch_bytes + len(text) > MAX_WAITING_BYTES:
            self.dropped += 1
            return False
        if len(text) + _SIZE.size > PART_BYTES:
            self._flush()
            count = -(-len(text) // PART_BYTES)
            for part in range(count):
                head = _HEAD.pack(self._pid, number & 0xFFFF_FFFF, part, count)
                self._send(head + text[part * PART_BYTES : (part + 1) * PART_BYTES])
            return True
        if self._batch_bytes + len(text) + _SIZE.size > PART_BYTES:
            self._flush()
        if not self._batch:
            self._loop.call_soon(self._flush)
        self._batch += (_SIZE.pack(len(text)), text)
        self._batch_bytes += len(text) + _SIZE.size
        return True

    def _flush(self) -> None:
        """Send the small copies of this turn as one part: each send costs a system call and wakes the reader."""
        if self._batch:
            self._send(b"".join((_HEAD.pack(self._pid, 0, 0, 0), *self._batch)))
            self._batch, self._batch_bytes = [], 0

    def _send(self, part: bytes) -> None:
        if not self._waiting:
            try:
                self._socket.send(part)
                return
            except BlockingIOError:
                self._loop.add_writer(self._socket, self._on_room)
            except OSError:  # The admin process has ended for good, so no program will read the copy.
                self.dropped += 1
                return
        self._waiting.append(part)
        self._waiting_bytes += len(part)

    def _on_room(self) -> None:
        while self._waiting:
            try:
                self._socket.send(self._waiting[0])
            except BlockingIOError:
                return
            except OSError:
                self.dropped += 1
            self._waiting_bytes -= len(self._waiting.popleft())
        self._loop.remove_writer(self._socket)

    def close(self) -> None:
        """Write no more."""
        self._batch = []
        if self._waiting:
            self._loop.remove_writer(self._socket)
            self._waiting.clear()


class CopyReader:
    """Reads parts in the admin process, and hands whole copies to ``on_copy``."""

    def __init__(self, channel: Channel, on_copy: Callable[[bytes], None]) -> None:
        self._socket = channel.from_workers
        self._on_copy = on_copy
        self._begun: dict[tuple[int, int], list[bytes]] = {}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        loop.add_reader(self._socket, self.read)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read no more."""
        loop.remove_reader(self._socket)

    def read(self) -> None:
        """Read the parts that wait, a bounded number of them."""
        for _ in range(MAX_READS):
            try:
                part = self._socket.recv(PART_HEAD + PART_BYTES)
            except BlockingIOError:
                return
            if len(part) >= PART_HEAD:
                self._take(part)

    def _take(self, part: bytes) -> None:
        sender, number, at, count = _HEAD.unpack_from(part)
        if count == 0:
            place = PART_HEAD
            while place < len(part):
                (size,) = _SIZE.unpack_from(part, place)
                place += _SIZE.size
                self._on_copy(part[place : place + size])
                place += size
            return
        begun = self._begun.setdefault((sender, number), [])
        if at == len(begun):  # A part in front of it was lost otherwise: the gap shows in the numbers of copies.
            begun.append(part[PART_HEAD:])
        if at == count - 1:
            del self._begun[sender, number]
            if len(begun) == count:
                self._on_copy(b"".join(begun))
