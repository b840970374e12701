"""Networks whose clients may write because of their address.

Place: auth.guard → HERE.
Rule: an address is compared once, and the answer is cached, in bounded number.
Not here: how networks are written (server.text.networks), which address a request comes from
(http.around.client_address, which worker binds to this).
"""

# hot path

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from server.text.networks import network

MAX_CACHED: Final = 4_096


class Networks:
    """Networks, as ``10.0.0.0/8`` or ``fd00::/8``, and single addresses."""

    __slots__ = ("_cache", "_networks")

    def __init__(self, texts: Iterable[str]) -> None:
        """Read the networks. Raises ValueError for a text that is none."""
        self._networks = [network(text) for text in texts]
        self._cache: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        """Whether an address is in one of the networks. It must be normalised, or "" for a Unix socket, which is in no
        network."""
        found = self._cache.get(address)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            found = self._cache[address] = self._look_up(address)
        return found

    def _look_up(self, address: str) -> bool:
        if not address:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)
