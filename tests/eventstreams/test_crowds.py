"""Many clients: limits count them, slow clients lose nothing and do not delay others, frozen ones are cut off."""

from __future__ import annotations

import asyncio
import socket

import pytest

from eventstreams.flow.group import PIECE_BYTES
from eventstreams.web.admission import Admission, AdmissionMemory
from server.shared.scoreboard import Scoreboard
from tests.eventstreams.harness import Answer, Log, running


def test_an_address_may_have_so_many_streams_over_all_workers() -> None:
    board, memory = Scoreboard(4), AdmissionMemory(4)
    rows = [board.claim(slot, 1) for slot in range(3)]
    workers = [Admission(memory, row, 10, 3) for row in rows if row is not None]

    assert [workers[at % 3].admit("192.0.2.1") for at in range(4)] == [None, None, None, "address"]
    assert workers[1].admit("192.0.2.2") is None
    workers[0].release("192.0.2.1")
    assert workers[2].admit("192.0.2.1") is None
    assert workers[1].total() == 4


def test_all_workers_together_have_so_many_streams() -> None:
    board, memory = Scoreboard(4), AdmissionMemory(4)
    rows = [board.claim(slot, 1) for slot in range(2)]
    workers = [Admission(memory, row, 4, 0) for row in rows if row is not None]

    assert [workers[at % 2].admit(f"192.0.2.{at}") for at in range(5)] == [None] * 4 + ["full"]


def test_the_streams_of_a_worker_that_died_count_no_more() -> None:
    board, memory = Scoreboard(4), AdmissionMemory(4)
    first, second = board.claim(0, 1), board.claim(1, 1)
    assert first is not None and second is not None
    dying, living = Admission(memory, first, 2, 1), Admission(memory, second, 2, 1)
    assert dying.admit("192.0.2.1") is None
    board.release(first)

    assert living.admit("192.0.2.1") is None
    again = board.claim(0, 1)
    assert again is not None
    assert Admission(memory, again, 2, 1).total() == 1


def test_a_client_over_its_limit_is_told_when_to_return() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1}), limits={"max_clients_per_address": 2}) as streams:
            answers = [await streams.get("/v2/stream/a") for _ in range(3)]
            body = await answers[2].body()

            assert [answer.status for answer in answers] == [200, 200, 429]
            assert (answers[2].headers["retry-after"], body["type"]) == ("5", "too_many_requests")
            for answer in answers:
                answer.close()

    asyncio.run(scene())


def test_a_browser_that_finds_the_server_full_is_asked_to_wait_instead_of_giving_up() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1}), limits={"max_clients": 1}) as streams, await streams.get("/v2/stream/a"):
            async with await streams.get("/v2/stream/a") as answer:
                assert answer.status == 503
            headers = {"Accept": "text/event-stream", "Sec_Fetch_Mode": "cors"}
            async with await streams.get("/v2/stream/a", **headers) as answer:
                body = await answer._reader.readexactly(int(answer.headers["content-length"]))
                assert (answer.status, body) == (200, b"retry: 30000\n\n")

    asyncio.run(scene())


async def frozen(port: int, target: str) -> socket.socket:
    """Return a client that asks and never reads."""
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def test_frozen_clients_hold_little_and_others_get_everything() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log, limits={"max_clients_per_address": 0}) as streams:
            clients = [await frozen(streams.port, "/v2/stream/a") for _ in range(20)]
            async with await streams.get("/v2/stream/a") as answer:
                await answer.opened()
                await streams.until(lambda: streams.counts.live == 21)
                for number in range(400):
                    log.append(name=str(number), text="x" * 20_000)
                assert await answer.ids(400) == [str(number) for number in range(400)]
                held = [
                    client._transport.get_write_buffer_size() for client in streams.hub.clients if client.group is None
                ]

                assert len(held) == 20
                assert max(held) <= 3 * PIECE_BYTES + 2 * 20_200
            for client in clients:
                client.close()

    asyncio.run(scene())


def test_a_frozen_client_is_cut_off_and_counted() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log, limits={"write_stall_s": 0.5}) as streams:
            client = await frozen(streams.port, "/v2/stream/a")
            await streams.until(lambda: streams.counts.live == 1)
            while streams.counts.live:
                log.append(text="x" * 20_000)
                await asyncio.sleep(0)
            await streams.until(lambda: streams.counts.ends["stalled"] == 1)

            assert streams.admission.total() == 0
            client.close()

    asyncio.run(scene())


@pytest.mark.parametrize("ring_events", [3, 10_000])
def test_a_slow_client_gets_every_event_though_it_was_behind(ring_events: int) -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log, limits={"ring_events": ring_events}) as streams:
            fast, slow = await streams.get("/v2/stream/a"), await streams.get("/v2/stream/a")
            await fast.opened()
            await slow.opened()
            for number in range(2_000):
                log.append(name=str(number), text="x" * 4_000)
            expected = [str(number) for number in range(2_000)]
            assert await fast.ids(2_000) == expected
            assert await slow.ids(2_000) == expected
            await streams.until(lambda: streams.counts.live == 2)
            log.append(name="last")

            assert [await one.ids(1) for one in (fast, slow)] == [["last"], ["last"]]
            fast.close()
            slow.close()

    asyncio.run(scene())


def test_live_clients_need_no_reader() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log, limits={"max_clients_per_address": 0}) as streams:
            answers: list[Answer] = [await streams.get("/v2/stream/a") for _ in range(50)]
            for answer in answers:
                await answer.opened()
            log.append(name="0")
            for answer in answers:
                assert await answer.ids(1) == ["0"]

            assert (streams.log.reads, streams.pool.jobs) == (0, 1)
            for answer in answers:
                answer.close()

    asyncio.run(scene())


def test_readers_are_bounded_and_shared_by_all_that_are_behind() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        for number in range(3_000):
            log.append(name=str(number))
        settings = {"readers": 2, "limits": {"max_clients_per_address": 0, "ring_events": 10}}
        async with running(log, **settings) as streams:
            answers = [await streams.get("/v2/stream/a?since=earliest") for _ in range(12)]
            found = await asyncio.gather(*(answer.ids(3_000) for answer in answers))

            assert all(ids == [str(number) for number in range(3_000)] for ids in found)
            assert len(streams.pool._idle) <= 2
            for answer in answers:
                answer.close()

    asyncio.run(scene())


def test_streams_that_change_end_and_others_go_on() -> None:
    from tests.eventstreams.harness import STREAMS, public

    async def scene() -> None:
        log = Log({"a": 1, "b": 1})
        async with running(log) as streams:
            changed, same = await streams.get("/v2/stream/a"), await streams.get("/v2/stream/b")
            await changed.opened()
            await same.opened()
            hidden = STREAMS.replace("  a: {schema_title: web/page_view}\n", "  c: {schema_title: web/page_view}\n")
            streams.hub.use(public(hidden))
            (end,) = await changed.rest()
            log.append("b", name="1")

            assert (end.kind, end.value["type"]) == ("error", "changed")
            assert await same.ids(1) == ["1"]
            async with await streams.get("/v2/stream/a") as answer:
                assert answer.status == 400
            same.close()

    asyncio.run(scene())
