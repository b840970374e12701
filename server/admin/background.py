"""Show the findings of checks in the background on the admin address: schemas that streams try.

Place: shared.scoreboard (lines and examples of workers) → HERE → admin.pages.
Rules: all text of a page is escaped. An example is the newest event of its kind, where workers keep any.
Not here: the checks (intake.background), metrics (metrics.background_metrics).
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from server.intake.background.counts import BETTER, JUDGED, SHADOW, SKIPPED, WORSE, parsed

if TYPE_CHECKING:
    from server.admin.view import Shared

_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="10"><title>Penstock: {title}</title>
<style>body{{font:14px/1.5 system-ui,sans-serif;margin:2em}}table{{border-collapse:collapse}}
td,th{{text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top;font-variant-numeric:tabular-nums}}
th{{color:#555;font-weight:normal}}code{{overflow-wrap:anywhere}}</style>
<h1>Penstock: {title}</h1><p>{about}</p><table><tr>{head}{body}</table>
<p><a href="status">status</a> · <a href="metrics">metrics</a></p>
"""
_ABOUT_SHADOW = (
    "Events of streams with a shadow_schema are judged by that version too, which affects no answer. "
    "Would be refused and would be accepted say what the version would change."
)


def is_intake(shared: Shared) -> bool:
    """Whether the program is the intake; others share the admin process."""
    return "penstock_shadow_events" in shared.table.metrics


def shadow(shared: Shared) -> list[dict[str, Any]]:
    """Return what each shadow schema would change, with the rules that events break."""
    return list(_checks(shared, SHADOW))


def _checks(shared: Shared, kind: str) -> Iterator[dict[str, Any]]:
    kinds = shared.board.kinds
    lines = [(parsed(line), numbers) for line, numbers in kinds.checks.totals().items()]
    named = [(name, numbers) for name, numbers in lines if name is not None and name.kind == kind]
    examples = kinds.examples.read()
    for check, numbers in named:
        if check.rule:
            continue
        rules = [
            {"rule": name.rule, "events": found[WORSE], **_example(examples.get(name.line()))}
            for name, found in named
            if name.rule and name._replace(rule="") == check
        ]
        yield {
            "stream": check.stream,
            "version": check.version,
            "judged": numbers[JUDGED],
            "would_be_refused": numbers[WORSE],
            "would_be_accepted": numbers[BETTER],
            "skipped": numbers[SKIPPED],
            "rules": sorted(rules, key=lambda rule: -rule["events"]),
        }


def _example(found: Any) -> dict[str, Any]:
    return {} if found is None else {"example": found.text, "at_s": found.at_ms / 1000}


def shadow_page(checks: list[dict[str, Any]]) -> str:
    """Return them as a page."""
    names = ("stream", "version", "judged", "would_be_refused", "would_be_accepted", "skipped")
    rows = []
    for check in checks:
        rows.append(f"<tr>{''.join(f'<td>{_text(check[name])}' for name in names)}")
        for rule in check["rules"]:
            seen = f" {_time(rule['at_s'])} <code>{_text(rule['example'])}</code>" if "example" in rule else ""
            rows.append(f"<tr><td><td>{_text(rule['events'])} ×<td colspan=4><code>{_text(rule['rule'])}</code>{seen}")
    head = "".join(f"<th>{name.replace('_', ' ')}" for name in names)
    body = "".join(rows) or "<tr><td>No event was judged yet."
    return _PAGE.format(title="shadow schemas", about=_ABOUT_SHADOW, head=head, body=body)


def _time(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_s))


def _text(value: Any) -> str:
    return html.escape(str(value))
