"""A stream may have an end: at what is there now, at a time, after a number of events. Its end says where to go on."""

from __future__ import annotations

import asyncio
import gzip
import json
import time

from tests.eventstreams.harness import Log, running


def filled() -> Log:
    log = Log({"a": 2})
    for number in range(20):
        log.append("a", number % 2, name=str(number), ms=1000 * number)
    return log


def test_a_poll_returns_what_is_there_and_the_next_one_what_came_since() -> None:
    async def scene() -> None:
        log = filled()
        async with running(log) as streams:
            async with await streams.get("/v2/stream/a?since=earliest&poll=1", Accept="application/json") as answer:
                first = await answer.lines()
            log.append("a", 1, name="new")
            last_id = answer.headers["last-event-id"]
            async with await streams.get("/v2/stream/a?poll=1", Last_Event_ID=last_id) as answer:
                second = await answer.rest()
            async with await streams.get(
                "/v2/stream/a?poll=1", Last_Event_ID=answer.trailers["last-event-id"]
            ) as answer:
                third = await answer.rest()

        assert {one["meta"]["id"] for one in first} == {str(number) for number in range(20)}
        assert ([one.id for one in second], third) == (["new"], [])

    asyncio.run(scene())


def test_limit_ends_a_stream_after_so_many_events_and_the_id_goes_on_there() -> None:
    async def scene() -> None:
        async with running(filled()) as streams:
            got: list[str] = []
            query = "?since=earliest&limit=7"
            headers: dict[str, str] = {}
            while len(got) < 20:
                async with await streams.get(f"/v2/stream/a{query}&poll=1", **headers) as answer:
                    messages = await answer.rest()
                got += [one.id for one in messages]
                query, headers = "?limit=7", {"Last_Event_ID": answer.trailers["last-event-id"]}
                assert len(messages) == 7 or len(got) == 20

        assert sorted(got, key=int) == [str(number) for number in range(20)]

    asyncio.run(scene())


def test_limit_counts_events_that_are_still_to_come() -> None:
    async def scene() -> None:
        log = filled()
        async with running(log) as streams, await streams.get("/v2/stream/a?limit=2") as answer:
            await answer.opened()
            for number in range(5):
                log.append("a", 0, name=f"new {number}")

            assert [one.id for one in await answer.rest()] == ["new 0", "new 1"]

    asyncio.run(scene())


def test_until_in_the_past_ends_before_the_first_event_of_that_time() -> None:
    async def scene() -> None:
        async with (
            running(filled()) as streams,
            await streams.get("/v2/stream/a?since=5000&until=9000") as answer,
        ):
            assert sorted(int(one.id) for one in await answer.rest()) == [5, 6, 7, 8]
            assert answer.comments[-1] == "end done"

    asyncio.run(scene())


def test_until_in_the_future_goes_on_until_then() -> None:
    async def scene() -> None:
        log = filled()
        until_ms = int(time.time() * 1000) + 1500
        async with running(log) as streams, await streams.get(f"/v2/stream/a?until={until_ms}") as answer:
            await answer.opened()
            log.append("a", 0, name="new")

            assert [one.id for one in await answer.rest()] == ["new"]
            assert answer.comments[-1] == "end done"

    asyncio.run(scene())


def test_a_browser_that_returns_after_the_end_is_told_to_stay_away() -> None:
    async def scene() -> None:
        async with running(filled()) as streams:
            async with await streams.get("/v2/stream/a?since=earliest&until=9000") as answer:
                await answer.rest()
            last_id = answer.last_id
            async with await streams.get("/v2/stream/a?since=earliest&until=9000", Last_Event_ID=last_id) as answer:
                assert answer.status == 204

    asyncio.run(scene())


def test_a_compressed_stream_is_one_whole_gzip_body() -> None:
    async def scene() -> None:
        log = filled()
        async with running(log) as streams:
            for query in ("since=earliest&poll=1", "since=earliest&limit=21"):
                reader, writer = await asyncio.open_connection("127.0.0.1", streams.port)
                request = f"GET /v2/stream/a?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                writer.write(request.encode() + b"Accept-Encoding: br, gzip;q=0.5\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                if "limit" in query:
                    log.append("a", 0, name="live")
                plain = gzip.decompress(await reader.read())
                writer.close()

                assert b"Content-Encoding: gzip" in head
                assert plain.count(b"\ndata: ") == (21 if "limit" in query else 20)

    asyncio.run(scene())


def test_compressed_events_arrive_one_by_one_and_members_of_a_group_share_them() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log) as streams:
            answers = [await streams.get("/v2/stream/a", Accept_Encoding="gzip, deflate, br, zstd") for _ in range(3)]
            for answer in answers:
                await answer.opened()
            await streams.until(lambda: streams.counts.live == 3)
            for number in range(5):
                log.append(name=str(number))
                for answer in answers:
                    assert answer.headers["content-encoding"] == "gzip"
                    assert await answer.ids(1) == [str(number)]
            for answer in answers:
                answer.close()

    asyncio.run(scene())


def test_zstd_is_used_where_it_alone_is_accepted() -> None:
    from backports import zstd

    async def scene() -> None:
        async with (
            running(filled()) as streams,
            await streams.get("/v2/stream/a?since=earliest&poll=1", Accept_Encoding="gzip;q=0, zstd") as answer,
        ):
            body = b""
            while piece := await answer.piece():
                body += piece

            assert answer.headers["content-encoding"] == "zstd"
            assert zstd.decompress(body).count(b"\ndata: ") == 20

    asyncio.run(scene())


def test_the_last_events_of_a_stream_come_as_one_document() -> None:
    async def scene() -> None:
        log = filled()
        log.append("a", 0, name="canary", ms=90_000, meta={"domain": "canary"})
        async with running(log) as streams:
            async with await streams.get("/v2/stream/a/latest?n=3") as answer:
                body = await answer.body()
            async with await streams.get("/v2/stream/a/latest?n=1000") as answer:
                assert answer.status == 400
            async with await streams.get("/v2/stream/secret/latest") as answer:
                assert answer.status == 400

        assert [one["meta"]["id"] for one in body["events"]] == ["17", "18", "19"]
        assert json.loads(body["last_event_id"])[0]["topic"] == "a"

    asyncio.run(scene())


def test_the_list_has_the_public_streams_with_what_is_stored() -> None:
    async def scene() -> None:
        log = filled()
        log.retain(("a", 0), 2)
        log.retain(("a", 1), 2)
        async with running(log) as streams, await streams.get("/v2/streams") as answer:
            listed = {one["stream"]: one for one in (await answer.body())["streams"]}

            assert set(listed) == {"a", "b", "two.dcs"}
            assert (listed["a"]["partitions"], listed["a"]["stored_at_most"]) == (2, 16)
            assert listed["a"]["earliest_ms"] == 4000
            assert listed["a"]["schema_uri"] == "/web/page_view/1.1.0"
            assert listed["a"]["example"]["page"] == "/home"
            assert listed["b"]["partitions"] == 0
            assert listed["a"]["events_per_s_at_most"] == 0

    asyncio.run(scene())


def test_the_list_has_the_rate_of_the_last_hour() -> None:
    async def scene() -> None:
        log, now_ms = filled(), int(time.time() * 1000)
        for partition in range(2):
            for _ in range(18):
                log.append("a", partition, ms=now_ms)
        async with running(log) as streams, await streams.get("/v2/streams") as answer:
            rates = {one["stream"]: one["events_per_s_at_most"] for one in (await answer.body())["streams"]}

        assert rates == {"a": 0.01, "b": 0, "two.dcs": 0}

    asyncio.run(scene())
