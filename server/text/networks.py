"""Networks as an operator writes them, and whether an address of a client is in one of them.

Place: config.rules, config.checks.auth_rules, catalog.allowed_auth check settings with it; http.around.client_address,
auth.guard → HERE.
Rules: a client that arrives as ``::ffff:10.0.0.1`` is compared as ``10.0.0.1``, so an IPv4-mapped network (RFC 4291
section 2.5.5.2) is the IPv4 network that it maps. A text that could never match, or not as intended, is refused: bits
after the prefix, and a zone, since clients are compared without theirs (RFC 4007 section 11: zones are local to a
host). An address is compared once, and the answer is cached, in bounded number.
Not here: addresses in headers (http.around.client_address).
"""

# hot path

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_CACHED: Final = 8_192
HINT: Final = "write an address or a network: 10.0.0.0/8, fd00::/8"
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


class Networks:
    """Networks, as ``10.0.0.0/8`` or ``fd00::/8``, and single addresses."""

    __slots__ = ("_cache", "_has_unix", "_networks")

    def __init__(self, texts: Iterable[str], *, has_unix: bool = False) -> None:
        """Read the networks. ``has_unix``: where there are any, clients of Unix sockets are in them. Raises ValueError
        for a text that is none."""
        self._networks = [network(text) for text in texts]
        self._has_unix = has_unix and bool(self._networks)
        self._cache: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: str) -> bool:
        """Whether an address is in one of the networks. It must be normalised, or "" for a Unix socket."""
        found = self._cache.get(address)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            found = self._cache[address] = self._look_up(address)
        return found

    def _look_up(self, address: str) -> bool:
        if not address:
            return self._has_unix
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)


def network(text: str) -> Network:
    """Return the network that ``text`` names. Raises ValueError with the reason if it names none."""
    address, slash, prefix = text.partition("/")
    if "%" in address:
        bare = address.partition("%")[0]
        raise ValueError(
            f"{text!r} has a zone, but client addresses are compared without one: write {bare}{slash}{prefix}"
        )
    found = ipaddress.ip_network(text, strict=False)
    if found.network_address != ipaddress.ip_address(address):
        raise ValueError(f"{text!r} has host bits set: the network is {_ipv4(found)}, the address is {address}")
    return _ipv4(found)


def _ipv4(found: Network) -> Network:
    """Return the IPv4 network that an IPv6 one maps; any other network unchanged."""
    if not isinstance(found, ipaddress.IPv6Network) or not found.subnet_of(_MAPPED):
        return found
    mapped = found.network_address.ipv4_mapped
    return ipaddress.IPv4Network((str(mapped), found.prefixlen - _MAPPED.prefixlen))
