"""A client that is cut off after any event and returns gets all events, in order, each once.

On another cluster, where offsets mean nothing, it may get some of them twice, and still misses none.
"""

from __future__ import annotations

import asyncio
import random
from urllib.parse import quote

import pytest

from tests.eventstreams.harness import Log, Message, running

EVENTS = 40


def seeded(seed: int, log: Log, partitions: int) -> dict[int, list[str]]:
    """Fill a log with events whose timestamps are equal, run backward and jump, with holes between offsets. Returns
    their names by partition."""
    choice = random.Random(seed)
    names: dict[int, list[str]] = {}
    ms = 1_000_000
    for number in range(EVENTS):
        ms += choice.choice((0, 0, 0, 1, 5, -3, -40))
        partition = choice.randrange(partitions)
        log.append("a", partition, name=str(number), ms=ms, hole=choice.choice((0, 0, 0, 2)))
        names.setdefault(partition, []).append(str(number))
    return names


def by_partition(messages: list[Message]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for message in messages:
        found.setdefault(message.value["meta"]["partition"], []).append(message.id)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_cut_off_after_each_event_nothing_is_missed_repeated_or_out_of_order(seed: int) -> None:
    async def scene() -> None:
        log = Log({"a": 3})
        names = seeded(seed, log, 3)
        got: list[Message] = []
        async with running(log) as streams:
            answer = await streams.get("/v2/stream/a?since=earliest")
            while len(got) < EVENTS:
                message = await answer.message()
                assert message is not None
                got.append(message)
                answer.close()
                answer = await streams.get("/v2/stream/a", Last_Event_ID=message.last_id)
            answer.close()

        assert by_partition(got) == names

    asyncio.run(scene())


@pytest.mark.parametrize("seed", range(4))
def test_cut_off_while_events_come_nothing_is_missed_repeated_or_out_of_order(seed: int) -> None:
    """The client is now behind, now at the newest event, alone and in a group with one that stays."""

    async def scene() -> None:
        choice = random.Random(seed)
        log = Log({"a": 2})
        async with running(log, limits={"ring_events": 4}) as streams:
            got: list[Message] = []
            async with await streams.get("/v2/stream/a?since=earliest") as staying:
                answer = await streams.get("/v2/stream/a?since=earliest")
                await answer.opened()
                last_id = answer.last_id
                sent = 0
                while len(got) < EVENTS:
                    for _ in range(choice.choice((0, 1, 1, 7))):
                        if sent < EVENTS:
                            log.append("a", choice.randrange(2), name=str(sent), hole=choice.choice((0, 1)))
                            sent += 1
                    for _ in range(min(choice.choice((0, 1, 3)), sent - len(got))):
                        message = await answer.message()
                        assert message is not None
                        got.append(message)
                        last_id = message.last_id
                    if choice.random() < 0.5:
                        answer.close()
                        answer = await streams.get("/v2/stream/a", Last_Event_ID=last_id)
                answer.close()
                everything = await staying.messages(EVENTS)

            assert by_partition(got) == by_partition(everything)
            assert sum(map(len, by_partition(got).values())) == len({one.id for one in got}) == EVENTS

    asyncio.run(scene())


@pytest.mark.parametrize("seed", range(6))
def test_on_another_cluster_nothing_is_missed_and_repetitions_are_few(seed: int) -> None:
    """The other log has the same events in the same order, at other offsets."""

    async def scene() -> None:
        first, second = Log({"a": 2}, "first"), Log({"a": 2}, "second")
        names = seeded(seed, first, 2)
        for partition, records in ((place[1], list(of_place)) for place, of_place in first.records.items()):
            for record in records:
                second.append("a", partition, ms=record.timestamp_ms, value=record.value, hole=3)
        for stop in range(1, EVENTS, 3):
            async with running(first) as streams, await streams.get("/v2/stream/a?since=earliest") as answer:
                before = await answer.messages(stop)
            async with running(second, skew_s=0.001) as streams:
                target = "/v2/stream/a?poll=1&last_event_id=" + quote(before[-1].last_id)
                async with await streams.get(target) as answer:
                    after = await answer.rest()

            seen = {message.id for message in before} | {message.id for message in after}
            assert seen == {str(number) for number in range(EVENTS)}
            for partition, expected in by_partition(after).items():
                assert expected == names[partition][-len(expected) :]

    asyncio.run(scene())


def test_an_id_of_kafka_sse_is_understood() -> None:
    async def scene() -> None:
        log = Log({"a": 3})
        for partition in range(3):
            for number in range(3):
                log.append("a", partition, name=f"{partition}/{number}", ms=1000 * number)
        last_id = (
            '[{"topic":"a","partition":0,"offset":2},{"topic":"a","partition":1,"timestamp":1500},'
            '{"topic":"a","partition":2,"offset":-1}]'
        )
        async with running(log) as streams, await streams.get("/v2/stream/a", Last_Event_ID=last_id) as answer:
            assert sorted(await answer.ids(2)) == ["0/2", "1/2"]
            log.append("a", 2, name="new")
            assert await answer.ids(1) == ["new"]

    asyncio.run(scene())


def test_an_id_goes_before_since() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        for number in range(3):
            log.append(name=str(number))
        last_id = '[{"topic":"a","partition":0,"offset":2}]'
        async with (
            running(log) as streams,
            await streams.get("/v2/stream/a?since=earliest", Last_Event_ID=last_id) as answer,
        ):
            assert await answer.ids(1) == ["2"]

    asyncio.run(scene())


def test_a_partition_that_was_added_is_read_from_its_beginning() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log) as streams:
            async with await streams.get("/v2/stream/a") as answer:
                await answer.opened()
            log.append("a", 1, name="early", is_live=False)
            async with await streams.get("/v2/stream/a", Last_Event_ID=answer.last_id) as answer:
                assert await answer.ids(1) == ["early"]

    asyncio.run(scene())


def test_a_partition_that_is_added_under_way_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstreams.flow.hub.REFRESH_S", 0.0)

    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            log.append("a", 1, name="first", is_live=False)

            assert await answer.ids(1) == ["first"]
            log.append("a", 1, name="second")
            log.append("a", 0, name="third")
            assert await answer.ids(2) == ["second", "third"]

    asyncio.run(scene())


def test_a_topic_that_is_made_later_is_read_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstreams.flow.hub.REFRESH_MISSING_S", 0.0)

    async def scene() -> None:
        log = Log({"b": 1})
        async with running(log) as streams, await streams.get("/v2/stream/a") as answer:
            await streams.until(lambda: streams.counts.clients == 1)
            log.append("a", 0, name="first", is_live=False)

            assert await answer.ids(1) == ["first"]

    asyncio.run(scene())
