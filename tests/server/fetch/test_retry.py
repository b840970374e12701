"""When to try again, and how much may be asked for in vain."""

from __future__ import annotations

from server.fetch import retry as pace
from server.fetch.retry import FetchRateLimit


def test_pauses_double_up_to_a_bound_and_are_spread() -> None:
    seen = [[pace.pause_s(attempt, 1.0) for _ in range(200)] for attempt in (1, 2, 3, 20)]

    assert [(min(one) >= 0.5, max(one) <= most) for one, most in zip(seen, (1, 2, 4, 30), strict=True)] == [
        (True, True)
    ] * 4
    assert len(set(seen[0])) > 100
    assert min(seen[3]) >= 15.0


def test_a_server_that_names_a_time_is_not_asked_before_within_reason() -> None:
    assert pace.pause_s(1, 0.5, 7.0) == 7.0
    assert pace.pause_s(1, 0.5, 1e9) == pace.RETRY_AFTER_MAX_S


def test_hosts_that_began_together_drift_apart() -> None:
    pauses = [pace.refresh_pause_s(60.0) for _ in range(200)]

    assert 54.0 <= min(pauses) < 57.0 < 63.0 < max(pauses) <= 66.0


def test_a_client_that_asks_in_vain_is_stopped_and_others_are_not() -> None:
    allowance = FetchRateLimit(per_min=100, per_min_client=3)
    for _ in range(3):
        assert allowance.used_up("a", 0.0) is None
        allowance.spend("a")

    assert allowance.used_up("a", 0.0) == "this client"
    assert allowance.used_up("b", 0.0) is None
    assert allowance.used_up("a", 21.0) is None  # Three a minute: one in 20 s.


def test_all_clients_together_have_a_bound_and_debts_have_one_too() -> None:
    allowance = FetchRateLimit(per_min=5, per_min_client=100)
    for number in range(50):
        allowance.used_up(f"client {number}", 0.0)
        allowance.spend(f"client {number}")

    assert allowance.used_up("another", 0.0) == "all clients"
    assert allowance.used_up("another", 60.0) == "all clients"
    assert allowance.used_up("another", 75.0) is None


def test_clients_are_remembered_within_bounds() -> None:
    allowance = FetchRateLimit(100, 1)
    for number in range(FetchRateLimit.CLIENTS_MAX + 10):
        allowance.used_up(str(number), 0.0)

    assert len(allowance._clients) == FetchRateLimit.CLIENTS_MAX
