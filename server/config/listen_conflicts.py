"""Whether two addresses to listen on are in each other's way.

Place: beside config.rules; what an address may look like is the master's word, who binds it.
Rule: only what certainly cannot be bound together overlaps; port 0 takes any free port and never does.
Not here: the grammar (config.addresses), binding (master.sockets).
"""

from __future__ import annotations

from server.config.addresses import TcpAddress, UnixAddress

Address = TcpAddress | UnixAddress
_EVERY_HOST = ("", "0.0.0.0", "::")


def overlap(one: Address, other: Address) -> bool:
    """Whether both cannot be bound at a time."""
    if isinstance(one, UnixAddress) or isinstance(other, UnixAddress):
        return isinstance(one, UnixAddress) and isinstance(other, UnixAddress) and one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    return one.host == other.host or one.host in _EVERY_HOST or other.host in _EVERY_HOST
