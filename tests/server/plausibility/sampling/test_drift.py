"""A field that changes is named with the way in which it changed; what is usual for it is no signal."""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable
from typing import Any

import pytest

from server.plausibility.sampling.drift import LEARN_MINUTES, MOST_FIELDS, Drift
from server.plausibility.sampling.sketch import bins_of

SALT = b"0" * 32
PER_MINUTE = 12
Values = Callable[[random.Random, int], Any]


def feed(drift: Drift, first: int, last: int, values: Values, seed: int = 1) -> list[str]:
    """Let minutes pass in which the field has such values. Returns the signals there were, in order."""
    source, kinds = random.Random(seed), []
    for minute in range(first, last):
        for _ in range(PER_MINUTE):
            drift.window.add({"f": bins_of(values(source, minute), SALT)})
        if drift.turn(minute):
            kinds += [signal.kind for signal in drift.signals]
    return kinds


@functools.cache
def week(usual: Values) -> Drift:
    """A stream that has been learned for a week."""
    drift = Drift.begin(0)
    assert feed(drift, 0, LEARN_MINUTES + 1, usual) == []
    return drift


def learned(usual: Values) -> Drift:
    return copy.deepcopy(week(usual))


def words(source: random.Random, minute: int) -> str:
    return source.choice(["read", "edit", "watch", "move"])


def sizes(source: random.Random, minute: int) -> float:
    return source.lognormvariate(5, 1)


def texts(source: random.Random, minute: int) -> str:
    return "x" * int(source.lognormvariate(3, 0.4)) + str(source.random())


def sometimes(source: random.Random, minute: int) -> int | None:
    return source.randint(1, 100) if source.random() < 0.95 else None


def by_hour(source: random.Random, minute: int) -> str:
    """The mix of values changes with the time of the day, and so do sizes elsewhere."""
    return "night" if source.random() < 0.5 + 0.3 * ((minute // 60 % 24) / 12 - 1) else words(source, minute)


FAULTS: list[tuple[str, Values, Values]] = [
    ("field_missing", sometimes, lambda source, _: source.randint(1, 100) if source.random() < 0.6 else None),
    ("field_new_value", words, lambda source, _: "delete" if source.random() < 0.1 else words(source, 0)),
    ("field_constant", words, lambda source, _: "read"),
    ("field_constant", texts, lambda source, _: "undefined"),
    ("field_distinct", words, texts),
    ("field_number", sizes, lambda source, _: sizes(source, 0) * 1000),  # Seconds became milliseconds.
    ("field_number", sizes, lambda source, _: sizes(source, 0) * (300 if source.random() < 0.03 else 1)),
    ("field_length", texts, lambda source, _: texts(source, 0) * 8),
    ("field_drift", words, lambda source, _: source.choice(["read"] * 12 + ["edit", "watch", "move"])),
    ("field_missing", texts, lambda source, _: None),
]


@pytest.mark.parametrize(("kind", "usual", "fault"), FAULTS)
def test_a_change_is_named_by_its_kind_within_two_windows(kind: str, usual: Values, fault: Values) -> None:
    drift = learned(usual)
    found = feed(drift, LEARN_MINUTES + 1, LEARN_MINUTES + 42, fault)

    assert found and set(found) == {kind}
    assert {signal.of for signal in drift.signals} == {"f"}


@pytest.mark.parametrize("usual", [words, sizes, texts, sometimes, by_hour])
def test_what_is_usual_for_a_field_is_no_signal_in_a_week(usual: Values) -> None:
    assert feed(learned(usual), LEARN_MINUTES + 1, 2 * LEARN_MINUTES, usual, 2) == []


def test_nothing_is_judged_in_the_first_week() -> None:
    drift = Drift.begin(0)
    feed(drift, 0, LEARN_MINUTES - 100, words)

    assert feed(drift, LEARN_MINUTES - 100, LEARN_MINUTES - 1, texts) == []


def test_a_change_that_stays_is_usual_after_some_days() -> None:
    drift = learned(sometimes)
    never: Values = lambda source, minute: None  # noqa: E731
    assert feed(drift, LEARN_MINUTES + 1, LEARN_MINUTES + 100, never)
    feed(drift, LEARN_MINUTES + 100, 2 * LEARN_MINUTES, never)

    assert drift.signals == []


def test_memory_is_bounded_for_any_values() -> None:
    drift = Drift.begin(0)
    source = random.Random(1)
    for minute in range(200):
        for _ in range(200):
            found = {
                f"f{at}": bins_of(source.choice([source.random() * 10.0 ** source.randint(-300, 300), "x" * at]), SALT)
                for at in range(3)
            }
            found["id"] = bins_of(str(source.random()), SALT)
            drift.window.add(found)
        drift.turn(minute)
    for at in range(100):
        drift.window.fields[f"more {at}"] = {"-": 200.0}
    drift.turn(300)

    assert len(drift.spreads) == MOST_FIELDS
    assert all(len(spread.bins) < 700 for spread in drift.spreads.values())


def test_fields_that_are_watched_no_longer_are_forgotten() -> None:
    drift = Drift.begin(0)
    feed(drift, 0, 100, words)
    drift.use(["other"])

    assert drift.spreads == {}


@pytest.mark.parametrize("value", [float("inf"), 10**400, -(10**400), True, [], {}, {"a": 1}, "", "\ud800", 0, -0.5])
def test_any_value_has_bins(value: Any) -> None:
    assert 1 <= len(bins_of(value, SALT)) <= 2


def test_a_text_cannot_be_read_from_its_bins_without_the_secret() -> None:
    assert bins_of("secret", SALT) != bins_of("secret", b"1" * 32)
    assert not any("secret" in each for each in bins_of("secret", SALT))
