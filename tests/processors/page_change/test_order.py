"""Each case of the order: the events of one page, as they arrive, and what becomes of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from processors.page_change.consolidator import Consolidator
from processors.page_change.draft import Bounds
from tests.processors.page_change.events import NAMES, T, consolidated, event, kinds, verdicts

WEEK = 7 * 86_400
BEGUN = (event("page-create", 10, 0), event("revision-create", 10, 0.1, 0))

# name → events, (kind, revision) of the output, verdicts that must be among the counts.
CASES: dict[str, tuple[tuple[dict[str, Any], ...], list[tuple[str, int]], dict[str, int]]] = {
    "both events of a creation are one change": (BEGUN, [("create", 10)], {"merged": 1}),
    "both events of a move are one change": (
        (*BEGUN, event("revision-create", 11, 100, rev_parent_id=10), event("page-move", 11, 101)),
        [("create", 10), ("move", 11)],
        {"merged": 2},
    ),
    "a move without its revision-create is emitted": (
        (*BEGUN, event("page-move", 11, 100)),
        [("create", 10), ("move", 11)],
        {"unmerged": 1},
    ),
    "one event that comes twice": (
        (event("revision-create", 10, 0, id="a"), event("revision-create", 10, 0, id="a")),
        [("create", 10)],
        {"duplicate": 1},
    ),
    "one revision with two IDs, of two data centres": (
        (event("revision-create", 10, 0), event("revision-create", 10, 0.5, 0)),
        [("create", 10)],
        {"merged": 1},
    ),
    "edits of the same second are in the order of revisions": (
        (
            *BEGUN,
            event("revision-create", 12, 100, rev_parent_id=11),
            event("revision-create", 11, 101, 100, rev_parent_id=10),
        ),
        [("create", 10), ("edit", 11), ("edit", 12)],
        {},
    ),
    "a deletion and a restore at one instant: the possible one is first": (
        (*BEGUN, event("page-undelete", 10, 100), event("page-delete", 10, 100.5)),
        [("create", 10), ("delete", 10), ("undelete", 10)],
        {},
    ),
    "a restore of a page that is there": (
        (*BEGUN, event("page-undelete", 10, 100)),
        [("create", 10)],
        {"undelete_of_present": 1},
    ),
    "a deletion of a page that is gone": (
        (*BEGUN, event("page-delete", 10, 100), event("page-suppress", 10, 200)),
        [("create", 10), ("delete", 10)],
        {"delete_of_gone": 1},
    ),
    "a deletion of an unseen page": ((event("page-delete", 10, 0),), [("delete", 10)], {"rev_dt_unknown": 1}),
    "a restore of an unseen page": ((event("page-undelete", 10, 0),), [("undelete", 10)], {}),
    "an edit of an unseen page": ((event("revision-create", 10, 0, rev_parent_id=9),), [("edit", 10)], {}),
    "a visibility change of an unseen page": (
        (event("revision-visibility-change", 10, 0),),
        [("visibility_change", 10)],
        {},
    ),
    "a deletion names a revision that was never seen": (
        (*BEGUN, event("page-delete", 12, 100)),
        [("create", 10), ("delete", 12)],
        {"missed_revision": 1},
    ),
    "an edit of a page that is gone heals it": (
        (*BEGUN, event("page-delete", 10, 100), event("revision-create", 11, 200, rev_parent_id=10)),
        [("create", 10), ("delete", 10), ("edit", 11)],
        {"emitted": 3},
    ),
    "the number of a gone page is used again": (
        (*BEGUN, event("page-delete", 10, 100), event("page-create", 11, 200)),
        [("create", 10), ("delete", 10), ("create", 11)],
        {},
    ),
    "an old revision comes again": (
        (*BEGUN, event("revision-create", 11, 100, rev_parent_id=10), event("revision-create", 10, 600, 0)),
        [("create", 10), ("edit", 11)],
        {"superseded": 1},
    ),
    "the revisions of a restore, of a page that is not known": (
        (
            event("revision-create", 9, 0, -WEEK),
            event("revision-create", 10, 0, -WEEK + 5),
            event("page-undelete", 10, 1),
        ),
        [("undelete", 10)],
        {"restored": 2},
    ),
    "a partial restore: the head falls": (
        (
            *(*BEGUN, event("revision-create", 11, 100, rev_parent_id=10), event("page-delete", 11, 200)),
            *(event("page-undelete", 10, 300), event("revision-create", 10, 300.1, 0)),
            event("revision-create", 12, 400, rev_parent_id=10),
        ),
        [("create", 10), ("edit", 11), ("delete", 11), ("undelete", 10), ("edit", 12)],
        {"restored": 1},
    ),
    "an import into a page that is known": (
        (*BEGUN, event("revision-create", 11, 500, -WEEK)),
        [("create", 10)],
        {"historical": 1},
    ),
    "a move before the deletion": (
        (*BEGUN, event("page-delete", 11, 100.2), event("page-move", 11, 100.4)),
        [("create", 10), ("move", 11), ("delete", 11)],
        {},
    ),
    "a suppression and a deletion of one revision": (
        (*BEGUN, event("page-suppress", 10, 100), event("page-delete", 10, 101)),
        [("create", 10), ("delete", 10)],
        {"delete_of_gone": 1},
    ),
    "a visibility change of an older revision": (
        (
            *(*BEGUN, event("revision-create", 11, 100, rev_parent_id=10)),
            event("revision-visibility-change", 10, 200, 0),
        ),
        [("create", 10), ("edit", 11)],
        {"not_current": 1},
    ),
    "a visibility change of a page that is gone": (
        (*BEGUN, event("page-delete", 10, 100), event("revision-visibility-change", 10, 200, 0)),
        [("create", 10), ("delete", 10)],
        {"visibility_of_gone": 1},
    ),
    "a visibility change waits for the revision that it names": (
        (event("revision-visibility-change", 10, 0.5, 0), *BEGUN),
        [("create", 10), ("visibility_change", 10)],
        {},
    ),
    "one number on two wikis is two pages": (
        (event("page-create", 10, 0), event("page-delete", 10, 1, wiki="otherwiki")),
        [("create", 10), ("delete", 10)],
        {},
    ),
    "a canary is no change": (
        (event("page-delete", 1, 0) | {"meta": {"stream": "mediawiki.page-delete", "domain": "canary"}}, *BEGUN),
        [("create", 10)],
        {"canary": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_order(name: str) -> None:
    given, expected, counted = CASES[name]

    for arrived in (given, given[::-1]):
        records, consolidator = consolidated(*arrived)

        assert kinds(records) == expected
        assert counted.items() <= verdicts(consolidator).items()


def test_healing_is_told_to_the_stream_of_inconsistencies() -> None:
    records, _ = consolidated(*BEGUN, event("page-delete", 10, 100), event("revision-create", 11, 200))

    told = [one for one in records if one["meta"]["stream"] == NAMES.inconsistent]

    assert [(one["verdict"], one["rev_id"], one["state"]["status"]) for one in told] == [
        ("missed_undelete", 11, "gone")
    ]


def _fed(consolidator: Consolidator, one: dict[str, Any], watermark_s: float) -> list[dict[str, Any]]:
    found = consolidator.advance(T + round(watermark_s * 1000))
    found += consolidator.take(orjson.dumps(one), None)
    return [orjson.loads(output.value) for output in found]


@pytest.mark.parametrize("heal", [True, False])
def test_a_late_event_is_emitted_if_nothing_newer_was(heal: bool) -> None:
    consolidator = Consolidator(Bounds(heal=heal), NAMES)
    for one in BEGUN:
        _fed(consolidator, one, -60)
    records = _fed(consolidator, event("revision-create", 12, 100, rev_parent_id=11), 1_000)
    late = _fed(consolidator, event("revision-create", 11, 99, rev_parent_id=10), 1_000)

    assert kinds(records) == ([("create", 10), ("edit", 12)] if heal else [("create", 10)])
    assert [one["meta"]["stream"] for one in late] == [NAMES.late]


def test_a_late_change_from_before_a_restore_is_not_emitted_after_it() -> None:
    consolidator = Consolidator(Bounds(), NAMES)
    for one in BEGUN:
        _fed(consolidator, one, -60)
    _fed(consolidator, event("page-delete", 10, 100), 1_000)
    restored = _fed(consolidator, event("page-undelete", 10, 500), 1_000)
    before = _fed(consolidator, event("revision-create", 11, 300, rev_parent_id=10), 1_000)
    after = _fed(consolidator, event("revision-create", 12, 600, rev_parent_id=10), 1_000)

    assert kinds(restored) == [("undelete", 10)]
    assert [one["meta"]["stream"] for one in before] == [NAMES.late]
    assert kinds(after) == [("edit", 12)]


def test_an_event_later_than_the_state_is_kept_goes_to_the_late_stream() -> None:
    consolidator = Consolidator(Bounds(), NAMES)

    records = _fed(consolidator, event("page-delete", 10, 0), 8 * 86_400)

    assert [one["meta"]["stream"] for one in records] == [NAMES.late]
    assert records[0]["watermark"] == "2026-01-09T00:00:00Z"


def test_a_page_with_too_many_waiting_events_is_flushed() -> None:
    bounds = Bounds(most_pending=10)
    given = [event("revision-create", 10 + n, n, rev_parent_id=9 + n) for n in range(50)]

    records, consolidator = consolidated(*given, bounds=bounds)

    assert kinds(records) == [("edit", 10 + n) for n in range(50)]
    assert verdicts(consolidator)["flushed"] >= 1


def test_a_page_is_forgotten_after_its_time() -> None:
    records, consolidator = consolidated(*BEGUN, event("page-undelete", 10, 9 * 86_400))

    assert kinds(records) == [("create", 10), ("undelete", 10)]
    assert "undelete_of_present" not in verdicts(consolidator)


def test_a_change_that_was_overtaken_beyond_the_bounds_is_told() -> None:
    given = event("revision-create", 11, 500, rev_parent_id=10), event("revision-create", 12, 100, rev_parent_id=11)
    records, consolidator = consolidated(*BEGUN, *given)

    assert kinds(records) == [("create", 10), ("edit", 12)]
    assert verdicts(consolidator)["overtaken"] == 1
    assert [one["verdict"] for one in records if one["meta"]["stream"] == NAMES.inconsistent] == ["overtaken"]


def test_a_restored_revision_that_comes_before_its_restore_does_not_come_along_with_the_deletion() -> None:
    records, consolidator = consolidated(
        event("page-create", 10, 0),
        event("revision-create", 11, 100, rev_parent_id=10),
        event("revision-create", 12, 200, rev_parent_id=11),
        event("page-delete", 12, 300),
        event("revision-create", 11, 329, made=100, rev_parent_id=10),  # Seen when the deletion is due, at 330.
        event("page-undelete", 11, 331),
        event("revision-create", 15, 500, made=-1_000_000),
    )
    restored = records[-1]

    assert kinds(records) == [("create", 10), ("edit", 11), ("edit", 12), ("delete", 12), ("undelete", 11)]
    assert restored["revision"]["rev_dt"] == records[1]["revision"]["rev_dt"]
    assert restored["revision"]["rev_parent_id"] == 10
    assert verdicts(consolidator) == {"emitted": 5, "restored": 1, "historical": 1}
