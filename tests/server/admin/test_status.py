"""server.admin.status and server.admin.growth: the page for people, and rates between looks."""

from __future__ import annotations

import pytest

from server.admin import status
from server.admin.growth import Rates


@pytest.mark.parametrize(
    ("bytes_count", "shown"), [(0, "0 B"), (1023, "1023 B"), (43_237_376, "41.2 MiB"), (3 << 30, "3 GiB")]
)
def test_the_page_shows_bytes_in_units(bytes_count: int, shown: str) -> None:
    said = {
        "version": "1",
        "state": "ready",
        "master": {"resident_bytes": bytes_count},
        "spool": {"bytes": bytes_count},
    }
    page = status.page(said)

    assert page.count(f"<td>{shown}") == 2


def test_a_rate_is_over_the_time_since_the_look_before() -> None:
    rates = Rates()

    assert rates.of(100.0, {"a": 50}) == {}
    assert rates.of(102.0, {"a": 70, "b": 4}) == {"a": 10.0, "b": 2.0}
    assert rates.of(110.0, {"a": 150}) == {"a": 10.0}
    assert rates.of(112.0, {"a": 270}) == {"a": 18.333333333333332}
