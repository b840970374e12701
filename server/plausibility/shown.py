"""Describe plausibility alarms for programs and operators.

Place: admin.pages, metrics → HERE → plausibility.watcher.
Rule: an alarm says what was expected, what was seen, since when, what may have caused it, and which events show it.
Not here: the page (admin.plausibility).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from server.plausibility.alarms import ALL, Alarm

if TYPE_CHECKING:
    from server.plausibility.watcher import Watcher

CHANGE_S = 2 * 3600  # An alarm that begins so soon after a change of settings may be due to it.


def said(watcher: Watcher, changed_s: float, *, has_console: bool = False) -> dict[str, Any]:
    """Return alarms, streams and samples for programs. ``changed_s`` is when the settings in force were read, in
    seconds since 1970: a change of them is the likely cause of an alarm that begins soon after."""
    learning, learned = watcher.watched()
    return {
        "streams": {"learning": learning, "learned": learned},
        "settings_read_s": changed_s,
        "alarms": [_line(watcher, alarm, changed_s, has_console=has_console) for alarm in watcher.alarms.shown()],
        "samples": _samples(watcher),
    }


def _line(watcher: Watcher, alarm: Alarm, changed_s: float, *, has_console: bool) -> dict[str, Any]:
    settings = watcher.of_stream(alarm.stream)
    return {
        "stream": alarm.stream or None,
        "streams": sorted(watcher.alarms.grouped()) if alarm.stream == ALL else [alarm.stream],
        "kind": alarm.kind,
        "of": alarm.of or None,
        "expected": round(alarm.expected, 3),
        "seen": round(alarm.seen, 3),
        "since_s": alarm.since * 60,
        "is_after_change": 0 <= alarm.since * 60 - changed_s < CHANGE_S,
        "new_schemas": watcher.new_schemas(alarm.stream, alarm.since),
        "changes": [{"at_s": one.minute * 60, "text": one.text} for one in watcher.causes.announced(alarm.since)],
        "agents": _agents(watcher, alarm),
        "owner": settings.owner,
        "severity": settings.severity if alarm.stream else "page",
        "examples": alarm.examples,
        "console": _link(alarm) if has_console else None,
    }


def _agents(watcher: Watcher, alarm: Alarm) -> list[dict[str, Any]]:
    """Return the programs that send most of the invalid events that an alarm is about."""
    found = watcher.causes.agents(alarm.stream) if alarm.kind == "invalid" else []
    return [{"agent": name, "share": round(share, 3)} for name, share in found]


def _link(alarm: Alarm) -> str:
    """Return the address of the console that shows the examples of an alarm, or else events of its stream or type."""
    return f"console?{urlencode({'where': _filter(alarm)})}"


def _filter(alarm: Alarm) -> str:
    if alarm.examples:
        return " or ".join(json.dumps(one) for one in alarm.examples)
    stream = f"stream:{json.dumps(alarm.stream)}" if alarm.stream else ""
    if alarm.kind != "invalid":
        return stream
    return f"{stream} error:{alarm.of}" if alarm.of else f"{stream} verdict:invalid"


def _samples(watcher: Watcher) -> Sequence[dict[str, Any]]:
    """Return what the last report of samples says of each stream."""
    report = watcher.samples
    return [
        {
            "stream": name,
            "sampled": one.sampled,
            "shares": {kind: number / one.sampled for kind, number in one.shares.items()},
            "skew_p50_s": one.skew_p50_s,
            "skew_p99_s": one.skew_p99_s,
        }
        for name, one in sorted(report.streams.items() if report is not None else ())
        if one.sampled
    ]
