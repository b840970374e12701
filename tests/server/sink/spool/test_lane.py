"""server.sink.spool.lane and pace: what pauses, for how long, and how fast the rest goes."""

from __future__ import annotations

from typing import Any, cast

import pytest

from server.sink.spool.backlog import Taken
from server.sink.spool.event import Spooled, spooled
from server.sink.spool.lane import ALL, FIRST_PAUSE_S, REST_S, Lane
from server.sink.spool.pace import BURST_S, LOAD, START_PER_S, ReplayPace
from tests.server.sink.spool.spools import row


def event(number: int, key: int | None) -> Spooled:
    return spooled(row(number, key=key))


def taken(*events: Spooled) -> list[Taken]:
    return [Taken(cast(Any, None), one) for one in events]


@pytest.fixture
def lane() -> Lane:
    """The partition of a key is its last digit."""
    return Lane(b"t", lambda _topic, key: int(key[-2:-1]))


def fail(lane: Lane, now: float, *events: Spooled) -> None:
    """A batch was out, and these have failed."""
    lane.has_been_sent = True
    for one in events:
        lane.fail(one)
    lane.settle(now, is_away=False)


def test_events_of_a_partition_that_pauses_are_left_out(lane: Lane) -> None:
    fail(lane, 100.0, event(1, 1))
    chosen = lane.choose(taken(event(1, 1), event(2, 2), event(3, None), event(4, 11)))

    assert lane.may_send(100.0)
    assert [one.event.number for one in chosen] == [2, 3]
    assert lane.above == 4


def test_a_pause_doubles_up_to_its_bound_and_ends_with_what_is_delivered(lane: Lane) -> None:
    now, lengths = 100.0, []
    for _ in range(9):
        fail(lane, now, event(1, 1))
        (pause,) = lane._pauses.values()
        lengths.append(pause.length_s)
        assert lane.choose(taken(event(1, 1))) == []
        now = pause.until
        assert lane.may_send(now)
        assert lane.above == -1
        assert len(lane.choose(taken(event(1, 1)))) == 1
    assert lengths == [min(FIRST_PAUSE_S * 2**n, REST_S) for n in range(9)]
    fail(lane, now)
    assert lane.is_idle()
    fail(lane, now, event(1, 1))
    assert lane._pauses[1].length_s == FIRST_PAUSE_S


@pytest.mark.parametrize("failing", [None, 5], ids=["no key", "partition not known"])
def test_a_topic_pauses_where_the_partition_is_not_known(failing: int | None) -> None:
    lane = Lane(b"t", lambda _topic, _key: ALL)
    fail(lane, 100.0, event(1, failing))

    assert not lane.may_send(100.0 + FIRST_PAUSE_S / 2)
    assert lane.may_send(100.0 + FIRST_PAUSE_S)


def test_a_refused_topic_rests(lane: Lane) -> None:
    lane.rest(100.0)

    assert not lane.may_send(100.0 + REST_S - 1)
    assert lane.may_send(100.0 + REST_S)


def test_one_batch_is_out_at_a_time(lane: Lane) -> None:
    lane.out, lane.has_been_sent = 1, True
    assert not lane.may_send(100.0)
    lane.out = 0
    assert not lane.may_send(100.0), "its outcome is not written down"
    lane.settle(100.0, is_away=False)
    assert lane.may_send(100.0)


def test_while_no_broker_answers_no_partition_is_blamed(lane: Lane) -> None:
    lane.has_been_sent = True
    lane.fail(event(1, 1))
    lane.settle(100.0, is_away=True)

    assert lane.is_idle()
    assert not lane.has_failed()


def test_it_begins_again_where_an_event_was_left_that_belongs_to_no_pause(lane: Lane) -> None:
    fail(lane, 100.0, event(1, 1))
    lane.choose(taken(event(1, 1), event(2, 2)))
    lane.begin_again()

    assert lane.above == -1


class Seconds:
    """A pace, in steps of half a second. Events of live requests are acked at ``live`` a second, and spooled ones put
    at ``spooled`` a second; ``waiting`` are there."""

    def __init__(self, most_per_s: float = 1e6) -> None:
        self.pace = ReplayPace(most_per_s)
        self.now = 100.0
        self._acked = self._put = 0.0

    def pass_by(self, seconds: float, *, live: float = 0, spooled: float = 0, waiting: int = 0) -> float:
        for _ in range(int(2 * seconds)):
            self.now += 0.5
            self._acked += live / 2
            self._put += spooled / 2
            self.pace.look(self.now, int(self._acked), int(self._put), waiting)
        return self.pace.per_s


