"""No position is silently replaced: what is gone is answered 410, or told as a gap that has no id."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.eventstreams.harness import Log, running

PLACE = {"topic": "a", "partition": 0}
RETAINED = PLACE | {"asked": 2, "earliest": 6, "latest": 10, "lost": 4, "made_again": False}


def last_id(offset: int, topic: str = "a", partition: int = 0) -> str:
    return json.dumps([{"topic": topic, "partition": partition, "offset": offset}])


def filled(count: int = 10) -> Log:
    log = Log({"a": 1})
    for number in range(count):
        log.append(name=str(number), ms=1000 * number)
    return log


def test_a_position_before_what_is_kept_is_answered_with_what_there_is() -> None:
    async def scene() -> None:
        log = filled()
        log.retain(("a", 0), 6)
        async with running(log) as streams, await streams.get("/v2/stream/a", Last_Event_ID=last_id(2)) as answer:
            body = await answer.body()

            assert (answer.status, body["type"]) == (410, "position_gone")
            assert body["gaps"] == [RETAINED]
            assert streams.admission.total() == 0

    asyncio.run(scene())


@pytest.mark.parametrize(("on_gap", "expected"), [("earliest", ["6", "7", "8", "9"]), ("latest", ["new"])])
def test_a_client_chooses_where_to_go_on_and_is_told_of_the_gap(on_gap: str, expected: list[str]) -> None:
    async def scene() -> None:
        log = filled()
        log.retain(("a", 0), 6)
        target = f"/v2/stream/a?on_gap={on_gap}"
        async with running(log) as streams, await streams.get(target, Last_Event_ID=last_id(2)) as answer:
            await answer.opened()
            before = answer.last_id
            gap = await answer.message()
            log.append(name="new")

            assert gap is not None and gap.kind == "gap"
            assert gap.value == RETAINED
            assert gap.last_id == before
            assert await answer.ids(len(expected)) == expected
            assert (streams.counts.gaps, streams.counts.lost) == (1, 4)

    asyncio.run(scene())


def test_a_position_beyond_the_end_means_that_the_log_is_another_one() -> None:
    async def scene() -> None:
        async with running(filled()) as streams, await streams.get("/v2/stream/a", Last_Event_ID=last_id(11)) as answer:
            body = await answer.body()

            assert answer.status == 410
            assert body["gaps"][0] == {
                "topic": "a",
                "partition": 0,
                "asked": 11,
                "earliest": 0,
                "latest": 10,
                "lost": None,
                "made_again": False,
            }

    asyncio.run(scene())


def test_the_position_right_behind_the_newest_event_is_no_gap() -> None:
    async def scene() -> None:
        log = filled()
        async with running(log) as streams, await streams.get("/v2/stream/a", Last_Event_ID=last_id(10)) as answer:
            await answer.opened()
            log.append(name="new")

            assert await answer.ids(1) == ["new"]

    asyncio.run(scene())


def test_offsets_without_events_are_no_gap() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        log.append(name="0")
        log.append(name="1", hole=5)
        log.hole(("a", 0), 3)
        async with running(log) as streams:
            async with await streams.get("/v2/stream/a?poll=1", Last_Event_ID=last_id(1)) as answer:
                assert [(one.kind, one.id) for one in await answer.rest()] == [("message", "1")]
            async with await streams.get("/v2/stream/a?poll=1", Last_Event_ID=last_id(7)) as answer:
                assert (await answer.rest(), streams.counts.gaps) == ([], 0)
            async with await streams.get("/v2/stream/a", Last_Event_ID=last_id(7)) as answer:
                await answer.opened()
                log.append(name="2")
                assert await answer.ids(1) == ["2"]

    asyncio.run(scene())


def test_an_id_that_names_another_topic_is_answered_404() -> None:
    async def scene() -> None:
        asked = last_id(1, "secret")
        async with running(filled()) as streams, await streams.get("/v2/stream/a", Last_Event_ID=asked) as answer:
            body = await answer.body()

            assert (answer.status, body["title"]) == (404, "TopicNotAvailable")

    asyncio.run(scene())


def test_since_before_what_is_kept_begins_with_a_gap_or_is_refused_on_wish() -> None:
    async def scene() -> None:
        log = filled()
        log.retain(("a", 0), 6)
        async with running(log) as streams:
            async with await streams.get("/v2/stream/a?since=2000") as answer:
                gap, first = await answer.messages(2)
                assert (gap.kind, gap.value["earliest"], first.id) == ("gap", 6, "6")
            async with await streams.get("/v2/stream/a?since=2000&on_gap=error") as answer:
                assert answer.status == 410
            async with await streams.get("/v2/stream/a?since=7000") as answer:
                assert await answer.ids(1) == ["7"]

    asyncio.run(scene())


def test_events_that_are_lost_under_way_are_told() -> None:
    """A client that is slow: while it reads, the log drops what it has not got."""

    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log, limits={"ring_events": 2}) as streams:
            answer = await streams.get("/v2/stream/a?since=earliest")
            async with answer:
                await answer.opened()
                (client,) = streams.hub.clients
                client.pause_writing()
                for number in range(10):
                    log.append(name=str(number))
                log.retain(("a", 0), 4)
                await streams.until(lambda: (ring := streams.hub.ring(("a", 0))) is not None and ring.end == 10)
                client.resume_writing()
                gap = await answer.message()

                assert gap is not None and gap.kind == "gap"
                assert (gap.value["asked"], gap.value["earliest"], gap.value["lost"]) == (0, 4, 4)
                assert await answer.ids(6) == ["4", "5", "6", "7", "8", "9"]

    asyncio.run(scene())


def test_a_topic_that_is_made_again_under_way_is_told_and_read_from_its_beginning() -> None:
    async def scene() -> None:
        log = filled()
        async with running(log) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            log.recreate(("a", 0))
            gap = await answer.message()
            assert gap is not None
            log.append(name="again")

            assert (gap.kind, gap.value["asked"], gap.value["latest"]) == ("gap", 10, 0)
            assert await answer.ids(1) == ["again"]

    asyncio.run(scene())


def test_lines_of_json_tell_a_gap_as_well() -> None:
    async def scene() -> None:
        log = filled()
        log.retain(("a", 0), 8)
        target = "/v2/stream/a?on_gap=earliest&poll=1"
        async with (
            running(log) as streams,
            await streams.get(target, Last_Event_ID=last_id(2), Accept="application/json") as answer,
        ):
            lines = await answer.lines()

            assert lines[0]["gap"]["lost"] == 6
            assert [one["meta"]["id"] for one in lines[1:]] == ["8", "9"]

    asyncio.run(scene())


def test_a_source_that_is_away_is_answered_503_and_waited_for_under_way() -> None:
    async def scene() -> None:
        log = filled()
        async with running(log, limits={"ring_events": 2}) as streams:
            waiting = await streams.get("/v2/stream/a")
            async with waiting:
                await waiting.opened()
                log.is_away = True
                async with await streams.get("/v2/stream/a?since=earliest") as answer:
                    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                (client,) = streams.hub.clients
                client.pause_writing()
                for number in range(10, 20):
                    log.append(name=str(number))
                await streams.until(lambda: (ring := streams.hub.ring(("a", 0))) is not None and ring.end == 20)
                client.resume_writing()
                await streams.until(lambda: streams.counts.source_failures >= 2)
                log.is_away = False

                assert await waiting.ids(10) == [str(number) for number in range(10, 20)]

    asyncio.run(scene())
