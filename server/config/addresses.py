"""Parse the entries of ``http.listen``, each of which is one address to bind.

Place: config → HERE → master.sockets.
Rule: ``host:port`` · ``[v6]:port`` · ``:port`` (every address of the machine) · ``unix:/path`` ·
``unix:/path?mode=660`` · ``unix:@name`` (abstract). Port 0 lets the kernel choose: the real one is logged.
Not here: binding (master.sockets).
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from server.errors import SettingsError

UNIX_MODE = 0o660  # The front server shares a group with this service; other users must not use the socket.

_UNIX = re.compile(r"unix:(?P<path>/[^?\0]+|@[^?\0]+)(\?mode=0?(?P<mode>[0-7]{3}))?")
_TCP = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^\s\[\]:/]*)):(?P<port>\d{1,5})")


class TcpAddress(Struct, frozen=True):
    """A host (``""``: all of them) and a port."""

    spec: str
    host: str
    port: int


class UnixAddress(Struct, frozen=True):
    """A socket in the file system, or an abstract one when the path begins with ``@``."""

    spec: str
    path: str
    mode: int


def parse(spec: str) -> TcpAddress | UnixAddress:
    """Read one entry of ``http.listen``. Raises SettingsError."""
    if unix := _UNIX.fullmatch(spec):
        return UnixAddress(spec, unix["path"], int(unix["mode"], 8) if unix["mode"] else UNIX_MODE)
    tcp = _TCP.fullmatch(spec)
    if tcp is None or int(tcp["port"]) > 65_535:
        raise SettingsError(
            f"http.listen: {spec!r} is not an address: write host:port, [v6]:port, :port, unix:/path or unix:@name"
        )
    return TcpAddress(spec, tcp["v6"] or tcp["host"], int(tcp["port"]))


def is_reachable(address: TcpAddress | UnixAddress) -> bool:
    """Whether other hosts may reach the address. A name counts as one of another host, except localhost."""
    if isinstance(address, UnixAddress) or address.host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return True
