"""What is usual is learned from counts alone; faults are told of soon, and what is usual is no signal."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

import msgspec
import pytest

from server.plausibility.alarms import Alarms
from server.plausibility.model import LEARN_VOLUME, WINDOW, StreamModel, decode, encode
from server.plausibility.shares import INVALID
from tests.harness.traffic import DAY, EVENT, LEARN_WEEKS, START, WEEK, Scenario, counts, poisson, scenarios, well

KNOWN = START + LEARN_WEEKS * WEEK


def learned(per_minute: int, until: int = KNOWN, invalid: int = 0) -> StreamModel:
    """A model of a stream that always has so many events."""
    return decode(_text(per_minute, until, invalid))


@functools.cache
def _text(per_minute: int, until: int, invalid: int) -> bytes:
    model = StreamModel(START)
    for minute in range(START, until):
        model.add(minute, per_minute, {INVALID: invalid})
    return encode(model)


def kinds(model: StreamModel) -> set[str]:
    return {signal.kind for signal in model.signals()}


def watch(scenario: Scenario, until: int) -> tuple[int | None, list[str]]:
    """Return the minutes from the event to its alarm, and the alarms that were wrong."""
    model, alarms = StreamModel(scenario.born), Alarms()
    delay, wrong = None, []
    for minute, count in counts(scenario.rate, scenario.born, until, 1):
        if minute == scenario.gone:  # As the watcher does.
            alarms.drop(["s"])
            break
        model.add(minute, count)
        if minute < scenario.born + WEEK:
            continue  # Nothing is judged so early, as another test shows.
        before = set(alarms.active)
        alarms.take(minute, {"s": found} if (found := model.signals()) else {}, 1)
        for _, kind, _ in set(alarms.active) - before:
            if scenario.event is not None and minute >= scenario.event and kind in scenario.kinds:
                delay = minute - scenario.event if delay is None else delay
            elif scenario.event is None or minute < scenario.event:
                wrong.append(kind)
    return delay, wrong


# Twice what the bench ``alarms`` shows, or less.
MOST = {
    "step to zero": 10,
    "step to zero of a quiet stream": 8 * 60,
    "step to a half": 2 * 60,
    "leak, -5 % a day": 10 * DAY,
    "spike, ten times for half an hour": 30,
}


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_a_fault_is_told_of_in_time_and_what_is_usual_is_no_alarm(scenario: Scenario) -> None:
    last = EVENT + (11 * DAY if scenario.name.startswith("leak") else 3 * DAY)
    delay, wrong = watch(scenario, last)

    assert wrong == []
    assert delay is None if scenario.event is None else delay is not None and delay <= MOST[scenario.name]


@pytest.mark.slow(reason="eight streams of all sizes and patterns are watched for five weeks each")
def test_streams_to_which_nothing_happens_have_less_than_one_alarm_a_month() -> None:
    """They are watched for 7.5 stream-months; the bench watches for longer."""
    wrong = [kind for scenario in well(8) for kind in watch(scenario, KNOWN + WEEK)[1]]

    assert len(wrong) <= 1


def test_nothing_is_judged_before_it_is_learned() -> None:
    model = learned(10, START + WEEK - 1 - 60)
    for minute in range(START + WEEK - 61, START + WEEK - 1):
        model.add(minute, 0)

    assert kinds(model) == set()
    assert not model.is_learned


def signals_of(events: Callable[[int], int], days: int) -> dict[str, list[float]]:
    """Return what each signal expects, looked for every half hour of a stream with these events, from its second week
    on. Minutes count from its birth."""
    model, found = StreamModel(START), dict[str, list[float]]()
    for minute in range(days * DAY):
        model.add(START + minute, events(minute))
        if minute >= WEEK and minute % 30 == 0:
            for signal in model.signals():
                found.setdefault(signal.kind, []).append(signal.expected)
    return found


@pytest.mark.parametrize(
    "events",
    [
        lambda _: 0,
        lambda minute: minute == 0,
        lambda minute: minute < 3,
        lambda minute: minute == 2 * DAY,
        lambda minute: DAY <= minute < DAY + 60 and minute % 7 == 0,
        lambda minute: 5 * (10 * DAY <= minute < 10 * DAY + 10),
    ],
    ids=["none", "one", "three", "one on the third day", "an hour of trials", "trials in the second week"],
)
def test_a_stream_that_was_but_tried_is_not_silent_in_its_second_week(events: Callable[[int], int]) -> None:
    assert signals_of(events, 13) == {}


@pytest.mark.parametrize(
    ("events", "rate"),
    [(lambda minute: minute % 10 == 0 and minute < 3 * DAY, 6.0), (lambda minute: minute % DAY == 600, None),
     (lambda minute: minute % DAY == 600 and minute < 5 * DAY, 5 / 97), (lambda minute: minute < 9 * DAY, 60.0)],
    ids=["three days", "once a day, for ever", "once a day, for five days", "nine days"],
)  # fmt: skip
def test_a_stream_that_stopped_is_silent_in_its_second_week_and_was_expected(
    events: Callable[[int], int], rate: float | None
) -> None:
    found = signals_of(events, 13)

    assert set(found) == ({"silent"} if rate is not None else set())
    assert all(expected == pytest.approx(rate) for expected in found.get("silent", ()))


@pytest.mark.parametrize("woken", [10, 16])
def test_a_stream_that_wakes_up_after_silence_does_not_rise(woken: int) -> None:
    assert signals_of(lambda minute: 20 * (minute >= woken * DAY), woken + 6) == {}


def test_a_stream_with_few_events_that_gets_very_many_rises() -> None:
    assert "rise" in signals_of(lambda minute: 20 if minute >= 16 * DAY else minute % 20 == 0, 17)


def test_unknown_minutes_are_no_silence() -> None:
    model = learned(10)
    model.add(KNOWN + 3 * 60, 10)
    assert kinds(model) == set()
    assert model.seen() is None
    for minute in range(KNOWN + 3 * 60 + 1, KNOWN + 4 * 60 + 1):
        model.add(minute, 10)

    assert kinds(model) == set()
    assert model.seen() == 10 * WINDOW


@pytest.mark.parametrize("unknown", [1, 5, 60])
def test_a_silence_lasts_through_the_unknown_minutes_of_a_restart(unknown: int) -> None:
    model = learned(10)
    for minute in range(KNOWN, KNOWN + 30):
        model.add(minute, 0)
    assert "silent" in kinds(model)
    for minute in range(KNOWN + 30 + unknown, KNOWN + 60 + unknown):
        model.add(minute, 0)
        assert "silent" in kinds(model)
    model.add(KNOWN + 60 + unknown, 10)

    assert "silent" not in kinds(model)
    assert max(model.gaps) == 60 + 1, "unknown minutes are not counted"


def test_a_clock_that_is_set_back_changes_nothing() -> None:
    model = learned(10)
    before = encode(model)
    model.add(KNOWN - 100, 5000)

    assert encode(model) == before


def test_a_share_of_invalid_events_that_is_usual_is_no_signal_and_five_times_it_is() -> None:
    model = learned(90, KNOWN, invalid=2)
    assert kinds(model) == set()
    for minute in range(KNOWN, KNOWN + WINDOW):
        model.add(minute, 90, {INVALID: 15})

    (signal,) = model.signals()
    assert signal.kind == "invalid"
    assert signal.expected == pytest.approx(2 / 92, rel=0.1)
    assert signal.seen == pytest.approx(15 / 105, rel=0.01)


def test_a_type_of_invalid_events_is_named_and_all_types_together_where_none_is_unusual_alone() -> None:
    def signals(**types: float) -> list[tuple[str, str]]:
        model = learned(90)
        for minute in range(KNOWN, KNOWN + WINDOW):
            shares = {("invalid", name): number for name, number in types.items()}
            model.add(minute, 90, shares | {INVALID: sum(types.values())})
        return [(signal.kind, signal.of) for signal in model.signals()]

    assert signals(schema_violation=10, forbidden=1) == [("invalid", "schema_violation")]
    assert signals(schema_violation=4, forbidden=4) == [("invalid", "")]
    assert signals(schema_violation=1) == []


def test_events_whose_clock_is_wrong_are_a_signal() -> None:
    model = learned(90)
    for minute in range(KNOWN, KNOWN + WINDOW):
        model.add(minute, 90, {("askew", ""): 30})

    (signal,) = model.signals()
    assert signal.kind == "askew"
    assert signal.seen == pytest.approx(1 / 3)


def test_events_that_are_sent_again_are_neither_a_rise_nor_learned_nor_hide_a_silence() -> None:
    model = learned(60)
    for minute in range(KNOWN, KNOWN + 8 * 60):
        model.add(minute, 660, old=600)
        assert kinds(model) == set()
        assert model.seen() == pytest.approx(3600, rel=0.1)
    for minute in range(KNOWN + 8 * 60, KNOWN + 12 * 60):
        model.add(minute, 60)
        assert kinds(model) == set()
    for minute in range(KNOWN + 12 * 60, KNOWN + 13 * 60):
        model.add(minute, 600, old=600)

    assert "drop" in kinds(model)


def test_a_stream_whose_events_are_always_old_is_judged_like_any_other() -> None:
    model = StreamModel(START)
    for minute in range(START, KNOWN):
        model.add(minute, 60, old=60)
        assert kinds(model) == set()
    assert model.seen() == pytest.approx(3600, rel=0.01)
    for minute in range(KNOWN, KNOWN + 10):
        model.add(minute, 0)

    assert "silent" in kinds(model)


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0, 10.0])
def test_another_sample_rate_is_followed_at_any_time_within_a_day(factor: float) -> None:
    for delay in (0, 5 * 60, 20 * 60):
        model = learned(100)
        model.use_sample_rate(0.1)
        model.use_sample_rate(0.1 * factor)
        for minute in range(KNOWN, KNOWN + 3 * DAY):
            model.add(minute, round(100 * (factor if minute >= KNOWN + delay else 1)))
            assert kinds(model) == set(), (delay, minute - KNOWN)
        for minute in range(KNOWN + 3 * DAY, KNOWN + 3 * DAY + 10):
            model.add(minute, 0)
        assert "silent" in kinds(model)


@pytest.mark.parametrize("away", [-400 * DAY, -DAY, 40 * DAY, 400 * DAY])
def test_a_clock_that_is_far_off_for_an_hour_costs_nothing_that_was_learned(away: int) -> None:
    model = learned(10)
    for minute in range(KNOWN + away, KNOWN + away + 60):
        model.add(minute, 10)
        assert kinds(model) == set()
    for minute in range(KNOWN + 60, KNOWN + 120):
        model.add(minute, 10)
        assert kinds(model) == set()
    assert model.is_learned
    for minute in range(KNOWN + 120, KNOWN + 130):
        model.add(minute, 0)

    assert "silent" in kinds(model)


def test_what_was_learned_is_the_same_after_a_restart() -> None:
    source, model = random.Random(1), StreamModel(START)
    for minute in range(START, START + LEARN_VOLUME + 2 * DAY):
        model.add(minute, poisson(3.0, source), {INVALID: source.random() < 0.1})
    other = decode(encode(model))
    for minute in range(model.minute + 1, model.minute + 3 * 60):
        for one in (model, other):
            one.add(minute, 0)

    assert "silent" in kinds(model)
    assert other.signals() == model.signals()
    assert encode(other) == encode(model)


@pytest.mark.parametrize("text", [b"", b"\x96", b"\xc0", encode(StreamModel(0))[:-5]])
def test_bytes_that_are_no_model_are_an_error(text: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(text)


def test_a_model_takes_little_memory_when_it_is_stored() -> None:
    assert len(encode(learned(1, START + DAY))) < 4096
