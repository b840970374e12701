"""Access to the admin address: accepted host names, number of connections, deadlines.

Place: admin.process puts it before aiohttp → HERE → admin.pages.
Rules:
1. A request for an unknown host name is refused. Otherwise a page of another site whose name was made to resolve to
this address (DNS rebinding) could read stacks and set the log's level, because the browser takes both for one site.
Addresses, ``localhost`` and names without a dot cannot belong to such a site.
2. aiohttp waits without a limit for the first request of a connection and for the rest of a head or a body: here each
has its deadline from ``http.limits``. Above MAX_CONNECTIONS the connection with the least time left is closed.
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

MAX_CONNECTIONS: Final = 512  # For monitoring, probes, people, and tests that wait for events.
TICK_S: Final = 0.25
# The client has gone, or sent bytes that are not HTTP or do not match their Content-Encoding.
_OF_CLIENTS: Final = (ConnectionError, HttpProcessingError, web.RequestPayloadError)
_limited: Final = Limited(logging.getLogger("admin"))
_HOST: Final = re.compile(r"\[([0-9a-f:.]+)\](?::\d*)?|([a-z0-9._-]+)(?::\d*)?")


class AllowedHosts:
    """The host names of the address. ``listen`` is ``admin.listen``; in ``hosts``, ``*.a.example`` stands for all names
    below it."""

    def __init__(self, hosts: Iterable[str], listen: str) -> None:
        own = (socket.gethostname(), listen.rpartition(":")[0])
        names = [host.lower().rstrip(".") for host in (*hosts, *own) if host]
        self._names = {name for name in names if not name.startswith("*.")}
        self._suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    def are_named(self, host: str) -> bool:
        """Whether a Host header names this address (RFC 9110 section 7.2: a name or an address, and a port)."""
        found = _HOST.fullmatch(host.strip().lower())
        if found is None:
            return False
        name = (found[1] or found[2]).rstrip(".")
        # RFC 6761 section 6.3: localhost and all names below it are this host.
        if name in self._names or name == "localhost" or name.endswith((".localhost", *self._suffixes)):
            return True
        # A public name has a dot (ICANN prohibits others): a name without one belongs to this network, as in a compose
        # file.
        return bool(name) and ("." not in name or _is_address(name)) if found[1] is None else _is_address(name)


class AdminConnection(web.RequestHandler):
    """One connection. ``deadline`` is the time at which it is closed unless something happens before."""

    __slots__ = ("_door", "_is_idle", "deadline", "is_served")

    def __init__(self, door: AdminConnections, manager: web.Server) -> None:
        # None switches off the log of requests, as in web.AppRunner; its type does not say so.
        super().__init__(manager, loop=asyncio.get_running_loop(), access_log=cast(Any, None))
        self._door = door
        self._is_idle = False
        self.is_served = False
        self.deadline = door.after(door.limits.head_s)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the connection."""
        super().connection_made(transport)
        self._door.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Remove the connection."""
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle bytes: from the first one on, a head has its deadline."""
        if self._is_idle:
            self._is_idle = False
            self.deadline = self._door.after(self._door.limits.head_s)
        super().data_received(data)

    def log_exception(self, *_: Any, exc_info: BaseException | None = None, **__: Any) -> None:
        """Log an exception that aiohttp has caught: a client that has gone, or a bug. aiohttp itself would write a line
        with a stack and the client's address for each."""
        error = exc_info if isinstance(exc_info, BaseException) else sys.exc_info()[1]
        if error is not None and not isinstance(error, _OF_CLIENTS):
            stack = "".join(traceback.format_exception(error)).rstrip()
            _limited.warning("request", "a request to the admin address failed\n%s", stack)

    def begin(self) -> None:
        """Note that a request is being served."""
        self.is_served = True
        self.deadline = self._door.after(self._door.limits.answer_s)

    def end(self) -> None:
        """Note that the request has been answered."""
        self.is_served = False
        self._is_idle = True
        self.deadline = self._door.after(self._door.limits.idle_s)

    def cut(self) -> None:
        """Close the connection at once."""
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
        """Return the instant this many seconds from now."""
        return self._loop.time() + seconds

    def enter(self, guest: AdminConnection) -> None:
        """Add a connection. When there are too many, one that is not being served is closed, or this one."""
        self._guests.add(guest)
        if len(self._guests) > MAX_CONNECTIONS:
            waiting = [each for each in self._guests if not each.is_served and each is not guest]
            goes = min(waiting, key=lambda each: each.deadline, default=guest)
            self._guests.discard(goes)
            goes.cut()

    def leave(self, guest: AdminConnection) -> None:
        """Remove a connection."""
        self._guests.discard(guest)

    def look(self) -> None:
        """Close connections whose deadline has passed. Called every TICK_S."""
        now = self._loop.time()
        for guest in [each for each in self._guests if each.deadline <= now]:
            guest.cut()

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Refuse a request for another host; keep the time of the others."""
        hosts = request.headers.getall("Host", [])  # None: HTTP/1.0, which no browser uses.
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
    """The request is for another host."""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
