"""Say whether an identity has come before, in bounded memory.

Place: plausibility.sampling.sample → HERE.
Rules: two Bloom filters of ``BYTES`` take turns: each remembers ``MOST`` identities, and the older one is emptied when
the newer one is full, so between MOST and twice as many are remembered. One new identity in 200 is taken for an old
one; the share that is unusual is far above that.
Not here: how many duplicates are unusual (plausibility.ratio).
"""

from __future__ import annotations

import hashlib
from typing import Final

MOST: Final = 2_000
BYTES: Final = 3_072  # 12 bits for each identity.
PROBES: Final = 5


class Repeats:
    """The identities of one stream's sampled events."""

    __slots__ = ("_count", "_newer", "_older")

    def __init__(self) -> None:
        self._newer, self._older = bytearray(BYTES), bytearray()  # The older one is empty until the newer one is full.
        self._count = 0

    def take(self, identity: str) -> bool:
        """Remember an identity. Returns whether it has come before."""
        digest = hashlib.blake2b(identity.encode("utf-8", "replace"), digest_size=4 * PROBES).digest()
        bits = [int.from_bytes(digest[at : at + 4], "little") % (8 * BYTES) for at in range(0, 4 * PROBES, 4)]
        is_old = _has(self._newer, bits) or _has(self._older, bits)
        if not _has(self._newer, bits):
            for bit in bits:
                self._newer[bit >> 3] |= 1 << (bit & 7)
            self._count += 1
            if self._count >= MOST:
                self._newer, self._older = bytearray(BYTES), self._newer
                self._count = 0
        return is_old


def _has(bits: bytearray, probes: list[int]) -> bool:
    return bool(bits) and all(bits[bit >> 3] >> (bit & 7) & 1 for bit in probes)