@pytest.mark.parametrize(("usual_per_s", "first_per_s"), [(0, START_PER_S), (400, START_PER_S), (20_000, 5000.0)])
def test_the_pace_begins_slowly_and_doubles_each_half_second(usual_per_s: float, first_per_s: float) -> None:
    seconds = Seconds()
    seconds.pass_by(10, live=usual_per_s)
    seconds.pace.begin_again(seconds.now)

    assert seconds.pace.per_s == pytest.approx(first_per_s, rel=0.02)
    before = seconds.pace.per_s
    assert seconds.pass_by(0.5, waiting=9) == min(2 * before, seconds.pace._limit_per_s())


def test_the_brokers_get_a_bounded_multiple_of_their_usual_load_live_events_included() -> None:
    seconds = Seconds()
    seconds.pass_by(10, live=4000)

    assert seconds.pass_by(10, live=0, waiting=9) == pytest.approx(LOAD * 4000, rel=0.02)
    assert seconds.pass_by(10, live=3000, waiting=9) == pytest.approx(LOAD * 4000 - 3000, rel=0.02)


@pytest.mark.parametrize(("seconds_away", "per_s"), [(0.0, 600.0), (10.0, 800.0)])
def test_events_that_brokers_had_queued_are_not_replayed_on_top_of_them(seconds_away: float, per_s: float) -> None:
    seconds = Seconds()
    seconds.pass_by(10, live=1000)
    seconds.pace.per_s = 800.0
    seconds.pace.begin_again(seconds.now - seconds_away)
    seconds.pace.per_s = 800.0
    seconds.pace.spend(seconds.pace.draw(seconds.now))
    drawn = 0
    for at in range(8):
        seconds.pass_by(0.5, live=1500 if at < 4 else 1000, waiting=9)
        for tenth in range(5):
            some = max(0, seconds.pace.draw(seconds.now + tenth / 10))
            seconds.pace.spend(some)
            drawn += some

    assert drawn / 4 == pytest.approx(per_s, rel=0.1)


def test_the_pace_is_twice_of_what_newly_comes_into_the_spool() -> None:
    assert Seconds().pass_by(10, spooled=30_000, waiting=9) == pytest.approx(60_000, rel=0.02)


def test_events_that_are_put_together_in_one_second_do_not_raise_the_pace() -> None:
    seconds = Seconds()
    seconds.pass_by(10, live=1000)
    seconds.pass_by(5, spooled=100, waiting=9)
    seconds.pass_by(0.5, spooled=5000, waiting=9)

    assert seconds.pass_by(1, spooled=100, waiting=9) == pytest.approx(LOAD * 1000, rel=0.02)


def test_the_pace_is_bounded_by_what_is_allowed() -> None:
    assert Seconds(3000).pass_by(10, live=50_000, spooled=50_000, waiting=9) == 3000
    assert Seconds(50).pace.per_s == 50


def test_as_much_may_be_sent_as_the_time_allows_and_no_burst_beyond_a_bound() -> None:
    pace = ReplayPace(100.0)
    assert pace.draw(100.0) == 0
    assert pace.draw(100.125) == 12
    pace.spend(12)
    assert pace.draw(100.125) == 0
    assert pace.draw(999.0) == int(BURST_S * 100)


def test_a_pace_below_one_in_a_burst_still_sends() -> None:
    pace = ReplayPace(1.0)
    pace.draw(100.0)

    assert pace.draw(102.0) == 1


def test_the_time_until_all_has_left_is_what_waits_by_what_is_gained() -> None:
    seconds = Seconds()
    assert seconds.pace.catch_up_s() == 0
    seconds.pass_by(20, spooled=1000, waiting=5000)
    assert seconds.pace.catch_up_s() == pytest.approx(5, rel=0.05)
    slow = Seconds(500)
    slow.pass_by(20, spooled=1000, waiting=5000)
    assert slow.pace.catch_up_s() > 1e6, "it will not catch up"
