"""Plausibility alarms as the admin process sees them: the counts that they are made from, and a page.

Place: shared.scoreboard (counts) → HERE → plausibility.watcher; admin.pages shows the page.
Rule: all text of the page is escaped.
Not here: what is unusual (plausibility.model), names of metrics (metrics.plausibility_metrics).
"""

from __future__ import annotations

import html
import time
from typing import TYPE_CHECKING, Any

from server.intake.books.counts import INVALID
from server.plausibility.watcher import Total, Watcher

if TYPE_CHECKING:
    from pathlib import Path

    from server.admin.view import Shared

_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="30"><title>Penstock: alarms</title>
<style>body{{font:14px/1.5 system-ui,sans-serif;margin:2em}}table{{border-collapse:collapse}}
td,th{{text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top;font-variant-numeric:tabular-nums}}
th{{color:#555;font-weight:normal}}</style>
<h1>Penstock: plausibility alarms</h1><p>{learned} streams are judged, {learning} are still learned.</p>
<table><tr><th>stream<th>kind<th>expected<th>seen<th>since (UTC)<th>owner<th>remark{body}</table>
<p><a href="status">status</a> · <a href="metrics">metrics</a></p>
"""


def watcher_of(shared: Shared, directory: Path) -> Watcher:
    """Return the watcher of this host's streams."""
    board = shared.board

    def totals() -> dict[str, Total]:
        invalid = {name: counts[INVALID] for name, counts in board.kinds.streams.totals().items()}
        books = board.ledger.totals()
        traffic = {name: numbers["accepted"] - numbers["canaries"] for name, numbers in books.items()}
        return {name: Total(traffic.get(name, 0), invalid.get(name, 0)) for name in {*traffic, *invalid}}

    return Watcher(directory, totals, lambda: shared.snapshot)


def page(said: dict[str, Any]) -> str:
    """Return the alarms as a page."""
    rows = "".join(_row(alarm) for alarm in said["alarms"])
    return _PAGE.format(body=rows or "<tr><td>No alarm.", **said["streams"])


def _row(alarm: dict[str, Any]) -> str:
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(alarm["since_s"]))
    name = alarm["stream"] or f"{len(alarm['streams'])} streams"
    remark = "settings or streams were read again shortly before" if alarm["is_after_change"] else ""
    cells = (name, alarm["kind"], f"{alarm['expected']:g}", f"{alarm['seen']:g}", since, alarm["owner"], remark)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}' for cell in cells)}"
