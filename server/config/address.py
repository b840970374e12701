"""Addresses to listen on: ``host:port``, ``[v6]:port``, ``unix:path``.

Place: beside config.rules; the master binds what is parsed here.
Rule: a host is a literal address or a name without a port of its own; 0 takes any free port.
Not here: binding (master.sockets).
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_MAX = 65_535
_UNIX_PATH_MAX_BYTES = 107  # sun_path is 108 bytes with its end (unix(7)).
_EVERY_HOST = ("0.0.0.0", "::")


class Address(Struct, frozen=True):
    """Either ``path`` of a Unix socket, or ``host`` and ``port``."""

    host: str = ""
    port: int = 0
    path: str = ""


def parse(text: str) -> Address:
    """Raises ValueError with the reason."""
    if text.startswith("unix:"):
        path = text[len("unix:") :]
        if not path or len(path.encode()) > _UNIX_PATH_MAX_BYTES:
            raise ValueError(f"the path of a Unix socket has 1 to {_UNIX_PATH_MAX_BYTES} bytes")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > _PORT_MAX:
        raise ValueError(f"it must end in :port, a number from 0 to {_PORT_MAX}")
    if host.startswith("[") and host.endswith("]"):
        try:
            return Address(str(ipaddress.IPv6Address(host[1:-1])), int(port))
        except ValueError:
            raise ValueError(f"{host} is not an IPv6 address in brackets") from None
    if ":" in host:
        raise ValueError(f"an IPv6 address is written in brackets: [{host}]:{port}")
    return Address(_host(host), int(port))


def _host(host: str) -> str:
    if re.fullmatch(r"[0-9.]+", host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(f"{host} is not an IPv4 address") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is not a host; every interface is 0.0.0.0 or [::]")
    return host


def overlap(one: Address, other: Address) -> bool:
    """Whether both cannot be bound at a time. Port 0 is never in the way."""
    if one.path or other.path:
        return one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    return one.host == other.host or any(host in _EVERY_HOST for host in (one.host, other.host))
