"""Answer workers that ask the fetcher for schemas, on a socket of this host.

Place: fetch.schema_fetcher, in each worker → HERE → fetch.fetched_schemas.
Rules: the socket listens before the first fork and outlives every fetcher, so an ask waits for the next one instead of
failing. The kernel chooses its name, and it has no file; processes of other users are turned away. Each line is one
JSON text, ``{"uri", "client"}`` in and ``{"uri", "outcome", "for_s"}`` out, in the order in which answers are ready.
Not here: fetching (fetch.fetched_schemas).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from server.fetch.fetched_schemas import FetchedSchemas

BACKLOG = 512
Outcome = Literal["here", "unknown_schema", "schema_unavailable", "refused"]
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid

_logger = logging.getLogger("fetcher")


class Ask(Struct, frozen=True):
    """One schema for one client of the intake."""

    uri: str
    client: str


class Told(Struct, frozen=True):
    """The outcome of an ask (fetch.fetched_schemas.Standing)."""

    uri: str
    outcome: Outcome
    for_s: float


def listening() -> socket.socket:
    """Make the socket, in the master. Workers connect to its address."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind("")  # The kernel chooses an abstract name.
    door.listen(BACKLOG)
    door.setblocking(False)
    return door


class FetchSocket:
    """Answers every worker that is connected. ``idle`` is set while none is."""

    def __init__(self, schemas: FetchedSchemas) -> None:
        self._schemas = schemas
        self.idle = asyncio.Event()
        self.idle.set()
        self._callers: set[asyncio.Task[None]] = set()
        self._asks: set[asyncio.Task[None]] = set()

    async def open(self, door: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(self._on_caller, sock=door)

    async def close(self) -> None:
        self._server.close()
        tasks = [*self._callers, *self._asks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _on_caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        self.idle.clear()
        try:
            if _uid(writer) != os.getuid():
                _logger.warning("a process of another user asked for schemas and was refused")
                return
            async for line in reader:
                self._begin(msgspec.json.decode(line, type=Ask), writer)
        except (ConnectionError, msgspec.MsgspecError) as error:
            _logger.warning("the connection of a worker that asks for schemas ended: %s", error)
        finally:
            self._callers.discard(task)
            if not self._callers:
                self.idle.set()
            writer.close()

    def _begin(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(ask, writer))
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)

    async def _answer(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        standing = await self._schemas.ask(ask.uri, ask.client)
        if not writer.is_closing():
            writer.write(msgspec.json.encode(Told(ask.uri, standing.outcome, standing.for_s)) + b"\n")


def _uid(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(credentials)[1]
    return uid
