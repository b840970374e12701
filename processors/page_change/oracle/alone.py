"""Check the promises of the output by itself, without a look at the true history, and beyond the bounds too.

Place: the records of the output → HERE → checker.
Rules: a create, an edit or a move has a larger revision than every change of its page before it. A page that is gone
comes back by an undelete or a create, or by a change that the stream of inconsistencies has too. No page is deleted
twice, or restored while it is there. The visibility of the current revision alone changes. No ``meta.id`` comes twice.
Not here: whether a change has happened (checker).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Literal

Fault = Literal["superseded", "unexpected", "duplicates"]
CHANGES: Final = ("create", "edit", "move")


def faults(changes: Iterable[dict[str, Any]], told: Collection[str]) -> Iterator[tuple[Fault, str]]:
    """Yield the faults of one page. ``told`` are the ``meta.id`` of changes that the stream of inconsistencies has."""
    seen: set[str] = set()
    top = head = 0
    is_there = None
    for event in changes:
        kind, rev, name = event["page_change_kind"], event["revision"]["rev_id"], event["meta"]["id"]
        if name in seen:
            yield "duplicates", f"{kind} of revision {rev} has a meta.id that was there before"
            continue
        seen.add(name)
        if kind in CHANGES:
            if rev <= top:
                yield "superseded", f"{kind} of revision {rev} comes after revision {top}"
            if is_there is False and kind != "create" and name not in told:
                yield "unexpected", f"{kind} of revision {rev} of a page that is gone is told nowhere"
        elif kind == "delete" and is_there is False:
            yield "unexpected", f"the page is deleted twice, the second time at revision {rev}"
        elif kind == "undelete" and is_there is True:
            yield "unexpected", f"the page is restored at revision {rev}, and was there"
        elif kind == "visibility_change" and (is_there is False or head not in (0, rev)):
            yield "superseded", f"the visibility of revision {rev} changes, and the page is gone or at {head}"
        is_there, head = kind != "delete", rev
        top = max(top, rev)
