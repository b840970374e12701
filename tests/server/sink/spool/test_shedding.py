"""server.sink.spool.shedding: it begins when little is gained for a while, and ends when the replay has caught up."""

from __future__ import annotations

import pytest

from server.sink.spool.shedding import SETTLE_S, WINDOW_S, Shedding

EARLIEST_S = SETTLE_S + 3 * WINDOW_S  # The first window is what the second is compared with.


class Behind:
    """A replay that is behind. The number that waits falls in steps of ``saw`` events."""

    def __init__(self, waiting: int, saw: int = 1) -> None:
        self.shedding = Shedding()
        self._now, self._waiting, self._replayed, self._saw = 100.0, float(waiting), 0.0, saw
        self._gone = 0.0

    def is_shed_after(self, seconds: float, put_per_s: float, per_s: float) -> float:
        """Let so much time pass. Returns after how many seconds shedding began; 0: it did not."""
        for turn in range(int(seconds * 50)):
            self._now += 0.02
            self._waiting += 0.02 * put_per_s
            self._replayed += 0.02 * per_s
            if self._replayed - self._gone >= self._saw:
                self._waiting -= self._replayed - self._gone
                self._gone = self._replayed
            self.shedding.look(self._now, int(self._waiting), int(self._replayed))
            if self.shedding.is_on:
                return turn * 0.02
        return 0.0


@pytest.mark.parametrize("put_per_s", [9_500.0, 10_000.0, 15_000.0])
def test_a_spool_that_hardly_shrinks_or_grows_is_shed_after_a_while(put_per_s: float) -> None:
    began = Behind(100_000).is_shed_after(60.0, put_per_s, 10_000.0)
    assert EARLIEST_S - 0.1 <= began <= EARLIEST_S + 0.2


@pytest.mark.parametrize("saw", [1, 1000, 15_000])
def test_one_that_shrinks_is_not(saw: int) -> None:
    """Also if a turn of the replay takes half a window."""
    assert not Behind(300_000, saw).is_shed_after(20.0, 5_000.0, 15_000.0)


def test_the_pace_after_a_long_outage_is_not_too_slow() -> None:
    """900,000 events wait, 3,000 a second come in, brokers get 1.8 times that: one key in ten waits again."""
    assert not Behind(900_000).is_shed_after(300.0, 300.0, 2_700.0)


def test_one_that_grows_at_first_and_then_shrinks_is_not() -> None:
    """The replay begins slowly."""
    replay = Behind(100_000)
    assert not replay.is_shed_after(SETTLE_S + 2 * WINDOW_S - 0.1, 3000.0, 500.0)
    assert not replay.is_shed_after(20.0, 1000.0, 4000.0)


def test_a_pause_of_the_disk_is_not_enough() -> None:
    replay = Behind(200_000)
    assert not replay.is_shed_after(20.0, 1000.0, 4000.0)
    assert not replay.is_shed_after(1.5, 5000.0, 0.0)
    assert not replay.is_shed_after(20.0, 1000.0, 4000.0)


def test_nothing_that_is_put_and_nothing_that_is_replayed_is_no_reason() -> None:
    assert not Behind(100_000).is_shed_after(60.0, 0.0, 0.0)


def test_it_ends_when_the_replay_has_caught_up_and_begins_from_nothing() -> None:
    replay = Behind(100_000)
    assert replay.is_shed_after(60.0, 5000.0, 100.0)
    replay.is_shed_after(1.0, 0.0, 90_000.0)
    assert replay.shedding.is_on, "until it has caught up"
    replay.shedding.begin_again()
    assert replay.is_shed_after(60.0, 105.0, 100.0) >= EARLIEST_S - 0.1
