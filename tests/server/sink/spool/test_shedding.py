"""server.sink.spool.shedding: it begins when the spool grows for a while, and ends when the replay has caught up."""

from __future__ import annotations

from server.sink.spool.shedding import GROWING_S, SETTLE_S, Shedding


def behind(shedding: Shedding, start: float, seconds: float, first: int, per_s: float) -> float:
    """Let the replay be behind for so long, with a spool that grows by ``per_s``. Returns when shedding began; 0: it
    did not."""
    for turn in range(int(seconds * 50)):
        shedding.look(start + turn * 0.02, first + int(turn * 0.02 * per_s))
        if shedding.is_on:
            return start + turn * 0.02
    return 0.0


def test_a_spool_that_grows_while_the_replay_runs_is_shed_after_a_while() -> None:
    began = behind(Shedding(), 100.0, 60.0, 100_000, 5000.0)
    assert SETTLE_S + GROWING_S <= began - 100.0 <= SETTLE_S + GROWING_S + 0.2


def test_a_spool_that_shrinks_slowly_is_not() -> None:
    assert not behind(Shedding(), 100.0, 600.0, 100_000, -100.0)


def test_one_that_grows_at_first_and_then_shrinks_is_not() -> None:
    """The replay begins slowly."""
    shedding = Shedding()
    assert not behind(shedding, 100.0, SETTLE_S + GROWING_S - 0.1, 100_000, 3000.0)
    assert not behind(shedding, 100.0 + SETTLE_S + GROWING_S, 60.0, 100_000, -500.0)


def test_one_that_begins_to_grow_later_is() -> None:
    shedding = Shedding()
    assert not behind(shedding, 100.0, 60.0, 100_000, -100.0)
    began = behind(shedding, 160.0, 60.0, 94_000, 1000.0)
    assert GROWING_S / 2 < began - 160.0 <= GROWING_S + 1.2


def test_a_pause_of_the_disk_is_not_growth() -> None:
    shedding = Shedding()
    assert not behind(shedding, 100.0, 20.0, 100_000, -100.0)
    assert not behind(shedding, 120.0, 1.5, 98_000, 5000.0)
    assert not behind(shedding, 121.5, 20.0, 105_000, -2000.0)


def test_it_ends_when_the_replay_has_caught_up_and_begins_from_nothing() -> None:
    shedding = Shedding()
    assert behind(shedding, 100.0, 60.0, 100_000, 5000.0)
    assert behind(shedding, 200.0, 60.0, 50_000, -5000.0), "until it has caught up"
    shedding.begin_again()
    assert not behind(shedding, 290.0, SETTLE_S, 10, 5.0)
    shedding.begin_again()
    began = behind(shedding, 300.0, 60.0, 10, 5.0)
    assert began - 300.0 >= SETTLE_S + GROWING_S
