"""Ask the fetcher for schemas, and let the requests that need them wait.

Place: intake.receive → HERE → fetch.fetch_socket, in the fetcher's process. Runs on a worker's loop.
Rules: a schema is asked for once, however many requests wait for it; each of them continues after ``wait_s`` at the
latest, with the schemas that are there by then. While a request waits, a connection to a fetcher that died is opened
again. The number of waiting requests is limited. Other requests are not delayed.
Not here: what a request does afterwards (intake.receive).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, cast

import msgspec

from server.fetch.fetch_socket import Ask, Told
from server.log import Limited

if TYPE_CHECKING:
    from server.schemas.remote import Remote

WAITING_MAX = 1_000  # Requests of one worker; their bodies are in memory, which http.limits bounds too.
CONNECT_AGAIN_S = 0.2

_REASON = "the fetcher says so"


class Waiter:
    """One waiting request. ``go_on`` is called once, when all its schemas are settled."""

    __slots__ = ("go_on", "left")

    def __init__(self, go_on: Callable[[], None], left: set[str]) -> None:
        self.go_on = go_on
        self.left = left


def _no_request() -> None:
    """Do nothing: no request waits for this schema."""


class SchemaFetcher(asyncio.Protocol):
    """The asks of one worker. ``address`` is that of the fetcher's socket."""

    def __init__(self, remote: Remote, address: bytes, wait_s: float) -> None:
        self._remote = remote
        self._address = address
        self._wait_s = wait_s
        self._transport: asyncio.WriteTransport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiters: dict[Waiter, asyncio.TimerHandle] = {}
        self._asked: dict[str, tuple[str, set[Waiter]]] = {}
        self._unread = b""
        self._is_closed = False
        self._trouble = Limited(logging.getLogger("worker"))

    def wait(self, uris: Collection[str], client: str, go_on: Callable[[], None]) -> bool:
        """Ask for these schemas, and call ``go_on`` once all of them are settled. False: there is no waiting now, or
        no schema to wait for."""
        if not uris or self._is_closed or len(self._waiters) >= WAITING_MAX:
            return False
        waiter = Waiter(go_on, set(uris))
        self._waiters[waiter] = asyncio.get_running_loop().call_later(self._wait_s, self._let_go, waiter)
        for uri in uris:
            if uri in self._asked:
                self._asked[uri][1].add(waiter)
            else:
                self._asked[uri] = (client, {waiter})
                self._send(Ask(uri, client))
        self._connect()
        return True

    def ask(self, uri: str) -> None:
        """Ask for a schema without a request that waits for it: it is for later events."""
        self.wait((uri,), "", _no_request)

    def close(self) -> None:
        """Stop: all waiting requests continue now."""
        self._is_closed = True
        for waiter in list(self._waiters):
            self._let_go(waiter)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()

    def _send(self, ask: Ask) -> None:
        if self._transport is not None:
            self._transport.write(msgspec.json.encode(ask) + b"\n")

    def _connect(self) -> None:
        if self._transport is None and self._connecting is None and not self._is_closed:
            self._connecting = asyncio.get_running_loop().create_task(self._try_to_connect())

    async def _try_to_connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._transport is None and self._asked:
                try:
                    await self._connect_to(self._address, loop)
                except OSError as error:
                    self._trouble.warning("fetcher", "the fetcher cannot be asked for schemas: %s", error)
                    await asyncio.sleep(CONNECT_AGAIN_S)
        finally:
            self._connecting = None

    async def _connect_to(self, address: bytes, loop: asyncio.AbstractEventLoop) -> None:
        caller = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            caller.setblocking(False)
            # The connection is made at once or not at all. (uvloop itself accepts no abstract address.)
            caller.connect(address)
            await loop.create_unix_connection(lambda: self, sock=caller)
        except OSError:
            caller.close()
            raise

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for all schemas that requests wait for: an earlier fetcher may have died before it answered."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's class does not inherit from it.
        self._unread = b""
        for uri, (client, _) in self._asked.items():
            self._send(Ask(uri, client))

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        if self._asked:
            asyncio.get_running_loop().call_later(CONNECT_AGAIN_S, self._connect)

    def data_received(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._on_told(msgspec.json.decode(line, type=Told))

    def _on_told(self, told: Told) -> None:
        if told.outcome in ("unknown_schema", "schema_unavailable"):
            self._remote.note_failure(told.uri, told.outcome, _REASON, told.for_s)
        _, waiters = self._asked.pop(told.uri, ("", set()))
        for waiter in waiters:
            waiter.left.discard(told.uri)
            if not waiter.left:
                self._let_go(waiter)

    def _let_go(self, waiter: Waiter) -> None:
        self._waiters.pop(waiter).cancel()
        for uri in waiter.left:
            _, waiters = self._asked[uri]
            waiters.discard(waiter)
            if not waiters:  # The next request asks again, and finds the fetch in progress.
                del self._asked[uri]
        asyncio.get_running_loop().call_soon(waiter.go_on)  # An exception there is handled there.
