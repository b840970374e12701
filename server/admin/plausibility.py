"""Plausibility alarms as the admin process sees them: the counts that they are made from, and a page.

Place: shared.scoreboard (counts) → HERE → plausibility.watcher; admin.pages shows the page.
Rule: all text of the page is escaped.
Not here: what is unusual (plausibility.model), names of metrics (metrics.plausibility_metrics).
"""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from server.intake.books.counts import INVALID, PLACES
from server.plausibility.sampling.files import read_report
from server.plausibility.watcher import Total, Watcher
from server.shared.ledger import REASONS

if TYPE_CHECKING:
    from pathlib import Path

    from server.admin.view import Shared
    from server.plausibility.sampling.files import Report
    from server.shared.ledger import Numbers
    from server.shared.lines import Lines

_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="30"><title>Penstock: alarms</title>
<style>body{{font:14px/1.5 system-ui,sans-serif;margin:2em}}table{{border-collapse:collapse}}
td,th{{text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top;font-variant-numeric:tabular-nums}}
th{{color:#555;font-weight:normal}}</style>
<h1>Penstock: plausibility alarms</h1><p>{learned} streams are judged, {learning} are still learned.</p>
<table><tr><th>stream<th>kind<th>expected<th>seen<th>since (UTC)<th>owner<th>examples<th>remark{body}</table>
<p><a href="status">status</a> · <a href="metrics">metrics</a></p>
"""


def watcher_of(shared: Shared, directory: Path) -> Watcher:
    """Return the watcher of this host's streams."""
    board = shared.board

    def totals() -> dict[str, Total]:
        kinds, books = board.kinds.streams.totals(), board.ledger.totals()
        return {name: _total(kinds.get(name), books.get(name)) for name in {*kinds, *books}}

    def report() -> Report | None:
        return read_report(directory) if shared.config.plausibility.samples.enabled else None

    return Watcher(
        directory,
        totals,
        lambda: shared.snapshot,
        report=report,
        schemas=board.kinds.schemas.totals,
        versions=lambda: _firsts(board.kinds.versions),
        agents=lambda: _firsts(board.kinds.agents),
    )


def _firsts(lines: Lines) -> dict[str, int]:
    return {name: numbers[0] for name, numbers in lines.totals().items()}


def _total(kinds: Sequence[int] | None, books: Numbers | None) -> Total:
    """Return the counts of a stream."""
    accepted = books["accepted"] - books["canaries"] if books is not None else 0
    old, askew = (books["old"], books["askew"]) if books is not None else (0, 0)
    lost = {reason: books[reason] for reason in REASONS if books[reason]} if books is not None else {}
    if kinds is None:
        return Total(accepted, 0, old, askew, lost=lost)
    by_type = {error_type: kinds[place] for error_type, place in PLACES.items() if kinds[place]}
    return Total(accepted, kinds[INVALID], old, askew, by_type, lost)


def page(said: dict[str, Any]) -> str:
    """Return the alarms as a page."""
    rows = "".join(_row(alarm) for alarm in said["alarms"])
    return _PAGE.format(body=rows or "<tr><td>No alarm.", **said["streams"])


def _row(alarm: dict[str, Any]) -> str:
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(alarm["since_s"]))
    name = alarm["stream"] or f"{len(alarm['streams'])} streams"
    remarks = ["settings or streams were read again shortly before"] if alarm["is_after_change"] else []
    remarks += [f"{uri} was seen first" for uri in alarm["new_schemas"]]
    remarks += [f"{time.strftime('%H:%M', time.gmtime(one['at_s']))} {one['text']}" for one in alarm["changes"]]
    remarks += [f"{one['share']:.0%} from {one['agent'] or 'a program without a name'}" for one in alarm["agents"]]
    remark = html.escape("; ".join(remarks))
    kind = f"{alarm['kind']} {alarm['of'] or ''}".strip()
    cells = (name, kind, f"{alarm['expected']:g}", f"{alarm['seen']:g}", since, alarm["owner"])
    text = html.escape(" ".join(alarm["examples"]) or "-")
    if alarm["console"] is not None:
        text = f'<a href="{html.escape(alarm["console"])}">{text if alarm["examples"] else "console"}</a>'
    return f"<tr>{''.join(f'<td>{html.escape(cell)}' for cell in cells)}<td>{text}<td>{remark}"
