"""Identities for events and requests: UUIDv7 (RFC 9562 section 5.7) as text.

Place: http.request and intake.text.enricher → HERE.
Rule: the random part is drawn from the kernel for many identities at a time (one then takes 0.2 µs; uuid_utils.uuid7 as
text takes 0.7, uuid.uuid4 2.5). A fork discards the drawn bytes, or parent and child would make the same identities.
Not here: identities that clients choose.
"""

# hot path

from __future__ import annotations

import os
from struct import Struct
from time import time_ns
from typing import Final

AT_ONCE: Final = 128

_TAIL: Final = b"xxx-8xxx-xxxxxxxxxxxx"  # An x is a random digit.
_FIXED: Final = [(at, bytes([letter]) * AT_ONCE) for at, letter in enumerate(_TAIL) if letter != ord("x")]
_RANDOM_BYTES: Final = (len(_TAIL) * AT_ONCE + 1) // 2  # Digits are drawn for the fixed letters, too.
_cut: Final = Struct(f"{len(_TAIL)}s" * AT_ONCE).unpack


class Identities:
    """Makes identities: the time in milliseconds and 72 random bits; the two bits above the variant's are left 0."""

    __slots__ = ("_drawn", "_head", "_ms")

    def __init__(self) -> None:
        self._drawn: list[bytes] = []  # The parts behind the head of identities to come.
        self._ms = -1
        self._head = b""  # Of identities of this time.

    def new(self) -> bytes:
        """Return a new identity, such as ``019b0a3c-1f2e-7d41-8c05-5ad1f0e6b7c2``."""
        return self.at(time_ns() // 1_000_000)

    def at(self, unix_ms: int) -> bytes:
        """Return a new identity of this time."""
        if not self._drawn:
            self._draw()
        if unix_ms != self._ms:
            digits = b"%012x" % unix_ms
            self._ms, self._head = unix_ms, b"%b-%b-7" % (digits[:8], digits[8:])
        return self._head + self._drawn.pop()

    def _draw(self) -> None:
        tails = bytearray(os.urandom(_RANDOM_BYTES).hex(), "ascii")
        for at, letters in _FIXED:
            tails[at :: len(_TAIL)] = letters
        self._drawn = list(_cut(tails))

    def forget(self) -> None:
        """Discard the drawn bytes."""
        self._drawn.clear()


identities: Final = Identities()
os.register_at_fork(after_in_child=identities.forget)

new_id: Final = identities.new
