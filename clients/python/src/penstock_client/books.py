"""What a client counts, says in warnings, and reports to the intake."""

from __future__ import annotations

from collections import Counter
from typing import Any

from penstock_client.version import VERSION

WARN_EVERY_S = 60.0
REPORT_EVERY_S = 60.0
MAX_REPORTED = 100  # Lines of one report; what is beyond comes with the next.
REPORT_SCHEMA = "/penstock/client_report/1.0.0"
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0)


class Books:
    """Counts since the start of the process. ``latencies`` are requests by ``BOUNDS_S``, the last one beyond them."""

    def __init__(self, now_s: float) -> None:
        self.submitted = 0
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.not_sampled: Counter[str] = Counter()
        self.requests = 0
        self.retries = 0
        self.receipts = 0
        self.latencies = [0] * (len(BOUNDS_S) + 1)
        self.latency_sum_s = 0.0
        self._warned: dict[str, tuple[float, int]] = {}
        self._unreported: Counter[tuple[str, str]] = Counter()
        self._reported = (0, 0)
        self._report_due_s = now_s + REPORT_EVERY_S

    def lost(self) -> int:
        """Return how many were dropped and rejected."""
        return self.dropped.total() + self.rejected.total()

    def note_lost(self, stream: str, reason: str) -> None:
        """Count for the next report."""
        self._unreported[stream, reason] += 1

    def took(self, seconds: float) -> None:
        """A request took so long."""
        self.requests += 1
        self.latency_sum_s += seconds
        self.latencies[next((at for at, bound in enumerate(BOUNDS_S) if seconds <= bound), len(BOUNDS_S))] += 1

    def warning(self, reason: str, detail: str, now_s: float) -> str | None:
        """Return the line to log, or None if this reason has had one within a minute: that one is counted."""
        due_s, suppressed = self._warned.get(reason, (now_s, 0))
        if now_s < due_s:
            self._warned[reason] = (due_s, suppressed + 1)
            return None
        self._warned[reason] = (now_s + WARN_EVERY_S, 0)
        more = f" ({suppressed} more of these since the last line)" if suppressed else ""
        return f"{detail}{more}"

    def report_due_s(self) -> float:
        """Return when the next report is due; infinity: there is nothing to report."""
        return self._report_due_s if self._unreported else float("inf")

    def take_report(self, now_s: float) -> dict[str, Any] | None:
        """Return the event that reports what was lost since the last one; None: nothing was."""
        if not self._unreported:
            return None
        self._report_due_s = now_s + REPORT_EVERY_S
        chosen = self._unreported.most_common(MAX_REPORTED)
        for key, _ in chosen:
            del self._unreported[key]
        submitted, sent = self._reported
        self._reported = (self.submitted, self.sent)
        return {
            "$schema": REPORT_SCHEMA,
            "client": f"python/{VERSION}",
            "submitted": self.submitted - submitted,
            "sent": self.sent - sent,
            "dropped": [
                {"stream": _writable(stream)[:249], "reason": reason[:64], "count": count}
                for (stream, reason), count in chosen
            ],
        }


def _writable(text: str) -> str:
    """Return a text with what no encoding has replaced: a report must not be lost for a name that is none."""
    return text.encode("utf-8", "replace").decode()
