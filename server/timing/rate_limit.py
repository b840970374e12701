"""Rate limits for any number of keys: token buckets in memory that never grows.

Place: http.around.request_rate limits client addresses with it; it suits any keys that strangers can make up.
Rules: a key has no entry of its own but shares two cells with others, one in each of two tables, chosen by Python's
hash of texts, which differs from start to start. A bucket is as full as the fuller of its two cells, so other keys can
interfere with it only if they use both of its cells. Nothing is ever evicted, however many keys come.
Not here: the meaning of a key, the answer to a refused request.
"""

# hot path

from __future__ import annotations

from array import array

_HALF = 32

MAX_AHEAD = 16


class TokenBuckets:
    """A token bucket for each key: ``rate_per_s`` on average and ``burst`` at once. ``max_entries`` is the number of
    cells, 16 bytes each in both tables together. ``ahead`` is how many tokens may be taken in advance while half of a
    bucket is left."""

    __slots__ = ("_first", "_mask", "_second", "_step_s", "_tolerance_s", "ahead")

    def __init__(self, rate_per_s: float, burst: int, max_entries: int = 65_536) -> None:
        size = 1 << (max_entries - 1).bit_length()
        self._mask = size - 1
        self.ahead = min(MAX_AHEAD, burst // 64)
        self._step_s = 1.0 / rate_per_s
        self._tolerance_s = (burst - 1) * self._step_s + 1e-9  # The margin is for the rounding of sums of steps.
        self._first = array("d", bytes(8 * size))
        self._second = array("d", bytes(8 * size))

    def take(self, key: str, now: float, count: int = 1) -> float:
        """Take ``count`` tokens from the bucket of ``key`` at the instant ``now`` (seconds of any monotonic clock).
        Returns 0, or the seconds until a token is available; then none was taken."""
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
        """Take ``ahead`` tokens if half of the bucket is left, or none, so that no request is refused before that on
        account of unused tokens. Returns how many were taken."""
        is_half_left = self.wait_s(key, now - self._tolerance_s / 2) == 0.0
        return self.ahead if is_half_left and not self.take(key, now, self.ahead) else 0

    def wait_s(self, key: str, now: float) -> float:
        """Return what ``take`` would return, without taking a token."""
        hashed = hash(key)
        full_at = min(self._first[hashed & self._mask], self._second[(hashed >> _HALF) & self._mask])
        return max(0.0, full_at - now - self._tolerance_s)
