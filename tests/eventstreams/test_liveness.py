"""A stream that is quiet shows that it lives, and every stream ends between two events, with its position told."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from eventstreams.worker import reap_half_open
from tests.eventstreams.harness import Log, running


def test_a_quiet_stream_sends_comments() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1}), keepalive_s=0.2) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            blocks = [await answer.block() for _ in range(3)]

            assert blocks == [b":keepalive"] * 3

    asyncio.run(scene())


def test_quiet_lines_of_json_send_blank_lines() -> None:
    async def scene() -> None:
        async with (
            running(Log({"a": 1}), keepalive_s=0.2) as streams,
            await streams.get("/v2/stream/a?format=ndjson") as answer,
        ):
            assert [await answer.piece() for _ in range(3)] == [b"\n"] * 3

    asyncio.run(scene())


@pytest.mark.parametrize("is_alone", [True, False])
def test_events_that_are_filtered_out_move_the_position_of_a_quiet_stream(is_alone: bool) -> None:
    """After a quiet hour a client returns to where it is, and not to where its last event was."""

    async def scene() -> None:
        log = Log({"a": 1})
        query = "filter=page:/x&limit=5" if is_alone else "filter=page:/x"
        async with (
            running(log, keepalive_s=0.2) as streams,
            await streams.get(f"/v2/stream/a?{query}") as answer,
        ):
            await answer.opened()
            for _ in range(7):
                log.append(page="/other")
            block = await answer.block()
            while block == b":keepalive":
                block = await answer.block()

            assert block is not None and block.startswith(b"id: ")
            assert json.loads(block[4:])[0]["offset"] == 7
            assert await answer.block() == b":keepalive"

    asyncio.run(scene())


def test_clients_are_asked_to_wait_before_they_return_not_all_as_long() -> None:
    async def scene() -> None:
        waits = set()
        async with running(Log({"a": 1}), retry_s=2.0) as streams:
            for _ in range(10):
                async with await streams.get("/v2/stream/a") as answer:
                    opening = await answer.piece()
                    waits.add(int(opening.partition(b"retry: ")[2].partition(b"\n")[0]))

        assert len(waits) > 1
        assert all(1_500 <= wait <= 2_500 for wait in waits)

    asyncio.run(scene())


def test_an_old_stream_ends_cleanly_with_its_position() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log, max_age_s=0.5) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            log.append(name="0")
            messages = await answer.rest()

            assert [one.id for one in messages] == ["0"]
            assert answer.comments[-1] == "end age"
            assert answer.trailers["last-event-id"] == messages[-1].last_id
            await streams.until(lambda: streams.counts.ends["age"] == 1)

    asyncio.run(scene())


def test_a_drain_ends_all_streams_between_two_events() -> None:
    async def scene() -> None:
        log = Log({"a": 1})
        async with running(log) as streams:
            answers = [await streams.get("/v2/stream/a") for _ in range(5)]
            for answer in answers:
                await answer.opened()
            log.append(name="0")
            loop = asyncio.get_running_loop()
            drain = asyncio.ensure_future(streams.server.drain(loop.time() + 60))
            for answer in answers:
                assert [one.id for one in await answer.rest()] == ["0"]
                assert answer.comments[-1] == "end drain"
            await drain

            assert streams.counts.ends["drain"] == 5

    asyncio.run(scene())


def test_a_client_that_closes_frees_its_place() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1}), limits={"max_clients_per_address": 1}) as streams:
            answer = await streams.get("/v2/stream/a")
            answer.close()
            await streams.until(lambda: streams.admission.total() == 0)
            async with await streams.get("/v2/stream/a") as answer:
                assert answer.status == 200

    asyncio.run(scene())


def test_a_client_that_sends_on_and_on_is_cut_off() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1})) as streams, await streams.get("/v2/stream/a") as answer:
            answer.writer.write(b"x" * 200_000)
            await streams.until(lambda: streams.counts.ends["cut"] == 1)

    asyncio.run(scene())


def test_a_connection_that_the_kernel_ends_is_counted_as_such() -> None:
    async def scene() -> None:
        async with running(Log({"a": 1})) as streams, await streams.get("/v2/stream/a") as answer:
            await answer.opened()
            (client,) = streams.hub.clients
            client.connection_lost(TimeoutError(110, "Connection timed out"))

            assert streams.counts.ends["timeout"] == 1
            assert streams.admission.total() == 0

    asyncio.run(scene())


def test_accepted_connections_are_ended_by_the_kernel_when_their_peer_is_silent() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    reap_half_open(listening, 20.0)
    client = socket.create_connection(listening.getsockname())
    accepted, _ = listening.accept()

    with listening, client, accepted:
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        idle_s, each_s, tries = (
            accepted.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle_s + each_s * tries <= 30
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) > 0
