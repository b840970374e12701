"""How often each of many may do something: token buckets for any number of keys, in memory that never grows.

Place: http.around.request_rate asks for client addresses; whoever else has keys that strangers make up can ask too.
Rules: a key has no entry of its own but shares two cells with others, one in each of two tables, chosen by Python's
hash of texts, which differs from start to start. A bucket is as full as the fuller of its two cells says, so others can
only be in its way where both cells are theirs: nothing is ever forgotten or pushed out, whatever number of keys comes.
Not here: what a key is, what the refused are told.
"""

# hot path

from __future__ import annotations

from array import array

_HALF = 32

MOST_AHEAD = 16


class TokenBuckets:
    """``rate_per_s`` on average and ``burst`` at once, for each key; ``max_entries`` cells a table, 16 bytes each.
    ``ahead``: how many may be taken at a time, for the next ones that come, while half of a bucket is left."""

    __slots__ = ("_first", "_mask", "_second", "_step_s", "_tolerance_s", "ahead")

    def __init__(self, rate_per_s: float, burst: int, max_entries: int = 65_536) -> None:
        size = 1 << (max_entries - 1).bit_length()
        self._mask = size - 1
        self.ahead = min(MOST_AHEAD, burst // 64)
        self._step_s = 1.0 / rate_per_s
        self._tolerance_s = (burst - 1) * self._step_s + 1e-9  # Sums of steps are rounded.
        self._first = array("d", bytes(8 * size))
        self._second = array("d", bytes(8 * size))

    def take(self, key: str, now: float, count: int = 1) -> float:
        """Take one from the bucket of ``key`` at the instant ``now`` (seconds of any clock that only goes forward), or
        ``count`` of them. 0: they were there. Else seconds until there is one; none was taken."""
        # A cell holds the instant at which its bucket is full again: the generic cell rate algorithm (ITU-T I.371).
        hashed = hash(key)
        one, other = hashed & self._mask, (hashed >> _HALF) & self._mask
        full_at, second = self._first[one], self._second[other]
        if second < full_at:
            full_at = second
        if full_at < now:
            full_at = now
        early_s = full_at - now - self._tolerance_s
        if early_s > 0.0:
            return early_s
        full_at += count * self._step_s
        if self._first[one] < full_at:
            self._first[one] = full_at
        if self._second[other] < full_at:
            self._second[other] = full_at
        return 0.0

    def take_ahead(self, key: str, now: float) -> int:
        """Take ``ahead`` of them if half of the bucket is left, or none: so nobody is refused before that for what was
        taken and not used. Returns how many."""
        is_half_left = self.wait_s(key, now - self._tolerance_s / 2) == 0.0
        return self.ahead if is_half_left and not self.take(key, now, self.ahead) else 0

    def wait_s(self, key: str, now: float) -> float:
        """What ``take`` would say; nothing is taken."""
        hashed = hash(key)
        full_at = min(self._first[hashed & self._mask], self._second[(hashed >> _HALF) & self._mask])
        return max(0.0, full_at - now - self._tolerance_s)
