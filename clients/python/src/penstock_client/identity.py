"""Identities (UUIDv7, RFC 9562 section 5.7) and times as text."""

from __future__ import annotations

import os
import time

_AT_ONCE = 16  # Random bytes are fetched for so many identities at a time; more would make one call in a hundred slow.
_random: list[str] = []


def _forget() -> None:
    """Discard what was drawn: after a fork, parent and child would make the same identities."""
    _random.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def new_id(unix_ms: int | None = None) -> str:
    """Return a new UUIDv7: the wall clock, which the caller may have read already, and 74 random bits."""
    global _last_prefix  # noqa: PLW0603 - a cache of one entry, replaced whole: safe without a lock
    if unix_ms is None:
        unix_ms = time.time_ns() // 1_000_000
    try:
        tail = _random.pop()
    except IndexError:
        digits = os.urandom(10 * _AT_ONCE).hex()
        tails = [digits[at : at + 20] for at in range(0, len(digits), 20)]
        tail = tails.pop()
        _random.extend(tails)
    known_ms, prefix = _last_prefix
    if known_ms != unix_ms:
        digits = f"{unix_ms:012x}"
        prefix = f"{digits[:8]}-{digits[8:]}-7"
        _last_prefix = (unix_ms, prefix)
    return f"{prefix}{tail[:3]}-{_VARIANTS[tail[3]]}{tail[4:7]}-{tail[7:19]}"


_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_last_prefix = (-1, "")
_last_second = (-1, "")


def timestamp(unix_ms: int) -> str:
    """Return a time as ``2026-11-28T12:00:00.000Z``."""
    global _last_second  # noqa: PLW0603 - a cache of one entry, replaced whole: safe without a lock
    second, rest = divmod(unix_ms, 1000)
    known, text = _last_second
    if known != second:  # Not for each millisecond: strftime takes longer than the rest of submit.
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _last_second = (second, text)
    return f"{text}.{rest:03d}Z"
