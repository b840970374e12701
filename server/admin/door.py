"""Who may speak to the admin address, and for how long: names that it goes by, connections, deadlines.

Place: admin.process puts it before aiohttp → HERE → admin.pages.
Rules:
1. A request for a name that is not ours is refused: a page of another site whose name was made to lead here (DNS
   rebinding) would else read stacks and set the log's level, for the browser takes both for one site. Addresses,
   ``localhost`` and names without a dot cannot be such a site's.
2. aiohttp waits for ever for the first request of a connection and for the rest of a head or a body: here each has the
   deadline that ``http.limits`` has for it. Above MAX_CONNECTIONS the one that has least time left makes room.
Not here: what is served (admin.pages); the public listener (server.http).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from server.log import Limited

if TYPE_CHECKING:
    from server.config.limit_settings import Limits

MAX_CONNECTIONS: Final = 256  # Of monitoring, probes, and people who look.
TICK_S: Final = 0.25
# The client has gone, or sent what is no HTTP or not what its Content-Encoding says.
_OF_CLIENTS: Final = (ConnectionError, HttpProcessingError, web.RequestPayloadError)
_limited: Final = Limited(logging.getLogger("admin"))
_HOST: Final = re.compile(r"\[([0-9a-f:.]+)\](?::\d*)?|([a-z0-9._-]+)(?::\d*)?")


class AllowedHosts:
    """What the address goes by. ``listen`` is ``admin.listen``; of ``hosts``, ``*.a.example`` are all names below."""

    def __init__(self, hosts: Iterable[str], listen: str) -> None:
        own = (socket.gethostname(), listen.rpartition(":")[0])
        names = [host.lower().rstrip(".") for host in (*hosts, *own) if host]
        self._names = {name for name in names if not name.startswith("*.")}
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    def are_named(self, host: str) -> bool:
        """Whether a Host header names us (RFC 9110 section 7.2: a name or an address, and a port)."""
        found = _HOST.fullmatch(host.strip().lower())
        if found is None:
            return False
        name = (found[1] or found[2]).rstrip(".")
        # RFC 6761 section 6.3: localhost and what is below it is this host.
        if name in self._names or name == "localhost" or name.endswith((".localhost", *self._suffixes)):
            return True
        # A public name has a dot (ICANN prohibits others): without one it is of this network, as in a compose file.
        return bool(name) and ("." not in name or _is_address(name)) if found[1] is None else _is_address(name)


class AdminConnection(web.RequestHandler):
    """One connection. ``deadline`` is when it ends unless something else comes before."""

    __slots__ = ("_door", "_is_idle", "deadline", "is_served")

    def __init__(self, door: AdminConnections, manager: web.Server) -> None:
        # None: no log of requests, as web.AppRunner has it; its type does not say so.
        super().__init__(manager, loop=asyncio.get_running_loop(), access_log=cast(Any, None))
        self._door = door
        self._is_idle = False
        self.is_served = False
        self.deadline = door.after(door.limits.head_s)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        super().connection_made(transport)
        self._door.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It has gone."""
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """It sent something: from the first byte on, a head has its time."""
        if self._is_idle:
            self._is_idle = False
            self.deadline = self._door.after(self._door.limits.head_s)
        super().data_received(data)

    def log_exception(self, *_: Any, **__: Any) -> None:
        """aiohttp calls this while it handles what it caught: a client that has gone, or a bug. It would write a line
        with a stack and the client's address for each."""
        error = sys.exc_info()[1]
        if not isinstance(error, _OF_CLIENTS):
            _limited.warning("request", "a request to the admin address failed\n%s", traceback.format_exc().rstrip())

    def begin(self) -> None:
        """A request is being served."""
        self.is_served = True
        self.deadline = self._door.after(self._door.limits.answer_s)

    def end(self) -> None:
        """It is answered."""
        self.is_served = False
        self._is_idle = True
        self.deadline = self._door.after(self._door.limits.idle_s)

    def cut(self) -> None:
        """Be gone now."""
        if self.transport is not None:
            self.transport.abort()


class AdminConnections:
    """All connections of the admin process."""

    def __init__(self, limits: Limits, names: AllowedHosts) -> None:
        self.limits = limits
        self._names = names
        self._loop = asyncio.get_running_loop()
        self._guests: set[AdminConnection] = set()

    def after(self, seconds: float) -> float:
        """The instant so many seconds from now."""
        return self._loop.time() + seconds

    def enter(self, guest: AdminConnection) -> None:
        """One more; when they are too many, one that is not being served makes room, or this one goes."""
        self._guests.add(guest)
        if len(self._guests) > MAX_CONNECTIONS:
            waiting = [each for each in self._guests if not each.is_served and each is not guest]
            goes = min(waiting, key=lambda each: each.deadline, default=guest)
            self._guests.discard(goes)
            goes.cut()

    def leave(self, guest: AdminConnection) -> None:
        """One less."""
        self._guests.discard(guest)

    def look(self) -> None:
        """Cut off those whose time is over. Called every TICK_S."""
        now = self._loop.time()
        for guest in [each for each in self._guests if each.deadline <= now]:
            guest.cut()

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuse a request for another host; keep the time of the others."""
        hosts = request.headers.getall("Host", [])  # None: HTTP/1.0, which no browser speaks.
        if not all(self._names.are_named(host) for host in hosts):
            raise MisdirectedError
        guest = request.protocol
        assert isinstance(guest, AdminConnection)
        guest.begin()
        try:
            return await handler(request)
        finally:
            guest.end()


class MisdirectedError(Exception):
    """The request is for a host that we are not."""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
