"""Identities for events and requests: UUIDv7 (RFC 9562 section 5.7) as text.

Place: http.request and intake.filling → HERE.
Rule: the random part is drawn from the kernel for many at a time (an identity then takes 0.25 µs; uuid_utils.uuid7 as
text 0.7, uuid.uuid4 2.5). A fork forgets what was drawn, or parent and child would give out the same ones.
Not here: identities that clients choose.
"""

# hot path

from __future__ import annotations

import os
from struct import iter_unpack
from time import time_ns
from typing import Final

AT_ONCE: Final = 128  # 60 µs for the event that is unlucky.


class Identities:
    """72 random bits behind the time in milliseconds; the two bits above the variant's are left 0."""

    __slots__ = ("_head", "_ms", "_tails")

    def __init__(self) -> None:
        self._ms = -1
        self._head = b""
        self._tails: list[bytes] = []

    def new(self) -> bytes:
        """Another one, such as ``019b0a3c-1f2e-7d41-8c05-5ad1f0e6b7c2``."""
        now_ms = time_ns() // 1_000_000
        if now_ms != self._ms:
            self._ms = now_ms
            digits = b"%012x" % now_ms
            self._head = b"%b-%b-7" % (digits[:8], digits[8:])
        if not self._tails:
            self._draw()
        return self._head + self._tails.pop()

    def _draw(self) -> None:
        digits = os.urandom(9 * AT_ONCE).hex().encode()
        self._tails = [b"%b-8%b-%b" % parts for parts in iter_unpack("3s3s12s", digits)]

    def forget(self) -> None:
        """Draw anew for the next one."""
        self._tails = []


_identities: Final = Identities()
os.register_at_fork(after_in_child=_identities.forget)

new_id: Final = _identities.new
