"""Alarms need signals that last, end after a calm time, and are one when many streams fall at once."""

from __future__ import annotations

from server.plausibility.alarms import CALM, SUSTAIN, Alarms
from server.plausibility.shares import Signal

DROP = Signal("drop", 100.0, 10.0)
RISE = Signal("rise", 100.0, 900.0)


def shown(alarms: Alarms) -> list[tuple[str, str]]:
    return [(one.stream, one.kind) for one in alarms.shown()]


def test_a_signal_that_does_not_last_is_no_alarm() -> None:
    alarms = Alarms()
    for minute in range(20):
        alarms.take(minute, {"a": [DROP]} if minute % SUSTAIN else {}, 10)
        assert shown(alarms) == []


def test_an_alarm_begins_after_some_minutes_and_ends_after_a_calm_time() -> None:
    alarms = Alarms()
    for minute in range(SUSTAIN):
        assert shown(alarms) == []
        alarms.take(minute, {"a": [DROP, RISE]}, 10)
    assert shown(alarms) == [("a", "drop"), ("a", "rise")]
    for minute in range(SUSTAIN, SUSTAIN + CALM - 1):
        alarms.take(minute, {"a": [RISE]}, 10)
        assert shown(alarms) == [("a", "drop"), ("a", "rise")]
    alarms.take(SUSTAIN + CALM - 1, {}, 10)

    assert shown(alarms) == [("a", "rise")]
    assert alarms.raised == 2


def test_many_streams_that_fall_at_once_are_one_alarm_until_few_are_left() -> None:
    alarms = Alarms()
    many = {f"s{at}": [DROP] for at in range(4)}
    for minute in range(SUSTAIN):
        alarms.take(minute, many | {"other": [RISE]}, 10)
    assert shown(alarms) == [("other", "rise"), ("", "many")]
    assert sorted(alarms.grouped()) == ["s0", "s1", "s2", "s3"]
    for minute in range(SUSTAIN, SUSTAIN + CALM + 1):
        alarms.take(minute, {"s0": [DROP]}, 10)

    assert shown(alarms) == [("s0", "drop")]


def test_a_few_of_many_streams_have_alarms_of_their_own() -> None:
    alarms = Alarms()
    for minute in range(SUSTAIN):
        alarms.take(minute, {f"s{at}": [DROP] for at in range(4)}, 100)

    assert len(shown(alarms)) == 4


def test_alarms_from_before_a_restart_last_until_it_has_been_calm() -> None:
    old = Alarms()
    for minute in range(SUSTAIN):
        old.take(minute, {"a": [DROP]}, 10)
    alarms = Alarms(old.active.values())
    assert shown(alarms) == [("a", "drop")]
    alarms.take(SUSTAIN + CALM, {}, 10)

    assert shown(alarms) == []


def test_alarms_end_also_when_the_clock_was_set_back_meanwhile() -> None:
    alarms = Alarms()
    for minute in range(1_000_000, 1_000_000 + SUSTAIN):
        alarms.take(minute, {"a": [DROP]}, 10)
    alarms.take(500, {}, 10)
    assert shown(alarms) == [("a", "drop")]
    assert 490 < alarms.shown()[0].since <= 500
    alarms.take(500 + CALM, {}, 10)

    assert shown(alarms) == []


def test_streams_that_are_gone_have_no_alarm() -> None:
    alarms = Alarms()
    for minute in range(SUSTAIN):
        alarms.take(minute, {"a": [DROP], "b": [RISE]}, 10)
    alarms.drop(["a"])

    assert shown(alarms) == [("b", "rise")]
