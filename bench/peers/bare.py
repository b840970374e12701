"""The floor: uvloop and httptools read each request whole and answer 204. Nothing else.

Place: `python -m bench.peers.bare PORT [PROCESSES]`; what a Python server on these parts cannot be cheaper than, and
what more processes cost that do nothing else.
Rule: as plain as the parts allow, and as fast: one write per answer, no task, no routing.
Not here: limits, errors, JSON.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import cast

import httptools
import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection. httptools calls ``on_message_complete``."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it to answer on."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer."""
        self._transport.write(ANSWER)


async def main(parent: int) -> None:
    """Serve until killed, or until ``parent`` ends, the other end of a pipe."""
    loop = asyncio.get_running_loop()
    loop.add_reader(parent, sys.exit)
    server = await loop.create_server(Connection, "127.0.0.1", int(sys.argv[1]), backlog=1024, reuse_port=True)
    await server.serve_forever()


if __name__ == "__main__":
    reader, writer = os.pipe()
    for _ in range(int(sys.argv[2]) - 1 if sys.argv[2:] else 0):
        if not os.fork():
            os.close(writer)
            break
    uvloop.run(main(reader))
