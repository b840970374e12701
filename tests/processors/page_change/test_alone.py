"""What the oracle asks of the output of a page by itself: each rule, and an output that breaks it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from processors.page_change.oracle.alone import faults
from processors.page_change.oracle.run import history_of, verdict_on
from processors.page_change.records import Output
from tests.processors.page_change.events import NAMES

OF_A_PAGE = [("create", 10), ("edit", 11), ("delete", 11), ("undelete", 10), ("visibility_change", 10), ("move", 12)]


def changes(found: list[tuple[str, int]]) -> list[dict[str, Any]]:
    return [
        {"page_change_kind": kind, "revision": {"rev_id": rev}, "meta": {"id": f"id{number}"}}
        for number, (kind, rev) in enumerate(found)
    ]


def test_a_history_has_no_fault() -> None:
    assert list(faults(changes(OF_A_PAGE), ())) == []


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ([("edit", 12)], "superseded"),
        ([("create", 9)], "superseded"),
        ([("delete", 12), ("delete", 12)], "unexpected"),
        ([("undelete", 12)], "unexpected"),
        ([("delete", 12), ("edit", 13)], "unexpected"),
        ([("delete", 12), ("visibility_change", 12)], "superseded"),
        ([("visibility_change", 11)], "superseded"),
    ],
)
def test_each_fault_is_found(more: list[tuple[str, int]], fault: str) -> None:
    assert [kind for kind, _ in faults(changes([*OF_A_PAGE, *more]), ())] == [fault]


def test_an_edit_that_heals_a_page_has_to_be_told() -> None:
    healed = changes([("create", 10), ("delete", 10), ("edit", 11)])

    assert list(faults(healed, {"id2"})) == []
    assert len(list(faults(healed, ()))) == 1


def test_an_identifier_that_comes_twice_is_a_duplicate() -> None:
    once = changes(OF_A_PAGE)

    assert [kind for kind, _ in faults([*once, once[1]], ())] == ["duplicates"]


def test_what_no_source_event_tells_is_no_change_of_a_page_with_late_events_either() -> None:
    wiki, inputs = history_of(4, 60)
    page = min(inputs.late_pages & wiki.truth.keys())
    invented = {
        "meta": {"id": "ffffffff-0000-4000-8000-000000000000"},
        "page": {"page_id": page, "page_title": "A", "namespace_id": 0},
        "page_change_kind": "edit",
        "revision": {"rev_id": 10**9},
    }
    report = verdict_on(wiki, inputs, [Output(NAMES.output, b"", 0, orjson.dumps(invented))])

    assert report.unexpected == 1
