"""A log that was made again under its name is told from the old one, also where it has grown past a position."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.eventstreams.harness import Log, running

HERE = ("a", 0)


def filled(count: int = 10, name: str = "old") -> Log:
    log = Log({"a": 1})
    fill(log, count, name)
    return log


def fill(log: Log, count: int, name: str) -> None:
    for number in range(count):
        log.append(name=f"{name} {number}", ms=1000 * number)


async def last_id_of(log: Log, limit: int) -> str:
    async with running(log) as streams, await streams.get(f"/v2/stream/a?since=earliest&limit={limit}") as answer:
        return (await answer.rest())[-1].last_id


def test_a_position_of_the_old_log_is_gone() -> None:
    async def scene() -> None:
        log = filled()
        last_id = await last_id_of(log, 4)
        log.recreate(HERE)
        fill(log, 20, "new")
        async with running(log) as streams, await streams.get("/v2/stream/a", Last_Event_ID=last_id) as answer:
            body = await answer.body()

            assert (answer.status, body["type"]) == (410, "position_gone")
            gap = {"topic": "a", "partition": 0, "asked": 4, "earliest": 0, "latest": 20}
            assert body["gaps"] == [gap | {"lost": None, "made_again": True}]
            assert "made again" in body["detail"]

    asyncio.run(scene())


@pytest.mark.parametrize(("on_gap", "expected"), [("earliest", ["new 0", "new 1"]), ("latest", ["next"])])
def test_a_client_of_the_old_log_chooses_where_to_go_on(on_gap: str, expected: list[str]) -> None:
    async def scene() -> None:
        log = filled()
        last_id = await last_id_of(log, 1)
        log.recreate(HERE)
        fill(log, 2, "new")
        target = f"/v2/stream/a?on_gap={on_gap}"
        async with running(log) as streams, await streams.get(target, Last_Event_ID=last_id) as answer:
            await answer.opened()
            gap = await answer.message()
            log.append(name="next")

            assert gap is not None and (gap.kind, gap.value["made_again"]) == ("gap", True)
            assert await answer.ids(len(expected)) == expected
            assert json.loads(answer.last_id)[0]["log"] == "after-first"

    asyncio.run(scene())


@pytest.mark.parametrize("remembers", ["nothing of the log", "the compact form without one"])
def test_a_position_that_names_no_log_counts_by_its_offset(remembers: str) -> None:
    async def scene() -> None:
        log = filled()
        position = "c1.one;a/0:4" if "compact" in remembers else '[{"topic":"a","partition":0,"offset":4}]'
        async with running(log) as streams, await streams.get("/v2/stream/a", Last_Event_ID=position) as answer:
            assert await answer.ids(1) == ["old 4"]
            assert json.loads(answer.last_id)[0]["log"] == "first"

    asyncio.run(scene())


def test_a_log_that_grows_past_live_clients_before_it_is_noticed_is_told_and_read_from_its_beginning() -> None:
    async def scene() -> None:
        log = filled()
        async with running(log) as streams:
            answers = [await streams.get("/v2/stream/a") for _ in range(3)]
            for answer in answers:
                await answer.opened()
            await streams.until(lambda: streams.counts.live == 3)
            log.swap(HERE)
            fill(log, 12, "new")  # The live reader goes on at offset 10 and sees nothing wrong.
            for answer in answers:
                assert await answer.ids(2) == ["new 10", "new 11"]
                assert json.loads(answer.last_id)[0]["log"] == "first"
            async with await streams.get("/v2/stream/a?since=earliest&poll=1") as other:
                assert len(await other.rest()) == 12  # Its start has looked at the topic.
            for answer in answers:
                gap = await answer.message()
                assert gap is not None and (gap.kind, gap.value["asked"]) == ("gap", 12)
                assert await answer.ids(12) == [f"new {number}" for number in range(12)]
                assert json.loads(answer.last_id)[0]["log"] == "after-first"
            await streams.until(lambda: streams.counts.live == 3)
            log.append(name="next")
            for answer in answers:
                assert await answer.ids(1) == ["next"]
                answer.close()

    asyncio.run(scene())


@pytest.mark.parametrize("start", [0, 3])
def test_what_a_reader_brings_from_the_old_log_after_the_change_is_dropped(start: int) -> None:
    position = json.dumps([{"topic": "a", "partition": 0, "offset": start, "log": "first"}])

    async def scene() -> None:
        log = filled(6)
        log.may_return.clear()
        async with (
            running(log, limits={"ring_events": 1}) as streams,
            await streams.get("/v2/stream/a", Last_Event_ID=position) as answer,
        ):
            await streams.until(lambda: log.reads)
            log.swap(HERE)
            fill(log, 6, "new")
            streams.hub.learn(await streams.pool.describe(["a"]))
            log.may_return.set()
            gap = await answer.message()

            assert gap is not None and (gap.kind, gap.value["asked"]) == ("gap", start)
            assert await answer.ids(6) == [f"new {number}" for number in range(6)]

    asyncio.run(scene())


def test_an_identity_that_becomes_known_later_is_taken_up() -> None:
    async def scene() -> None:
        log = filled()
        log.ids[HERE] = ""
        async with running(log) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            assert "log" not in json.loads(answer.last_id)[0]
            log.ids[HERE] = "known"
            streams.hub.learn(await streams.pool.describe(["a"]))
            log.append(name="next")

            assert await answer.ids(1) == ["next"]
            assert json.loads(answer.last_id)[0]["log"] == "known"

    asyncio.run(scene())


def test_a_client_that_begins_while_the_log_is_made_again_is_told() -> None:
    """Its position was looked up before, and another client's start has told the worker meanwhile."""

    async def scene() -> None:
        log = filled()
        async with running(log) as streams, await streams.get("/v2/stream/a") as first:
            await first.opened()
            add = streams.hub.add

            def late(client: object) -> None:
                log.swap(HERE)
                fill(log, 11, "new")
                streams.hub._logs["a"].ids[0] = log.ids[HERE]
                add(client)  # type: ignore[arg-type]

            streams.hub.add = late  # type: ignore[method-assign]
            async with await streams.get("/v2/stream/a?since=earliest") as second:
                kinds = []
                while "gap" not in kinds:
                    message = await second.message()
                    assert message is not None
                    kinds.append(message.kind)

                assert await second.ids(11) == [f"new {number}" for number in range(11)]

    asyncio.run(scene())
