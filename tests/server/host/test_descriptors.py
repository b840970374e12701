"""How many connections there may be with so many descriptors."""

from __future__ import annotations

import pytest

from server.host.descriptors import HARD_PART, MIN_CONNECTIONS, connections, reserved


@pytest.mark.parametrize(
    ("most", "kept"), [(256, 96), (1024, 256), (20_000, 512), (65_536, 512), (1_048_576, 512), (100, 96)]
)
def test_a_quarter_is_kept_within_bounds(most: int, kept: int) -> None:
    assert reserved(most) == kept


@pytest.mark.parametrize("most", [256, 512, 1024, 4096, 65_536])
def test_those_that_are_only_told_503_have_room_too(most: int) -> None:
    count = connections(10_000_000, most)

    assert count + count // HARD_PART + reserved(most) <= most
    assert count + 1 + (count + 1) // HARD_PART + reserved(most) >= most


def test_fewer_that_are_wanted_are_what_there_is() -> None:
    assert connections(100, 1024) == 100
    assert connections(20_000, None) == 20_000
    assert connections(20_000, 65_536) == 20_000


@pytest.mark.parametrize("most", [0, 50, 96, 100])
def test_a_few_are_always_taken(most: int) -> None:
    assert connections(20_000, most) == MIN_CONNECTIONS
