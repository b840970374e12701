"""sink.spool.replay: oldest first, in order per key, no faster than allowed, and nothing is forgotten unacked."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from server.sink.memory.sink import MemorySink
from server.sink.spool.event import Spooled
from server.sink.spool.replay import Replay, ReplayPace
from server.sink.spool.spool import Spool
from tests.contract.sinks import record
from tests.server.sink.spool.spools import Kept, drive, flushed, numbers, put, until


class Replayed:
    """A replay into memory."""

    def __init__(self, spool: Spool, *, per_s: float = 1e6) -> None:
        self.sink = MemorySink()
        self.left: list[tuple[str, str | None]] = []
        self.is_away = False
        pace = ReplayPace(per_s, lambda: 0, lambda: 0)
        pace.per_s = per_s
        self.replay = Replay(spool, self.sink, lambda: not self.is_away, self._on_left, pace)

    def _on_left(self, event: Spooled, error_type: str | None) -> None:
        self.left.append((event.stream, error_type))

    async def start(self) -> None:
        await self.sink.open()
        self.replay.start()

    async def end(self) -> None:
        self.replay.stop()
        await self.sink.close()
        await self.replay.finish(asyncio.get_running_loop().time() + 5)

    @property
    def delivered(self) -> list[int]:
        return [json.loads(record.value)["n"] for record in self.sink.records]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_S", "IDLE_S", "TROUBLE_S"):
        monkeypatch.setattr(f"server.sink.spool.replay.{name}", 0.005)


def test_everything_is_delivered_oldest_first_and_then_gone(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        for number in (3, 1, 2, *range(10, 1300)):
            put(spool, number, number % 7)
        await flushed(spool)
        await replayed.start()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, *range(10, 1300)]
        assert replayed.replay.replayed == 1293
        assert set(replayed.left) == {("s", None)}

    drive(tmp_path, test)


def test_nothing_is_sent_while_the_broker_is_away(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.is_away = True
        put(spool, 1)
        await flushed(spool)
        await replayed.start()
        await asyncio.sleep(0.03)
        assert replayed.delivered == []
        replayed.is_away = False
        await until(lambda: replayed.delivered == [1])
        await replayed.end()

    drive(tmp_path, test)


@pytest.mark.parametrize("failure", ["broker_timeout", "queue_full"])
def test_what_fails_for_a_reason_that_can_pass_stays_and_comes_again_in_order(tmp_path: Path, failure: str) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.sink.failure = failure
        for number in range(1, 6):
            put(spool, number, 1)
        await flushed(spool)
        await replayed.start()
        await asyncio.sleep(0.03)
        assert await numbers(spool) == [1, 2, 3, 4, 5]
        replayed.sink.failure = None
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, 4, 5]

    drive(tmp_path, test)


def test_what_is_too_large_is_given_up_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        refuse(replayed, "event_too_large", b'{"n":2}')
        for number in (1, 2, 3):
            put(spool, number, 1)
        await flushed(spool)
        await replayed.start()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 3]
        assert replayed.left.count(("s", "event_too_large")) == 1

    drive(tmp_path, test)


def test_events_are_not_given_up_because_their_batch_was_too_large(tmp_path: Path) -> None:
    """librdkafka does not split a batch: all of it fails, though each event by itself would fit."""

    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        for number in range(1, 6):
            put(spool, number, 1)
        await flushed(spool)
        replayed.sink.failure = "batch_too_large"
        await replayed.start()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert replayed.delivered == [1, 2, 3, 4, 5]
        assert len(replayed.sink.separated) == 1

    drive(tmp_path, test)


def test_a_topic_that_is_refused_rests_while_others_go_on_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.sink.spool.replay.REST_S", 0.05)

    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        mend = refuse(replayed, "broker_rejected", b'{"n":2}')
        for number, topic in ((1, "t"), (2, "other"), (3, "other"), (4, "t"), (5, "t")):
            one = record(topic, number, 1)
            spool.put(number, "s", one, Kept(), is_owed=True, is_awaited=False)
        await flushed(spool)
        await replayed.start()
        await until(lambda: set(replayed.delivered) >= {1, 4, 5})
        assert not {2, 3} & set(replayed.delivered)
        assert spool.elders.holds("other", b'{"k":1}')
        mend()
        await until(lambda: not spool.waits())
        await replayed.end()
        assert sorted(replayed.delivered) == [1, 2, 3, 4, 5]
        assert replayed.delivered.index(2) < replayed.delivered.index(3)
        assert {error for _, error in replayed.left} == {None}

    drive(tmp_path, test)


def refuse(replayed: Replayed, error_type: str, value: bytes) -> Callable[[], None]:
    """The sink refuses this record, until the returned function is called."""
    submit = replayed.sink.submit
    is_refused = [True]

    def refusing(one: Any, on_ack: Callable[[Any, Any], None]) -> str | None:
        return error_type if is_refused[0] and one.value == value else submit(one, on_ack)

    replayed.replay._submit = cast(Any, refusing)
    return lambda: is_refused.__setitem__(0, False)


def test_what_is_out_at_the_end_is_waited_for_and_forgotten_only_when_acked(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        replayed = Replayed(spool)
        replayed.sink.is_held = True
        put(spool, 1)
        put(spool, 2)
        await flushed(spool)
        await replayed.start()
        await until(lambda: replayed.sink.outstanding() == 2)
        await replayed.end()  # Closing the sink fails what it holds.
        assert await numbers(spool) == [1, 2]

    drive(tmp_path, test)


def test_a_key_waits_for_its_older_events_in_another_workers_spool(tmp_path: Path) -> None:
    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        put(other, 1, 7)
        await flushed(other)
        put(spool, 2, 7)
        await flushed(spool)
        spool.elders.look()
        replayed, elder = Replayed(spool), Replayed(other)
        await replayed.start()
        await asyncio.sleep(0.03)
        assert replayed.delivered == []
        await elder.start()
        await until(lambda: replayed.delivered == [2])
        assert elder.delivered == [1]
        await replayed.end()
        await elder.end()
        await other.close()

    drive(tmp_path, test)


def test_a_key_waits_for_its_older_events_though_their_topic_rests_and_other_topics_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other worker sends next is not its oldest event then; and both have events of the topics that pass."""
    monkeypatch.setattr("server.sink.spool.replay.REST_S", 0.05)

    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        for where, number, topic in ((other, 1, "t"), (other, 20, "u"), (spool, 10, "t"), (spool, 30, "u")):
            where.put(number, "s", record(topic, number, 7), Kept(), is_owed=True, is_awaited=False)
        for one in (spool, other):
            await flushed(one)
            one.elders.look()
        replayed, elder = Replayed(spool), Replayed(other)
        mend = refuse(elder, "broker_rejected", b'{"n":1}')
        await elder.start()
        await replayed.start()
        await until(lambda: (elder.delivered, replayed.delivered) == ([20], [30]))
        await asyncio.sleep(0.03)
        assert replayed.delivered == [30]
        mend()
        await until(lambda: replayed.delivered == [30, 10])
        assert elder.delivered == [20, 1]
        await replayed.end()
        await elder.end()
        await other.close()

    drive(tmp_path, test)


