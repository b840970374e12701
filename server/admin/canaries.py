"""Canaries as the admin process sees them: what is expected, what the last run found, and a page of it.

Place: canary.plan (expected), canary.state (found) → HERE → metrics.canary_metrics, admin.pages.
Rules: what is expected comes from the settings and streams in force, so that a canary that is missing is seen as such,
also when none is sent any more. All text of the page is escaped.
Not here: sending (canary.process), names of metrics (metrics.canary_metrics).
"""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from server.canary.plan import Check, checks
from server.canary.state import PENDING_PERIODS, CanaryState, Row, expected_rows, read_state

if TYPE_CHECKING:
    from pathlib import Path

    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config

_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Penstock: canaries</title>
<style>body{{font:14px/1.5 system-ui,sans-serif;margin:2em}}table{{border-collapse:collapse}}
td,th{{text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top;font-variant-numeric:tabular-nums}}
th{{color:#555;font-weight:normal}}.failing{{color:#a00}}</style>
<h1>Penstock: canaries</h1><p>{about}</p><table><tr><th>stream{head}</tr>{body}</table>
<p><a href="status">status</a> · <a href="metrics">metrics</a></p>
"""


class Expected(Struct, frozen=True):
    """One stream and target. ``row`` None: no run has tried it yet. ``age_s`` is the time since the last success, or
    since it was first expected."""

    check: Check
    row: Row | None
    age_s: float


class CanaryView(Struct, frozen=True):
    """All canaries at one moment. ``silent_s`` is the time since a run ended, or since the settings were read."""

    state: CanaryState | None
    expected: list[Expected]
    period_s: float
    silent_s: float
    now_s: float


class Canaries:
    """The canaries of one generation."""

    def __init__(self, config: Config, directory: Path) -> None:
        self._config = config
        self._directory = directory
        self._planned: tuple[Snapshot, list[Check]] | None = None
        self._firsts: dict[str, tuple[float, float]] = {}  # Times, and when each was seen first.

    def look(self, snapshot: Snapshot, since_s: float, now_s: float) -> CanaryView:
        """Return the present view. ``since_s`` is when the settings were read, in seconds since 1970."""
        if self._planned is None or self._planned[0] is not snapshot:
            self._planned = (snapshot, checks(snapshot, self._config))
        state = read_state(self._directory)
        expected = [
            Expected(check, row, self._age_s(row, since_s, now_s))
            for check, row in expected_rows(self._planned[1], state)
        ]
        last_s = since_s if state is None else state.ended_s
        silent_s = max(now_s - last_s, self._steady_s("", last_s))
        known = {"", *(f"{one.check.stream} {one.check.target}" for one in expected)}
        self._firsts = {name: first for name, first in self._firsts.items() if name in known}
        return CanaryView(state, expected, self._config.canary.period_s, max(0.0, silent_s), now_s)

    def _age_s(self, row: Row | None, since_s: float, now_s: float) -> float:
        if row is None:
            return max(0.0, now_s - since_s)
        return max(row.age_s(now_s), self._steady_s(f"{row.stream} {row.target}", row.success_s or row.since_s))

    def _steady_s(self, name: str, at_s: float) -> float:
        """Return how long a time has been the last of its name, by a clock that is not set: nothing becomes young again
        because the clock of the host was ahead."""
        first = self._firsts.get(name)
        if first is None or first[0] != at_s:
            first = self._firsts[name] = (at_s, time.monotonic())
        return time.monotonic() - first[1]


def said(view: CanaryView) -> dict[str, Any]:
    """Return the view for programs."""
    state = view.state
    return {
        "period_s": view.period_s,
        "last_run_age_s": round(view.silent_s, 1) if state is not None else None,
        "runs": state.runs if state is not None else 0,
        "host": state.host if state is not None else None,
        "canaries": [_line(view, one) for one in view.expected],
    }


def _line(view: CanaryView, one: Expected) -> dict[str, Any]:
    row = one.row
    return {
        "stream": one.check.stream,
        "target": one.check.target,
        "condition": _condition(view, one),
        "age_s": round(one.age_s, 1),
        "stage": row.stage if row is not None else None,
        "roundtrip_ms": row.roundtrip_ms if row is not None else None,
        "detail": row.detail if row is not None else "",
    }


def _condition(view: CanaryView, one: Expected) -> str:
    """Return how a canary is now: one that no run has tried is pending for as long as a new one that fails."""
    if one.row is None:
        return "pending" if one.age_s < PENDING_PERIODS * view.period_s else "failing"
    return one.row.condition(view.now_s, view.period_s)


def page(view: CanaryView) -> str:
    """Return the view as a page: a row for each stream, a column for each target."""
    targets = list(dict.fromkeys(one.check.target for one in view.expected))
    by_stream: dict[str, dict[str, Expected]] = {}
    for one in view.expected:
        by_stream.setdefault(one.check.stream, {})[one.check.target] = one
    body = "".join(
        f"<tr><td>{_text(stream)}{''.join(_cell(view, row.get(target)) for target in targets)}</tr>"
        for stream, row in by_stream.items()
    )
    last = f"The last run ended {view.silent_s:.0f} s ago" if view.state is not None else "No run has ended yet"
    about = f"{last}; a run begins every {view.period_s:g} s."
    return _PAGE.format(about=about, head="".join(f"<th>{_text(target)}" for target in targets), body=body)


def _cell(view: CanaryView, one: Expected | None) -> str:
    if one is None:
        return "<td>"
    condition, row = _condition(view, one), one.row
    if condition == "ok" and row is not None and row.roundtrip_ms is not None:
        return f'<td class="ok">ok, {row.roundtrip_ms:g} ms, {one.age_s:.0f} s ago'
    stage = f" at {row.stage}: {row.detail}" if row is not None else ": no run has tried it"
    success = "never ok" if row is None or row.success_s is None else f"last ok {one.age_s:.0f} s ago"
    return f'<td class="{condition}">{condition}{_text(stage)}; {success}'


def _text(value: str) -> str:
    return html.escape(value)
