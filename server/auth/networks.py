"""Addresses of clients that may write because of where they are.

Place: auth.guard → HERE.
Rule: an address is compared once, and the answer remembered, in bounded number.
Not here: how networks are written (server.text.networks), whose address a request comes from
(http.around.client_address, which worker binds to this).
"""

# hot path

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from server.text.networks import network

MAX_KEPT: Final = 4_096


class Networks:
    """Networks, as ``10.0.0.0/8`` or ``fd00::/8``, and single addresses."""

    __slots__ = ("_kept", "_networks")

    def __init__(self, texts: Iterable[str]) -> None:
        """Raises ValueError when one is neither."""
        self._networks = [network(text) for text in texts]
        self._kept: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        """``address`` is normalised, or "" for a Unix socket, which is in no network."""
        found = self._kept.get(address)
        if found is None:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            found = self._kept[address] = self._look_up(address)
        return found

    def _look_up(self, address: str) -> bool:
        if not address:
            return False
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)
