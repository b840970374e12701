"""server.sink.spool.shedding: it begins when little is gained for a while, and ends when the replay has caught up."""

from __future__ import annotations

import pytest

from server.sink.spool.shedding import SETTLE_S, WINDOW_S, Shedding

EARLIEST_S = SETTLE_S + 3 * WINDOW_S  # The first window is what the second is compared with.


def behind(
    shedding: Shedding, start: float, seconds: float, first: int, put_per_s: float, per_s: float, saw: int = 0
) -> float:
    """Let the replay be behind for so long. The number that waits falls in steps of ``saw`` events. Returns after how
    many seconds shedding began; 0: it did not."""
    for turn in range(int(seconds * 50)):
        passed = turn * 0.02
        replayed = int(passed * per_s)
        shedding.look(
            start + passed, first + int(passed * put_per_s) - (replayed // saw * saw if saw else replayed), replayed
        )
        if shedding.is_on:
            return passed
    return 0.0


@pytest.mark.parametrize("put_per_s", [9_500.0, 10_000.0, 15_000.0])
def test_a_spool_that_hardly_shrinks_or_grows_is_shed_after_a_while(put_per_s: float) -> None:
    began = behind(Shedding(), 100.0, 60.0, 100_000, put_per_s, 10_000.0)
    assert EARLIEST_S <= began <= EARLIEST_S + 0.2


@pytest.mark.parametrize("saw", [0, 1000, 15_000])
def test_one_that_shrinks_is_not(saw: int) -> None:
    """Also if a turn of the replay takes longer than half a window."""
    assert not behind(Shedding(), 100.0, 20.0, 300_000, 5_000.0, 15_000.0, saw)


def test_the_pace_of_a_long_outage_is_not_too_slow() -> None:
    """900,000 events wait, 3,000 a second come in, brokers get 1.8 times that: 10 % of the keys wait again."""
    assert not behind(Shedding(), 100.0, 300.0, 900_000, 300.0, 2_700.0)


def test_one_that_grows_at_first_and_then_shrinks_is_not() -> None:
    """The replay begins slowly."""
    shedding = Shedding()
    assert not behind(shedding, 100.0, SETTLE_S + 2 * WINDOW_S - 0.1, 100_000, 3000.0, 500.0)
    assert not behind(shedding, 100.0 + SETTLE_S + 2 * WINDOW_S, 20.0, 118_000, 1000.0, 4000.0)


def test_a_pause_of_the_disk_is_not_enough() -> None:
    shedding = Shedding()
    assert not behind(shedding, 100.0, 20.0, 200_000, 1000.0, 4000.0)
    assert not behind(shedding, 120.0, 1.5, 140_000, 5000.0, 0.0)
    assert not behind(shedding, 121.5, 20.0, 147_000, 1000.0, 4000.0)


def test_nothing_that_is_put_and_nothing_that_is_replayed_is_no_reason() -> None:
    assert not behind(Shedding(), 100.0, 60.0, 100_000, 0.0, 0.0)


def test_it_ends_when_the_replay_has_caught_up_and_begins_from_nothing() -> None:
    shedding = Shedding()
    assert behind(shedding, 100.0, 60.0, 100_000, 5000.0, 100.0)
    shedding.look(200.0, 10, 1 << 40)
    assert shedding.is_on, "until it has caught up"
    shedding.begin_again()
    assert not shedding.is_on
    assert behind(shedding, 300.0, 60.0, 10, 105.0, 100.0) >= EARLIEST_S
