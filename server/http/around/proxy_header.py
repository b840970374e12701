"""Read the header of the PROXY protocol, version 2, in which a proxy names its client before the first request.

Place: http.listener → HERE → http.protocol, which takes the connection over once the header is read.
Rules: when this protocol is switched on, every connection begins with the header, and it is believed from a trusted
proxy alone. Anything else ends the connection without an answer: the other end is misconfigured or lies. The header is
limited in bytes and in time. Version 1, a line of text, is not supported.
Source: haproxy.org/download/2.6/doc/proxy-protocol.txt, section 2.2.
Not here: X-Forwarded-For and Forwarded (http.around.client_address), which may lead on from the address named here.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Final, cast

from server.http.around.client_address import normalised
from server.http.protocol import Connection, peer_of
from server.http.reader import HEAD

if TYPE_CHECKING:
    from server.http.server import HttpServer
    from server.http.wheel import Timed
    from server.text.networks import Networks

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
FIXED_BYTES: Final = 16
MAX_BYTES: Final = 2048  # Includes extensions: names of TLS and of cloud networks take a few hundred bytes.
_VERSION: Final = 0x20
_LOCAL, _PROXY = 0, 1  # The proxy connects for itself, such as for a health check; or for a client.
_UNKNOWN, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESSES_BYTES: Final = {_UNKNOWN: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}


class HeaderError(Exception):
    """The bytes are not a header of version 2, or not one that is supported."""


def parse(received: bytes) -> tuple[int, str] | None:
    """Return the length of the header and the client's address, "" if it names none; None: the header is incomplete.
    Raises HeaderError as soon as the bytes cannot become a header."""
    if not SIGNATURE.startswith(received[: len(SIGNATURE)]):
        raise HeaderError("no signature")
    if len(received) < FIXED_BYTES:
        return None
    version, family = received[12], received[13]
    size = FIXED_BYTES + int.from_bytes(received[14:16], "big")
    if version & 0xF0 != _VERSION or version & 0x0F not in (_LOCAL, _PROXY) or size > MAX_BYTES:
        raise HeaderError("another version or command, or too long")
    if version & 0x0F == _PROXY and size - FIXED_BYTES < _ADDRESSES_BYTES.get(family, MAX_BYTES):
        raise HeaderError("another family, or too short for its addresses")
    if len(received) < size:
        return None
    if version & 0x0F == _LOCAL or family in (_UNKNOWN, _UNIX):
        return size, ""
    length = 4 if family == _TCP4 else 16
    return size, str(ipaddress.ip_address(received[FIXED_BYTES : FIXED_BYTES + length]))


class ProxyHeader(asyncio.Protocol):
    """The asyncio protocol of a connection until its header is read; then ``connection`` takes over."""

    __slots__ = ("_connection", "_proxies", "_received", "_server", "_transport", "bucket", "deadline")

    def __init__(self, server: HttpServer, connection: Connection, proxies: Networks) -> None:
        self._server = server
        self._connection = connection
        self._proxies = proxies
        self._received = b""
        self._transport: asyncio.Transport
        self.bucket: set[Timed] | None = None
        self.deadline = server.deadlines[HEAD]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse the connection if there are too many, or if its peer is not a trusted proxy."""
        self._transport = cast(asyncio.Transport, transport)
        is_too_many = self._server.carry(self) > self._server.hard_max_connections
        if is_too_many:
            self._refuse("connections")
        elif (normalised(peer_of(transport)) or "") not in self._proxies:
            self._refuse("proxy_header")

    def data_received(self, received: bytes) -> None:
        """Read a part of the header; hand the connection over when it is complete."""
        self._received += received
        try:
            found = parse(self._received)
        except HeaderError:
            self._refuse("proxy_header")
            return
        if found is None:
            return
        size, address = found
        self._hand_over(address, self._received[size:])

    def _hand_over(self, address: str, rest: bytes) -> None:
        connection, transport = self._connection, self._transport
        self._server.drop(self)
        connection.peer = address
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if rest:
            connection.data_received(rest)

    def _refuse(self, kind: str) -> None:
        self._server.refused[kind] += 1
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out: the other end has disconnected, or we have closed."""
        self._server.drop(self)

    def on_deadline(self) -> None:
        """Close: the header did not come in time."""
        self._refuse("head_slow")

    def drain(self, deadline: float) -> None:
        """Wait until ``deadline`` at most: the server drains, and a header may be on its way."""
        self.deadline = min(self.deadline, deadline)
        self._server.wheel.add(self)

    def is_owed(self) -> bool:
        """False: there has been no request yet."""
        return False

    def abort(self) -> bool:
        """Close now. Returns False: nothing is cut short."""
        self._transport.abort()
        return False
