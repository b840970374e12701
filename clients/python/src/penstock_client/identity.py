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


def new_id() -> str:
    """Return a new UUIDv7. It is made from the wall clock and 74 random bits."""
    try:
        tail = _random.pop()
    except IndexError:
        digits = os.urandom(10 * _AT_ONCE).hex()
        tails = [digits[at : at + 20] for at in range(0, len(digits), 20)]
        tail = tails.pop()
        _random.extend(tails)
    ms = "%012x" % (time.time_ns() // 1_000_000)
    variant = "89ab"[int(tail[3], 16) & 3]
    return f"{ms[:8]}-{ms[8:]}-7{tail[:3]}-{variant}{tail[4:7]}-{tail[7:19]}"


_last_second = (0, "")


def timestamp(unix_ns: int) -> str:
    """Return a time as ``2026-11-28T12:00:00.000Z``."""
    global _last_second  # noqa: PLW0603 - a cache of one entry, replaced whole: safe without a lock
    second, rest = divmod(unix_ns, 1_000_000_000)
    known, text = _last_second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _last_second = (second, text)
    return f"{text}.{rest // 1_000_000:03d}Z"
