"""Addresses to listen on that are in each other's way."""

from __future__ import annotations

import pytest

from server.config.addresses import parse
from server.config.listen_conflicts import overlap


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a:1", "a:1", True),
        ("a:1", "a:2", False),
        ("a:0", "a:0", False),
        ("127.0.0.1:1", "0.0.0.0:1", True),
        ("127.0.0.1:1", ":1", True),
        ("127.0.0.1:1", "[::]:1", True),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("unix:/a", "unix:/a?mode=666", True),
        ("unix:/a", "unix:@a", False),
        ("unix:/a", "a:1", False),
    ],
)
def test_addresses_overlap_when_both_cannot_be_bound(one: str, other: str, expected: bool) -> None:
    assert overlap(parse(one), parse(other)) is expected
    assert overlap(parse(other), parse(one)) is expected
