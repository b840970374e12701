"""Live events whose key has older ones in the spool."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from server.intake.delivery.waiting_room import MAX_BYTES, MAX_EVENTS, Guest, WaitingRoom
from server.intake.event import Event
from tests.server.intake.delivery.test_delivery import KEYED, books, drive, later
from tests.server.intake.fake_spool import FakeSpool
from tests.server.intake.test_receive import VALID, Bench, settled

__all__ = ["drive"]


def keyed(number: int) -> bytes:
    """An event of the one key; its number is in a member of its own."""
    return KEYED[:-1] + b',"test":"%d"}' % number


def sent(bench: Bench) -> list[str]:
    return [orjson.loads(record.value).get("test") for record in bench.sink.records]


async def a_key_waits(bench: Bench, spool: FakeSpool, seconds_left: float = 0.5) -> None:
    """An event of the key is in the spool, which will be empty so soon."""
    bench.sink.is_unreachable = True
    assert bench.post(keyed(0), hasty="true").status == 202
    spool.settle()
    bench.sink.is_unreachable = False
    spool.seconds_left = seconds_left
    bench.delivery._look()


def test_live_events_of_a_key_join_in_order_as_soon_as_the_spool_lets_go_of_it(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool)
        for number in (1, 2):
            assert bench.post(keyed(number), hasty="true").status == 202
        guaranteed = bench.post(keyed(3))
        bench.delivery._look()
        await settled()
        assert (len(spool.kept), sent(bench), bench.delivery.in_room()) == (1, [], 3)
        spool.let_go()
        assert bench.post(keyed(4), hasty="true").status == 202, "behind those that wait in memory"
        bench.delivery._look()
        await settled()
        assert sent(bench) == ["1", "2", "3", "4"]
        assert (guaranteed.status, bench.delivery.in_room()) == (201, 0)
        assert books(bench)["keyed"] == (5, 4, 1, {})
        bench.delivery._look()
        assert not bench.delivery.is_guarded

    drive(test)


def test_other_keys_do_not_wait(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool)
        assert bench.post(keyed(1).replace(b'"w"', b'"v"'), hasty="true").status == 202
        bench.post(VALID, hasty="true")
        await settled()
        assert (len(bench.sink.records), bench.delivery.in_room()) == (2, 0)

    drive(test)


def test_what_waits_in_memory_for_too_long_goes_to_the_spool_in_order(
    drive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.intake.delivery.delivery.WAIT_S", -1.0)

    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool)
        for number in (1, 2):
            bench.post(keyed(number), hasty="true")
        assert bench.delivery.in_room() == 2
        bench.delivery._look()
        assert [orjson.loads(one[2])["test"] for one in spool.kept] == ["0", "1", "2"]
        assert [one[4] for one in spool.kept[1:]] == [True, True], "they were answered"
        spool.settle()
        assert books(bench)["keyed"] == (3, 0, 3, {})

    drive(test)


def test_a_spool_that_will_not_be_empty_soon_is_not_waited_for(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool)
        bench.post(keyed(1), hasty="true")
        spool.seconds_left = 60.0
        bench.post(keyed(2), hasty="true")
        assert bench.delivery.in_room() == 0
        assert [orjson.loads(one[2])["test"] for one in spool.kept] == ["0", "1", "2"], "the first one goes before it"

    drive(test)


def test_a_stream_that_wants_no_spool_waits_in_memory_and_is_answered_201(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool, seconds_left=60.0)
        request = bench.post(keyed(1))
        await settled()
        assert not request.replies
        spool.let_go()
        bench.delivery._look()
        await settled()
        assert (request.status, sent(bench)) == (201, ["1"])

    drive(test)


def test_a_stream_that_wants_no_spool_is_refused_when_it_has_waited_for_too_long(
    drive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.intake.delivery.delivery.LONG_WAIT_S", -1.0)

    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool, seconds_left=60.0)
        request = bench.post(keyed(1))
        bench.delivery._look()
        assert request.status == 503
        assert (len(spool.kept), books(bench)["keyed"][3]) == (1, {"withdrawn": 1})

    drive(test)


def test_what_the_sink_does_not_take_when_its_key_is_free_waits_on(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool)
        for number in (1, 2):
            bench.post(keyed(number), hasty="true")
        spool.let_go()
        bench.sink.refusal = "queue_full"
        bench.delivery._look()
        assert bench.delivery.in_room() == 2
        bench.sink.refusal = None
        spool.let_go()
        bench.delivery._look()
        await settled()
        assert sent(bench) == ["1", "2"]

    drive(test)


def test_at_the_end_what_waits_in_memory_goes_to_the_spool(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await a_key_waits(bench, spool)
        bench.post(keyed(1), hasty="true")
        guaranteed = bench.post(keyed(2))
        bench.delivery.empty_room()
        assert bench.delivery.in_room() == 0
        assert [orjson.loads(one[2])["test"] for one in spool.kept] == ["0", "1"]
        assert guaranteed.status == 503, "it may not be spooled"

    drive(test)


def test_the_delivery_tells_the_spool_of_its_sink(drive: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.intake.delivery.delivery.TELL_S", 0.0)

    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.post(VALID, hasty="true")
        await settled()
        bench.delivery._look()
        assert spool.told[-1] == (False, 1)
        bench.sink.is_unreachable = True
        bench.delivery._look()
        assert spool.told[-1] == (True, 1)

    drive(test)


def test_the_doubt_ends_at_its_time_though_the_sink_has_not_settled(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(VALID, hasty="true")
        bench.sink.is_unreachable = True
        bench.post(VALID, hasty="true")
        spool.settle()
        bench.delivery._look()
        assert spool.is_doubtful
        with later(60.1):
            bench.delivery._look()
        assert not spool.is_doubtful

    drive(test, settle_s=60.0)


def test_an_event_that_came_later_does_not_prolong_the_doubt(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(VALID, hasty="true")
        bench.sink.is_unreachable = True
        bench.post(VALID, hasty="true")
        spool.settle()
        bench.sink.is_unreachable = False
        bench.delivery._look()
        older, bench.sink._waiting = bench.sink._waiting, []
        bench.post(VALID, hasty="true")
        for record, on_ack in older:
            bench.sink.records.append(record)
            on_ack(None, None)
        bench.delivery._look()
        assert not spool.is_doubtful

    drive(test, settle_s=60.0)


def test_one_that_goes_to_the_spool_later_does_not_either(drive: Callable[..., None]) -> None:
    """On a disk that is slower than the clients some event is always on its way."""

    async def test(bench: Bench, spool: FakeSpool) -> None:
        bench.sink.is_held = True
        bench.post(keyed(0), hasty="true")
        bench.sink.is_unreachable = True
        bench.post(keyed(1), hasty="true")
        bench.sink.is_unreachable = False
        bench.sink.release()
        bench.delivery._look()
        assert spool.is_doubtful, "what was put while the sink held an older one is not on disk"
        bench.post(keyed(2), hasty="true")
        spool.settle(most=1)
        bench.delivery._look()
        assert (spool.waiting(), spool.is_doubtful) == (1, False)

    drive(test, settle_s=60.0)


def guest(number: int, key: bytes = b"k", *, until: float = 0.0, value: bytes = b"") -> Guest:
    return Guest(Event(0, value, topic="t", key=key, number=number), until, may_spool=True)


class Held:
    """What a spool holds; it says so."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = set(keys)
        self.laps = 0
        self.asked = 0

    def holds(self, _topic: str, key: bytes) -> bool:
        self.asked += 1
        return key in self.keys

    def done(self, _topic: str) -> object:
        return self.laps


