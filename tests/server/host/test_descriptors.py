"""How many connections there may be with so many descriptors."""

from __future__ import annotations

import pytest

from server.host.descriptors import HARD_PART, MIN_CONNECTIONS, connections, reserved, suffice_for_producers


@pytest.mark.parametrize(
    ("most", "kept"),
    [(256, 96), (1024, 256), (4000, 1000), (20_000, 2048), (65_536, 2048), (1_048_576, 2048), (100, 96)],
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


@pytest.mark.parametrize(
    ("number", "brokers", "most", "suffice"),
    [
        (2, 0, 44 * 4, True),  # Three brokers are counted before any is known; half of the reserved 96 is 48.
        (5, 0, 44 * 4, False),
        (8, 30, 20_000, True),
        (8, 60, 20_000, False),
        (5, 60, 20_000, True),
        (8, 60, None, True),
    ],
)
def test_further_producers_take_half_of_what_is_kept(
    number: int, brokers: int, most: int | None, suffice: bool
) -> None:
    assert suffice_for_producers(number, brokers, most) is suffice
