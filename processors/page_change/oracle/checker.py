"""Compare the output with the true history.

Place: oracle.history and the records of the output → HERE.
Rules: pages whose events kept the bounds have exactly their history, in order, each change once. Of other pages every
change is in the output or in a side stream, and none follows a newer one of its page; three things are allowed there,
which docs/PAGE_CHANGE.md lists with their reasons, and each is bound to a source event that was really sent.
Not here: reading the records (oracle.run), what holds of the output by itself (alone).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import orjson
from msgspec import Struct, field

from processors.page_change.format import identifier
from processors.page_change.oracle.alone import CHANGES, faults
from processors.page_change.oracle.history import Happened, Sent, Wiki

# Stream → the kinds that an event of it may become although nothing of that kind happened. Where the head of its page
# is not known, an imported or restored revision is an edit; an old revision is the head whose visibility changes; and
# to restore further revisions is to restore the page.
_MAY_BE: Final = {
    "mediawiki.revision-create": CHANGES,
    "mediawiki.page-undelete": ("undelete",),
    "mediawiki.revision-visibility-change": ("visibility_change",),
}


class Report(Struct):
    """The findings. ``wrong_order``: changes right after a newer one of their page. ``superseded``: changes after any
    newer one. ``lost``: changes in no stream. ``duplicates``: changes that were emitted before. ``unexpected``: output
    that is no change, or another one. ``outside``: source events of pages with late events that were taken for a
    change, because what says otherwise came too late; this is no fault. ``set_aside``: events in side streams."""

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
    wiki: Wiki,
    late_pages: set[int],
    output: Iterable[dict[str, Any]],
    asides: Iterable[dict[str, Any]],
    stream: str,
    aside_streams: tuple[str, ...],
) -> Report:
    """Compare. ``output`` are the events of the output in its order, ``asides`` those of the side streams."""
    asides = list(asides)
    told = {identifier(stream, orjson.loads(event["event"])["meta"]["id"]) for event in asides}
    sent = {identifier(stream, one.event["meta"]["id"]): _readings(one) for one in wiki.sent}
    report = Report()
    by_page: dict[int, list[dict[str, Any]]] = {}
    for event in output:
        report.emitted += 1
        by_page.setdefault(event["page"]["page_id"], []).append(event)
    aside_ids = {event["meta"]["id"] for event in asides}
    report.set_aside = len(aside_ids)
    for page_id, history in wiki.truth.items():
        found = by_page.pop(page_id, [])
        is_late = page_id in late_pages
        aside = {
            index
            for index, happened in enumerate(history)
            if is_late and aside_ids & {identifier(name, one) for name in aside_streams for one in happened.sources}
        }
        seen = _check_page(report, page_id, history, found, stream, sent if is_late else {}, aside)
        if is_late:  # Of the others, more has been checked.
            for fault, text in faults(found, told):
                setattr(report, fault, getattr(report, fault) + 1)
                report.note(f"page {page_id}: {text}")
        for index, happened in enumerate(history):
            if index not in seen and index not in aside:
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
    sent: Mapping[str, set[tuple[int, int, str]]],
    aside: Collection[int],
) -> set[int]:
    """Check the events of one page. ``sent`` says what each source event may be taken for, if the page has late ones;
    ``aside`` are the changes of its history that a side stream tells of. Returns which changes were emitted."""
    index_of = {
        identifier(stream, source): index for index, happened in enumerate(history) for source in happened.sources
    }
    seen: set[int] = set()
    newest = before = -1
    for event in found:
        index = index_of.get(event["meta"]["id"], -1)
        shown = f"page {page_id}: {event['page_change_kind']} of revision {event['revision']['rev_id']}"
        rev = event["revision"]["rev_id"]
        name, kind = event["meta"]["id"], event["page_change_kind"]
        if index < 0 and (page_id, rev, kind) in sent.get(name, ()):
            # A revision that a restore inserted again tells of the edit of the same revision, which came late itself.
            report.outside += 1
            if kind in CHANGES:
                seen.update(other for other, one in enumerate(history) if one.rev == rev and one.kind in CHANGES)
            continue
        if index < 0 or not _is_like(event, history[index], is_aside=index in aside):
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


def _readings(one: Sent) -> set[tuple[int, int, str]]:
    """Return what a source event may be taken for where others are missing: page, revision and kind."""
    return {(one.page_id, one.event["rev_id"], kind) for kind in _MAY_BE.get(one.event["meta"]["stream"], ())}


def _is_like(event: dict[str, Any], happened: Happened, *, is_aside: bool) -> bool:
    page = event["page"]
    kind = event["page_change_kind"]
    if is_aside and happened.kind == "move" and kind == "edit":
        kind = happened.kind  # Its page-move came late: a side stream has it.
    return (kind, event["revision"]["rev_id"], page["page_title"], page["namespace_id"]) == (
        *(happened.kind, happened.rev, happened.title, happened.namespace),
    )
