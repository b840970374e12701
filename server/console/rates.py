"""Rates of streams, for the strip of the page.

Place: console.ring calls it with each row → HERE → console.viewers.
Rule: a fixed number of seconds and a bounded number of streams; the rest is one line, ``(others)``.
Not here: metrics of the service (server.metrics), which count all events and not only those that are shown.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from server.console.copying.copies import ACCEPTED, OBSERVED, SPOOLED
from server.console.rows import Row

SECONDS: Final = 60
MAX_STREAMS: Final = 200
OTHERS: Final = "(others)"
GOOD: Final = frozenset({ACCEPTED, OBSERVED, SPOOLED})


class StreamRate:
    """One stream: events of each of the last SECONDS, and totals."""

    def __init__(self) -> None:
        self.last_s = 0
        self.total = 0
        self.bad = 0
        self.counts: deque[tuple[int, int, int]] = deque()

    def add(self, now_s: int, *, is_bad: bool) -> None:
        self.total += 1
        self.bad += is_bad
        self.last_s = now_s
        if self.counts and self.counts[-1][0] == now_s:
            second, count, bad = self.counts.pop()
            self.counts.append((second, count + 1, bad + is_bad))
        else:
            self.counts.append((now_s, 1, int(is_bad)))
        while self.counts[0][0] <= now_s - SECONDS:
            self.counts.popleft()

    def document(self, now_s: int) -> dict[str, Any]:
        """Return the members that the page shows."""
        recent = [(second, count, bad) for second, count, bad in self.counts if second > now_s - SECONDS]
        line = [0] * SECONDS
        for second, count, _ in recent:
            if 0 <= now_s - second < SECONDS:
                line[SECONDS - 1 - (now_s - second)] = count
        return {
            "per_s": round(sum(line[-10:]) / 10, 1),
            "line": line,
            "total": self.total,
            "bad": self.bad,
            "age_s": max(0, now_s - self.last_s),
        }


class Rates:
    """All streams, by name. Rows about requests without events are counted as ``(requests)``."""

    def __init__(self) -> None:
        self._streams: dict[str, StreamRate] = {}

    def add(self, row: Row) -> None:
        """Count a row."""
        name = row.summary.get("stream") or ("(no stream)" if row.event is not None else "(requests)")
        if name not in self._streams and len(self._streams) >= MAX_STREAMS:
            name = OTHERS
        rate = self._streams.setdefault(name, StreamRate())
        verdict = row.summary["verdict"]
        is_bad = verdict not in GOOD and not (row.event is None and verdict == "other")
        rate.add(row.copy.at_ms // 1000, is_bad=is_bad)

    def document(self, now_s: int) -> dict[str, Any]:
        """Return all rates, by stream."""
        return {name: rate.document(now_s) for name, rate in sorted(self._streams.items())}
