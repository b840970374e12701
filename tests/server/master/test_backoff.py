"""How soon a dead worker is replaced, with made-up times."""

from __future__ import annotations

from server.master.backoff import STEADY_S, Backoff, Deaths


def test_the_first_replacement_comes_at_once_and_the_delay_then_doubles_to_its_bound() -> None:
    backoff = Backoff(max_s=1.0)

    assert [backoff.after_death(0.0) for _ in range(7)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_a_worker_that_served_long_enough_sets_the_delay_back() -> None:
    backoff = Backoff(max_s=30.0)
    for _ in range(5):
        backoff.after_death(0.0)

    assert backoff.after_death(STEADY_S) == 0.0
    assert [backoff.after_death(0.0) for _ in range(2)] == [0.0, 0.1]


def test_a_crash_loop_is_so_many_quick_deaths_within_the_window() -> None:
    deaths = Deaths(limit=3, window_s=10.0)

    assert [deaths.is_loop(now, served_s=0.0) for now in (0.0, 6.0, 11.0, 15.0)] == [False, False, False, True]


def test_the_death_of_a_worker_that_served_is_not_held_against_anybody() -> None:
    """Sixty kills in a minute by hand are no crash loop."""
    deaths = Deaths(limit=3, window_s=60.0)

    assert not any(deaths.is_loop(float(now), served_s=STEADY_S) for now in range(60))
