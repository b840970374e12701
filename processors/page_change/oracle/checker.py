"""Compare the output with the true history.

Place: oracle.history and the records of the output → HERE.
Rules: pages whose events kept the bounds have exactly their history, in order, each change once. Of other pages every
change is in the output or in a side stream, and none follows a newer one of its page.
Not here: reading the records (oracle.run).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct, field

from processors.page_change.format import identifier
from processors.page_change.oracle.history import Happened


class Report(Struct):
    """The findings. ``wrong_order``: changes right after a newer one of their page. ``superseded``: changes after any
    newer one. ``lost``: changes in no stream. ``duplicates``: changes that were emitted before. ``unexpected``: output
    that is no change, or another one. ``outside``: the same on pages with late events, which is no fault.
    ``set_aside``: events in side streams."""

    emitted: int = 0
    wrong_order: int = 0
    lost: int = 0
    superseded: int = 0
    duplicates: int = 0
    unexpected: int = 0
    outside: int = 0
    set_aside: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether no promise was broken."""
        return not (self.wrong_order or self.lost or self.superseded or self.duplicates or self.unexpected)

    def note(self, text: str) -> None:
        """Keep the first few examples."""
        if len(self.examples) < 5:
            self.examples.append(text)


def check(
    truth: Mapping[int, list[Happened]],
    late_pages: set[int],
    output: Iterable[dict[str, Any]],
    asides: Iterable[dict[str, Any]],
    stream: str,
    aside_streams: tuple[str, ...],
) -> Report:
    """Compare. ``output`` are the events of the output in its order, ``asides`` those of the side streams."""
    report = Report()
    by_page: dict[int, list[dict[str, Any]]] = {}
    for event in output:
        report.emitted += 1
        by_page.setdefault(event["page"]["page_id"], []).append(event)
    aside_ids = {event["meta"]["id"] for event in asides}
    report.set_aside = len(aside_ids)
    for page_id, history in truth.items():
        found = by_page.pop(page_id, [])
        seen = _check_page(report, page_id, history, found, stream, is_late=page_id in late_pages)
        for index, happened in enumerate(history):
            ids = {identifier(name, source) for name in aside_streams for source in happened.sources}
            if index not in seen and not (page_id in late_pages and ids & aside_ids):
                report.lost += 1
                report.note(f"page {page_id}: {happened.kind} of revision {happened.rev} is lost")
    report.unexpected += sum(len(events) for events in by_page.values())
    return report


def _check_page(
    report: Report,
    page_id: int,
    history: list[Happened],
    found: list[dict[str, Any]],
    stream: str,
    *,
    is_late: bool,
) -> set[int]:
    """Check the events of one page. Returns which changes of its history they are."""
    index_of = {
        identifier(stream, source): index for index, happened in enumerate(history) for source in happened.sources
    }
    seen: set[int] = set()
    newest = before = -1
    for event in found:
        index = index_of.get(event["meta"]["id"], -1)
        shown = f"page {page_id}: {event['page_change_kind']} of revision {event['revision']['rev_id']}"
        if index < 0 and is_late:
            # Such as a revision that was imported, when its page's head is not known yet. Another event of a revision
            # that is in the history tells of it all the same.
            report.outside += 1
            rev = event["revision"]["rev_id"]
            seen.update(other for other, one in enumerate(history) if one.rev == rev and one.kind == "edit")
            continue
        if index < 0 or not _is_like(event, history[index], is_late=is_late):
            report.unexpected += 1
            report.note(f"{shown} is not in its history")
            continue
        if index in seen:
            report.duplicates += 1
            report.note(f"{shown} comes twice")
        elif index < newest:
            report.superseded += 1
            report.wrong_order += index < before
            report.note(f"{shown} comes after {history[newest].kind} of revision {history[newest].rev}")
        seen.add(index)
        newest, before = max(newest, index), index
    return seen


def _is_like(event: dict[str, Any], happened: Happened, *, is_late: bool) -> bool:
    page = event["page"]
    kind = event["page_change_kind"]
    if is_late and happened.kind in ("move", "create") and kind == "edit":
        kind = happened.kind  # Its page-move or page-create came late: it is in the late stream.
    return (kind, event["revision"]["rev_id"], page["page_title"], page["namespace_id"]) == (
        *(happened.kind, happened.rev, happened.title, happened.namespace),
    )