def test_a_room_gives_back_what_it_was_given_in_order() -> None:
    held = Held(b"k")
    room = WaitingRoom(held.holds, held.done)
    for number in range(3):
        room.add(guest(number))
    room.add(guest(9, b"other"))

    assert (len(room), room.has("t", b"k"), room.has("t", b"none")) == (4, True, False)
    assert room.free() == [("t", b"other")]
    assert [one.event.number for one in room.take(("t", b"k"))] == [0, 1, 2]
    assert [one.event.number for one in room.take_all()] == [9]
    assert len(room) == 0


def test_keys_are_looked_up_only_when_one_may_have_become_free() -> None:
    held = Held(b"k")
    room = WaitingRoom(held.holds, held.done)
    room.add(guest(1))
    assert room.free() == []
    asked = held.asked
    held.keys.clear()
    assert (room.free(), held.asked) == ([], asked)
    held.laps += 1
    assert room.free() == [("t", b"k")]


def test_a_room_is_bounded_in_events_and_bytes() -> None:
    held = Held()
    room = WaitingRoom(held.holds, held.done)
    room.add(guest(0, value=bytes(MAX_BYTES - 10)))
    assert (room.has_place(10), room.has_place(11)) == (True, False)
    room.take(("t", b"k"))
    for number in range(MAX_EVENTS):
        assert room.has_place(1)
        room.add(guest(number, b"%d" % (number % 7)))
    assert not room.has_place(0)


def test_the_oldest_event_of_a_key_says_when_it_has_waited_for_too_long() -> None:
    held = Held(b"k", b"other")
    room = WaitingRoom(held.holds, held.done)
    for one in (guest(1, until=100.0), guest(2, until=105.0), guest(3, b"other", until=101.0)):
        room.add(one)

    assert room.overdue(99.0) == []
    assert room.overdue(100.5) == [("t", b"k")]


async def it_sheds(bench: Bench, spool: FakeSpool, seconds_left: float) -> None:
    await a_key_waits(bench, spool, seconds_left)
    spool.is_shedding = True
    bench.delivery._look()


def test_hasty_events_of_a_key_that_waits_are_refused_while_the_spool_would_grow(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await it_sheds(bench, spool, seconds_left=60.0)
        refused = bench.post(keyed(1), hasty="true")
        assert (refused.status, len(spool.kept)) == (503, 1)
        assert bench.post(b"[" + keyed(2) + b"," + VALID + b"]", hasty="true").status == 207
        assert bench.post(keyed(3).replace(b'"w"', b'"v"'), hasty="true").status == 202, "its key does not wait"
        await settled()
        assert (sent(bench)[1:], len(spool.kept)) == (["3"], 1)
        assert books(bench)["keyed"] == (2, 1, 1, {})
        spool.is_shedding = False
        bench.delivery._look()
        assert bench.post(keyed(4), hasty="true").status == 202
        assert len(spool.kept) == 2

    drive(test)


def test_guaranteed_events_are_spooled_nevertheless(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await it_sheds(bench, spool, seconds_left=60.0)
        request = bench.post(keyed(1))
        spool.settle()
        assert (request.status, len(spool.kept)) == (202, 2)

    drive(test, may_be_spooled=True, is_spooled=True)


def test_what_is_left_at_the_end_is_waited_for_in_memory_instead(drive: Callable[..., None]) -> None:
    async def test(bench: Bench, spool: FakeSpool) -> None:
        await it_sheds(bench, spool, seconds_left=0.5)
        assert bench.post(keyed(1), hasty="true").status == 202
        assert (bench.delivery.in_room(), len(spool.kept)) == (1, 1)

    drive(test)
