"""Rates are kept for each key, to the request, in memory that does not grow."""

from __future__ import annotations

import tracemalloc

import pytest

from server.timing.rate_limit import TokenBuckets


@pytest.mark.parametrize(("rate_per_s", "burst"), [(10.0, 1), (10.0, 5), (0.5, 3), (3.0, 7), (1000.0, 1000)])
def test_a_burst_and_not_one_more(rate_per_s: float, burst: int) -> None:
    buckets = TokenBuckets(rate_per_s, burst)

    assert [buckets.take("a", 1000.0) for _ in range(burst)] == [0.0] * burst
    wait_s = buckets.take("a", 1000.0)
    assert buckets.wait_s("a", 1000.0) == wait_s, "looking takes nothing"
    assert wait_s == pytest.approx(1 / rate_per_s, rel=1e-4)
    assert buckets.wait_s("b", 1000.0) == 0.0
    assert buckets.take("b", 1000.0) == 0.0, "each has a bucket of its own"


def test_who_waits_as_long_as_told_is_taken_and_not_a_moment_before() -> None:
    buckets = TokenBuckets(4.0, 2)
    now = 1000.0
    for _ in range(2):
        buckets.take("a", now)
    for _ in range(50):
        wait_s = buckets.take("a", now)
        assert buckets.take("a", now + wait_s * 0.99) > 0.0
        now += wait_s + 1e-6
        assert buckets.take("a", now) == 0.0


def test_being_refused_costs_nothing() -> None:
    buckets = TokenBuckets(1.0, 1)
    buckets.take("a", 0.0)
    for _ in range(1000):
        assert buckets.take("a", 0.5) > 0.0

    assert buckets.take("a", 1.0) == 0.0


def test_a_bucket_never_holds_more_than_a_burst() -> None:
    buckets = TokenBuckets(10.0, 3)
    buckets.take("a", 0.0)

    assert [buckets.take("a", 1e6) == 0.0 for _ in range(4)] == [True] * 3 + [False]


def test_the_average_over_a_long_time_is_the_rate() -> None:
    buckets = TokenBuckets(7.0, 10)
    taken = sum(buckets.take("a", at / 1000) == 0.0 for at in range(100_000))

    assert taken == pytest.approx(7 * 100 + 10, abs=1)


def test_what_is_taken_ahead_is_of_the_burst_and_leaves_half_of_it() -> None:
    buckets = TokenBuckets(1.0, 640)

    ahead = 0
    while taken := buckets.take_ahead("a", 1000.0):
        assert taken == buckets.ahead == 10
        ahead += taken

    assert 320 <= ahead <= 330
    assert sum(buckets.take("a", 1000.0) == 0.0 for _ in range(640)) == 640 - ahead


def test_nothing_is_taken_ahead_of_a_small_bucket() -> None:
    assert TokenBuckets(1.0, 63).take_ahead("a", 1000.0) == 0


@pytest.mark.slow(reason="it uses a million keys")
def test_a_million_keys_take_no_memory_and_push_out_nobody() -> None:
    buckets = TokenBuckets(1.0, 5, max_entries=4096)
    for _ in range(6):
        buckets.take("greedy", 1000.0)
    tracemalloc.start()
    for number in range(100_000):
        buckets.take(f"stranger {number}", 1000.0 + number / 1e6)
    grown_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert grown_bytes < 10_000
    assert buckets.take("greedy", 1000.2) > 0.0, "it is remembered through all of them"


def test_the_greedy_are_in_nobody_elses_way() -> None:
    """A thousand that have used up their buckets: of others, one in (1000 / 65536) squared shares both cells."""
    buckets = TokenBuckets(1.0, 2)
    for number in range(1000):
        while buckets.take(f"greedy {number}", 1000.0) == 0.0:
            pass
    refused = sum(buckets.take(f"good {number}", 1000.0) > 0.0 for number in range(1000))

    assert refused <= 5
