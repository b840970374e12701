"""Parse an address or a network that an operator writes into the form in which addresses of clients are compared.

Place: config.rules, config.auth_rules, catalog.allowed_auth check settings with it; http.around.client_address,
auth.networks → HERE.
Rules: a client that arrives as ``::ffff:10.0.0.1`` is compared as ``10.0.0.1``, so an IPv4-mapped network (RFC 4291
section 2.5.5.2) is the IPv4 network that it maps. A text that could never match, or not as intended, is refused: bits
after the prefix, and a zone, since clients are compared without theirs (RFC 4007 section 11: zones are local to a
host).
Not here: addresses in headers (http.around.client_address).
"""

from __future__ import annotations

import ipaddress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HINT: Final = "write an address or a network: 10.0.0.0/8, fd00::/8"
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


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
