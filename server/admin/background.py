"""Show the findings of checks in the background on the admin address: schemas that streams try, and expectations.

Place: shared.scoreboard (lines and examples of workers) → HERE → admin.pages.
Rules: all text of a page is escaped. An example is the newest event of its kind, where workers keep any.
Not here: the checks (intake.background), metrics (metrics.background_metrics).
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from server.intake.background.counts import BETTER, EXPECT, JUDGED, SHADOW, SKIPPED, WORSE, CheckName, parsed

if TYPE_CHECKING:
    from server.admin.view import Shared

Columns = dict[str, int]  # A name for each number of a check.

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
_ABOUT_EXPECT = (
    "Accepted events are judged by the expectations of their schema (x-expect), which refuse nothing. "
    "Failed are events that do not meet one at least."
)
_SHADOW: Columns = {"judged": JUDGED, "would_be_refused": WORSE, "would_be_accepted": BETTER, "skipped": SKIPPED}
_EXPECT: Columns = {"judged": JUDGED, "failed": WORSE, "skipped": SKIPPED}


def is_intake(shared: Shared) -> bool:
    """Whether the program is the intake; others share the admin process."""
    return "penstock_shadow_events" in shared.table.metrics


def shadow(shared: Shared) -> list[dict[str, Any]]:
    """Return what each shadow schema would change, with the rules that events break."""
    return list(_checks(shared, SHADOW, _SHADOW))


def expectations(shared: Shared) -> list[dict[str, Any]]:
    """Return what the expectations of each stream have found."""
    return list(_checks(shared, EXPECT, _EXPECT))


def _checks(shared: Shared, kind: str, columns: Columns) -> Iterator[dict[str, Any]]:
    kinds = shared.board.kinds
    lines = [(parsed(line), numbers) for line, numbers in kinds.checks.totals().items()]
    named = [(name, numbers) for name, numbers in lines if name is not None and name.kind == kind]
    examples = kinds.examples.read()
    for check, numbers in named:
        if check.rule:
            continue
        rules = [
            {**_rule(name, found), **_example(examples.get(name.line()))}
            for name, found in named
            if name.rule and name._replace(rule="") == check
        ]
        yield {
            "stream": check.stream,
            **({"version": check.version} if check.version else {}),
            **{column: numbers[cell] for column, cell in columns.items()},
            "rules": sorted(rules, key=lambda rule: -rule["events"]),
        }


def _rule(name: CheckName, numbers: list[int]) -> dict[str, Any]:
    """Return the numbers of a rule. Those of a shadow schema are known only once they are broken."""
    judged = {"judged": numbers[JUDGED], "skipped": numbers[SKIPPED]} if name.kind == EXPECT else {}
    return {"rule": name.rule, "events": numbers[WORSE], **judged}


def _example(found: Any) -> dict[str, Any]:
    return {} if found is None else {"example": found.text, "at_s": found.at_ms / 1000}


def shadow_page(checks: list[dict[str, Any]]) -> str:
    """Return them as a page."""
    return _page(checks, ("stream", "version", *_SHADOW), "shadow schemas", _ABOUT_SHADOW)


def expectations_page(checks: list[dict[str, Any]]) -> str:
    """Return them as a page."""
    return _page(checks, ("stream", *_EXPECT), "expectations", _ABOUT_EXPECT)


def _page(checks: list[dict[str, Any]], names: tuple[str, ...], title: str, about: str) -> str:
    rows = []
    for check in checks:
        rows.append(f"<tr>{''.join(f'<td>{_text(check[name])}' for name in names)}")
        for rule in check["rules"]:
            seen = f" {_time(rule['at_s'])} <code>{_text(rule['example'])}</code>" if "example" in rule else ""
            of_all = f" of {_text(rule['judged'])}" if "judged" in rule else " ×"
            of_all += f", {_text(rule['skipped'])} skipped" if rule.get("skipped") else ""
            rows.append(
                f"<tr><td><td>{_text(rule['events'])}{of_all}<td colspan=4><code>{_text(rule['rule'])}</code>{seen}"
            )
    head = "".join(f"<th>{name.replace('_', ' ')}" for name in names)
    body = "".join(rows) or "<tr><td>No event was judged yet."
    return _PAGE.format(title=title, about=about, head=head, body=body)


def _time(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_s))


def _text(value: Any) -> str:
    return html.escape(str(value))
