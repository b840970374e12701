"""The known name that is nearest to an unknown one."""

from __future__ import annotations

import pytest

from server.text.nearest import MAX_CHARS, MAX_NAMES, Nearest

NAMES = [
    "garden.reading.v1",
    "garden.reading.v2",
    "garden.watering",
    "mediawiki.page_change.v1",
    "hello.greeting",
    "ab",
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hello.greting", "hello.greeting"),
        ("hello.greetting", "hello.greeting"),
        ("hello.greeding", "hello.greeting"),
        ("hello.greetign", "hello.greeting"),
        ("Hello-Greeting", "hello.greeting"),
        ("hello_greeting", "hello.greeting"),
        ("mediawiki.page-change", "mediawiki.page_change.v1"),
        ("garden.reading", "garden.reading.v2"),
        ("hello.greet", "hello.greeting"),
        ("hello", "hello.greeting"),
        ("garden", None),
        ("hel", None),
        ("goodbye", None),
        ("ac", None),
        ("", None),
        ("x" * (MAX_CHARS + 1), None),
    ],
)
def test_the_nearest_name(name: str, expected: str | None) -> None:
    assert Nearest(NAMES).of(name) == expected


def test_of_very_many_names_there_is_no_index() -> None:
    assert Nearest(f"name{number}" for number in range(MAX_NAMES + 1)).of("nane1") is None
