"""Copies cross the channel whole, in order and from several writers; a reader that does not read costs no memory."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from server.console.copying import channel as channels
from server.console.copying.channel import Channel, CopyReader, CopyWriter


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=12))
def test_copies_of_any_size_arrive_whole_and_in_order(sizes: list[int]) -> None:
    async def story() -> list[bytes]:
        loop = asyncio.get_running_loop()
        channel, arrived = Channel(), list[bytes]()
        reader = CopyReader(channel, arrived.append)
        writers = [CopyWriter(channel), CopyWriter(channel)]
        for at, writer in enumerate(writers):
            # Two processes write into one socket; a loop knows a descriptor once.
            writer._pid, writer._socket = at, channel.to_console.dup()
            writer.start(loop)
        reader.start(loop)
        for number, size in enumerate(sizes):
            writers[number % 2].write(number, bytes([number]) * size)
            await asyncio.sleep(0)
        while len(arrived) < len(sizes):
            await asyncio.sleep(0)
        reader.close(loop)
        for writer in writers:
            writer._socket.close()
        channel.close()
        return arrived

    arrived = asyncio.run(story())

    assert sorted(arrived) == sorted(bytes([number]) * size for number, size in enumerate(sizes))
    for half in (0, 1):
        mine = [text[0] for text in arrived if text[0] % 2 == half]
        assert mine == sorted(mine)


def test_a_writer_drops_and_counts_when_nothing_is_read() -> None:
    async def story() -> tuple[int, int]:
        channel = Channel()
        writer = CopyWriter(channel)
        writer.start(asyncio.get_running_loop())
        written = sum(writer.write(number, b"x" * 100_000) for number in range(200))
        dropped = writer.dropped
        writer.close()
        channel.close()
        return written, dropped

    written, dropped = asyncio.run(story())

    assert written + dropped == 200
    assert 0 < written * 100_000 <= channels.MAX_WAITING_BYTES + 1_000_000
