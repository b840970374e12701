"""An explanation says where the fault is, what to do, and which name was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from server.console.checks.differences import differences
from server.console.explain import fragment, hint, path_of, value_at

SCHEMA = {
    "type": "object",
    "properties": {
        "dt": {"type": "string", "format": "date-time", "description": "The time."},
        "wiki": {"enum": ["enwiki", "dewiki"]},
        "a/b": {"maxLength": 3},
    },
}


def violation(keyword: str, path: str = "", message: str = "", **params: Any) -> dict[str, Any]:
    return {"keyword": keyword, "dataPath": path, "params": params, "message": message}


TIME_HINT = (
    '`dt` must be a date-time of RFC 3339, such as 2026-11-28T10:00:00Z; got "1690000000000". '
    "As a time it would be 2023-07-22T04:26:40Z."
)
LONG = "should NOT be longer than 3 characters"
HINTS = [
    (violation("required", missingProperty="meta"), {"mata": {}}, "Add `meta`. Is `mata` meant to be it?"),
    (violation("required", ".meta", missingProperty="dt"), {"meta": {"x": 1}}, "Add `dt`."),
    (
        violation("type", ".n", type="integer"),
        {"n": "5"},
        '`n` must be an integer; got a string, "5". Leave out the quotes.',
    ),
    (violation("type", ".t", type="string"), {"t": 5}, "`t` must be a string; got a number, 5. Put it in quotes."),
    (violation("type", ".t", type="string"), {"t": None}, "`t` must be a string; got null, null."),
    (
        violation("type", ".b", type="boolean"),
        {"b": "true"},
        '`b` must be a boolean; got a string, "true". Leave out the quotes.',
    ),
    (
        violation("format", ".dt", format="date-time"),
        {"dt": "1690000000000"},
        TIME_HINT,
    ),
    (
        violation("additionalProperties", additionalProperty="wikl"),
        {"wikl": 1},
        "The schema has no `wikl`: remove it. Is `wiki` meant?",
    ),
    (
        violation("enum", ".wiki", allowedValues=["enwiki", "dewiki"]),
        {"wiki": "enwik"},
        '`wiki` must be one of "enwiki", "dewiki"; got "enwik". Is "enwiki" meant?',
    ),
    (
        violation("maxLength", ".a", "should NOT be longer than 3 characters"),
        {"a": "abcd"},
        "`a` should NOT be longer than 3 characters; it is 4.",
    ),
    (violation("pattern", ".a", pattern="^x$"), {"a": "y"}, '`a` must match the pattern ^x$; got "y".'),
    (violation("oneOf", ".a"), {"a": 1}, ""),
]


@pytest.mark.parametrize(("problem", "event", "said"), HINTS)
def test_a_hint_is_one_plain_sentence(problem: dict[str, Any], event: Any, said: str) -> None:
    path = path_of(problem["dataPath"])

    assert hint(problem, value_at(event, path), event, path, SCHEMA) == said


@pytest.mark.parametrize(
    ("text", "path"),
    [("", []), (".a.b", ["a", "b"]), (".a['b c'][0].d", ["a", "b c", 0, "d"]), ("['it\\'s']", ["it's"])],
)
def test_ajvs_paths_are_read(text: str, path: list[str | int]) -> None:
    assert path_of(text) == path


def test_the_part_of_the_schema_is_that_of_the_failing_keyword() -> None:
    assert fragment(SCHEMA, "#/properties/dt/format") == {
        "format": "date-time",
        "description": "The time.",
        "type": "string",
    }
    assert fragment(SCHEMA, "#/properties/a~1b/maxLength") == {"maxLength": 3}
    assert fragment(SCHEMA, "#/properties/nothing/x") == SCHEMA["properties"]
    assert fragment(None, "#/properties") is None


def test_differences_name_each_place() -> None:
    before = {"a": 1, "gone": 1, "list": [1, {"x": 1}], "same": None}
    after = {"a": 1.0, "list": [1, {"x": 2}, 3], "same": None, "new": True}

    assert differences(before, after) == [
        {"path": "/a", "kind": "changed", "before": 1, "after": 1.0},
        {"path": "/gone", "kind": "removed", "before": 1},
        {"path": "/list/1/x", "kind": "changed", "before": 1, "after": 2},
        {"path": "/list/2", "kind": "added", "after": 3},
        {"path": "/new", "kind": "added", "after": True},
    ]
    assert differences(before, before) == []
