"""A schema version whose events stop is named where the stream goes on, and one that gives way to another is not."""

from __future__ import annotations

import pytest

from server.plausibility.shares import Signal
from server.plausibility.versions import MOST, VersionModels, key_of
from tests.server.plausibility.test_model import KNOWN, learned

OLD, NEW = ("s", "/a/b/1.0.0"), ("s", "/a/b/1.1.0")
RATES: dict[str, float | None] = {"s": None}


def models(old: int, new: int) -> VersionModels:
    """A stream whose versions have always had so many events in a minute."""
    return VersionModels({OLD: learned(old), NEW: learned(new)})


def after(versions: VersionModels, minutes: int, old: int, new: int, first: int = KNOWN) -> list[Signal]:
    """Let minutes pass. Returns the signals of the last one."""
    found: dict[str, list[Signal]] = {}
    for minute in range(first, first + minutes):
        versions.take(minute, {OLD: old, NEW: new}, RATES, {})
        found = versions.signals(())
    return found.get("s", [])


@pytest.mark.parametrize("left", [0, 2])
def test_a_version_whose_events_stop_or_fall_is_a_signal(left: int) -> None:
    versions = models(10, 40)
    assert after(versions, 10, 10, 40) == []
    (signal,) = after(versions, 60, left, 40, KNOWN + 10)

    assert (signal.kind, signal.of) == ("version", OLD[1])
    assert signal.expected == pytest.approx(600, rel=0.02)
    assert signal.seen < 200


def test_a_version_that_gives_way_to_others_is_forgotten_and_no_signal() -> None:
    versions = models(10, 40)
    for minute in range(KNOWN, KNOWN + 60):
        versions.take(minute, {OLD: 0, NEW: 50}, RATES, {})
        assert versions.signals(()) == {}

    assert set(versions.models) == {NEW}


def test_a_version_that_gives_way_to_a_new_one_is_no_signal() -> None:
    versions, newer = models(10, 40), ("s", "/a/b/1.2.0")
    for minute in range(KNOWN, KNOWN + 60):
        versions.take(minute, {OLD: 0, NEW: 40, newer: 10}, RATES, {})
        assert versions.signals(()) == {}


def test_streams_that_fall_as_wholes_versions_alone_and_small_parts_are_no_signals() -> None:
    versions = models(10, 40)
    after(versions, 10, 0, 0)
    assert versions.signals({"s"}) == {}
    assert after(models(3, 60), 60, 0, 60) == []
    alone = VersionModels({OLD: learned(10)})
    assert after(alone, 60, 0, 0) == []


def test_another_sample_rate_is_no_signal_of_a_version() -> None:
    versions = models(50, 50)
    for minute in range(KNOWN, KNOWN + 120):
        rate = 1.0 if minute < KNOWN + 10 else 0.2
        versions.take(minute, {OLD: round(50 * rate), NEW: round(50 * rate)}, {"s": rate}, {})
        assert versions.signals(()) == {}


def test_the_number_of_versions_is_bounded_and_those_of_streams_that_are_gone_are_forgotten() -> None:
    versions = VersionModels()
    versions.take(0, {("s", f"/a/b/{at}.0.0"): 1 for at in range(2 * MOST)}, RATES, {})
    assert MOST - 2 < len(versions.models) <= MOST
    versions.take(1, {("other", "/a/b/1.0.0"): 1}, RATES, {})
    versions.keep(["other"])

    assert versions.models == {}


def test_a_version_that_was_alone_has_the_memory_of_its_stream_when_another_comes() -> None:
    versions, stream = VersionModels(), learned(50)
    versions.take(KNOWN, {OLD: 50}, RATES, {"s": stream})
    assert versions.models == {}
    for minute in range(KNOWN + 1, KNOWN + 61):
        versions.take(minute, {OLD: 40, NEW: 10}, RATES, {"s": stream})
        assert versions.signals(()) == {}
    assert versions.models[OLD].is_learned and not versions.models[NEW].is_learned
    for minute in range(KNOWN + 61, KNOWN + 121):
        versions.take(minute, {OLD: 0, NEW: 10}, RATES, {"s": stream})

    assert [signal.of for signal in versions.signals(())["s"]] == [OLD[1]]


def test_a_name_without_a_stream_or_version_has_no_key() -> None:
    assert key_of("s /a/b/1.0.0") == OLD
    assert key_of("(others)") is None
