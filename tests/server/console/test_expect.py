"""Expectations count the rows of their session, settle, keep an order, and name the closest miss."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from server.console.checks.closest import unlike
from server.console.checks.coverage import Coverage
from server.console.checks.expect import Order, wait
from server.console.copying.copies import SPOOLED, Outcome
from server.console.ring import Ring
from tests.harness.console_rows import add

SCHEMA = {"properties": {"page": {}, "kind": {"enum": ["a", "b"]}, "list": {"items": {"properties": {"x": {}}}}}}


def filled() -> Ring:
    ring = Ring(100, 1 << 30)
    add(ring, {"$schema": "/web/page/1.0.0", "page": "/a", "n": 1}, test="s", schema_uri="/web/page/1.0.0")
    add(ring, {"page": "/b", "n": 2}, test="s")
    add(ring, {"page": "/c"}, "invalid", test="s", error_type="schema_violation", text="no")
    add(ring, {"page": "/a", "n": 1}, test="other")
    return ring


def ask(ring: Ring, **order: Any) -> dict[str, Any]:
    return asyncio.run(wait(Order(**{"within_ms": 0, "settle_ms": 0, **order}), ring, 0))


@pytest.mark.parametrize(
    ("order", "count"),
    [
        ({"where": "page:/a"}, 2),
        ({"where": "page:/a", "session": "s"}, 1),
        ({"where": "page:/a", "session": "s", "exactly": 1}, 1),
        ({"session": "s", "at_least": 3}, 3),
        ({"session": "s", "at_most": 3}, 3),
        ({"session": "nobody", "exactly": 0}, 0),
        ({"session": "s", "schema": "web/page"}, 1),
        ({"session": "s", "schema": "/web/page/1.0.0"}, 1),
        ({"session": "s", "example": {"n": 2}}, 1),
        ({"session": "s", "order": ["page:/a", "page:/b"]}, 3),
        ({"session": "other", "none_invalid": True}, 1),
    ],
)
def test_it_is_met(order: dict[str, Any], count: int) -> None:
    answer = ask(filled(), **order)

    assert answer["matched"], answer
    assert answer["count"] == count


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"where": "page:/z"}, "0 events matched; expected: at least 1"),
        ({"where": "page:/a", "exactly": 1}, "2 events matched; expected: exactly 1"),
        ({"session": "s", "at_most": 2}, "3 events matched; expected: at most 2"),
        ({"session": "s", "exactly": 4}, "3 events matched; expected: exactly 4"),
        ({"session": "s", "order": ["page:/b", "page:/a"]}, "1 of 2 steps came, in this order"),
        ({"session": "s", "none_invalid": True}, "1 events of the session were not accepted"),
    ],
)
def test_it_is_not_met(order: dict[str, Any], why: str) -> None:
    answer = ask(filled(), **order)

    assert not answer["matched"]
    assert answer["why"] == why


def test_the_closest_miss_is_the_event_with_most_of_what_was_expected() -> None:
    answer = ask(filled(), session="s", where="page:/b verdict:accepted", example={"n": 3})

    closest = answer["closest"]
    assert closest["event"]["page"] == "/b"
    assert closest["misses"] == [{"path": "n", "expected": 3, "found": 2}]
    assert 0.5 < closest["likeness"] < 1
    assert [one["facts"]["error"] for one in answer["invalid"]] == ["schema_violation"]


def test_exactly_waits_until_nothing_follows() -> None:
    async def story() -> dict[str, Any]:
        ring = Ring(100, 1 << 30)
        add(ring, test="s")
        waiting = asyncio.ensure_future(wait(Order(session="s", exactly=1, settle_ms=60_000), ring, 0))
        while not ring.on_row:
            await asyncio.sleep(0)
        add(ring, test="s")
        return await waiting

    answer = asyncio.run(story())

    assert not answer["matched"]
    assert answer["count"] == 2


def test_a_verdict_that_changes_is_waited_for_and_counted_once() -> None:
    async def story() -> list[dict[str, Any]]:
        ring = Ring(100, 1 << 30)
        first, second = add(ring, test="s"), add(ring, test="s")
        orders = [Order(session="s", where="verdict:spooled", at_least=2), Order(session="s", at_least=3)]
        waiting = [asyncio.ensure_future(wait(order, ring, 0)) for order in orders]
        while len(ring.on_change) < 2:
            await asyncio.sleep(0)
        for row in (first, first, second):
            ring.note(row, Outcome(1, 0, SPOOLED, -1, -1, 1.0))
        add(ring, test="s")
        return [await one for one in waiting]

    spooled, all_three = asyncio.run(story())

    assert (spooled["matched"], spooled["count"]) == (True, 2)
    assert (all_three["matched"], all_three["count"]) == (True, 3)


def test_rows_before_the_given_number_do_not_count() -> None:
    ring = filled()

    answer = asyncio.run(wait(Order(session="s", where="page:/a", within_ms=0), ring, 1))

    assert not answer["matched"]


@pytest.mark.parametrize(
    ("example", "found", "paths"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 2, "d": 3}]}}, []),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 3}]}}, ["a.b[1].c"]),
        ({"a": 1}, {}, ["a"]),
        ({"a": True}, {"a": 1}, ["a"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ({"a": 1}, None, [""]),
    ],
)
def test_an_example_is_compared_by_the_values_that_it_has(example: Any, found: Any, paths: list[str]) -> None:
    assert [one["path"] for one in unlike(example, found)] == paths


def test_coverage_names_what_was_never_seen() -> None:
    ring, coverage = Ring(100, 1 << 30), Coverage({"/web/page/1.0.0": SCHEMA}.get)
    ring.on_row.append(coverage.add)
    add(ring, {"page": "/", "kind": "a"}, test="s", schema_uri="/web/page/1.0.0")
    add(ring, {"list": [{"x": 1}]}, test="t", schema_uri="/web/page/1.0.0")
    add(ring, {"kind": "b"}, "invalid", test="s", schema_uri="/web/page/1.0.0")
    add(ring, {"kind": "b"}, schema_uri="/web/page/1.0.0")

    (schema,) = coverage.document("s")["schemas"]

    assert schema["never_seen"] == ["list", "list.x"]
    assert schema["values_never_seen"] == {"kind": ["b"]}
    (whole,) = coverage.document("")["schemas"]
    assert whole["never_seen"] == []