@pytest.mark.parametrize("seed", range(3))
def test_spools_of_several_workers_empty_in_the_order_of_each_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Two workers with a spool of their own, and four that nobody holds any more."""
    monkeypatch.setattr("server.sink.spool.spool.ADOPT_EVERY_S", 0.01)
    chance = random.Random(seed)
    delivered: list[tuple[str, int, int]] = []

    async def test(spool: Spool) -> None:
        spools = [spool, *(Spool(tmp_path, max_bytes=1 << 20) for _ in range(5))]
        for one in spools[1:]:
            await one.open()
        for number in range(1, 181):
            one, topic, key = chance.choice(spools), chance.choice("tu"), chance.randrange(3)
            one.put(number, "s", record(topic, number, key), Kept(), is_owed=True, is_awaited=False)
        for one in spools:
            await flushed(one)
        for one in spools[2:]:
            await one.close()
        workers = [Replayed(one, per_s=200.0) for one in spools[:2]]
        for worker in workers:
            worker.replay._submit = noting(worker.sink.submit)
            await worker.start()
        await until(lambda: len(delivered) == 180)
        for worker in workers:
            await worker.end()
        await spools[1].close()

    def noting(submit: Any) -> Any:
        def noted(one: Any, on_ack: Any) -> Any:
            delivered.append((one.topic, one.key, json.loads(one.value)["n"]))
            return submit(one, on_ack)

        return noted

    drive(tmp_path, test)
    for topic, key in {(topic, key) for topic, key, _ in delivered}:
        numbers_of_key = [number for *of, number in delivered if of == [topic, key]]
        assert numbers_of_key == sorted(numbers_of_key)


def test_two_workers_whose_spools_hold_the_same_key_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """A batch of one ends at 10; if the next were taken for 11, 20 would wait for it, and 30, which it is, for 20."""

    async def test(spool: Spool) -> None:
        other = Spool(tmp_path, max_bytes=1 << 20)
        await other.open()
        for one, number in ((spool, 10), (other, 20), (spool, 30)):
            put(one, number, 7)
            await flushed(one)
        both = [Replayed(spool, per_s=10.0), Replayed(other, per_s=10.0)]
        for one in (spool, other):
            one.elders.look()
        for replayed in both:
            await replayed.start()
        await until(lambda: not spool.waits())
        for replayed in both:
            await replayed.end()
        assert [replayed.delivered for replayed in both] == [[10, 30], [20]]
        await other.close()

    drive(tmp_path, test)


class Seconds:
    """A pace, second by second."""

    def __init__(self, most_per_s: float) -> None:
        self.acked = self.spooled = 0
        self._now = 100.0
        self.pace = ReplayPace(most_per_s, lambda: self.acked, lambda: self.spooled)
        self.pace.look(self._now)

    def pass_one(self, acked: int = 0, spooled: int = 0) -> float:
        self.acked += acked
        self.spooled += spooled
        self._now += 1
        self.pace.look(self._now)
        return self.pace.per_s


def test_the_pace_doubles_each_second_up_to_what_is_allowed() -> None:
    seconds = Seconds(3000)

    assert [seconds.pass_one(acked=20_000) for _ in range(5)] == [400, 800, 1600, 3000, 3000]


def test_the_pace_is_a_share_of_the_best_second_and_slow_after_trouble() -> None:
    seconds = Seconds(1e6)
    for _ in range(10):
        seconds.pass_one(acked=4000)
    assert seconds.pace.per_s == pytest.approx(2000, rel=0.01)
    seconds.pace.begin_again()

    assert seconds.pass_one() == 200


def test_the_pace_is_faster_than_what_still_comes_in_behind() -> None:
    seconds = Seconds(1e6)
    for _ in range(10):
        seconds.pass_one(spooled=3000)

    assert seconds.pace.per_s == 6000
