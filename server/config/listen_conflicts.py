"""Tell whether two addresses to listen on conflict.

Place: HERE → config.rules.
Rule: only what certainly cannot be bound together overlaps; port 0 takes any free port and never does.
Not here: the grammar (config.addresses), binding (master.sockets).
"""

from __future__ import annotations

from server.config.addresses import TcpAddress, UnixAddress

Address = TcpAddress | UnixAddress
_EVERY_HOST = ("", "0.0.0.0", "::")


def overlap(one: Address, other: Address) -> bool:
    """Whether the two addresses cannot be bound at the same time."""
    if isinstance(one, UnixAddress) or isinstance(other, UnixAddress):
        return isinstance(one, UnixAddress) and isinstance(other, UnixAddress) and one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    return one.host == other.host or one.host in _EVERY_HOST or other.host in _EVERY_HOST
