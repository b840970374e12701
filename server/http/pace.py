"""How often one client address may ask.

Place: http.server puts it before every handler when there is such a bound; then http.routes → HERE → the handler.
Rules: who is refused is told when to try again, and costs a look into a table. Addresses have buckets of a size that
never grows (server.rates); of IPv6 a whole /64 has one. Our own proxies, as far as they name no client, and whoever
comes through a Unix socket are free. Without a bound nothing of this is on the way.
Not here: whose address it is (http.client_address).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Final

from server.http.client_address import TrustedProxies, holder
from server.http.problem import problem_body
from server.http.response import PROBLEM_TYPE, phrase_of
from server.rates import Buckets

if TYPE_CHECKING:
    from server.config.limits import Limits
    from server.http.request import Request
    from server.http.routes import Handler, Table

_STATUS: Final = 429
_KIND: Final = "address_rate"
_DETAIL: Final = "Your address sends more requests than it may. Send fewer, with more events in each."


class Paced:
    """A handler behind the bound."""

    __slots__ = ("_handler", "_pace")

    def __init__(self, pace: Pace, handler: Handler) -> None:
        self._pace = pace
        self._handler = handler

    def handle(self, request: Request) -> None:
        """Hand on, or refuse."""
        wait_s = self._pace.wait_s(request)
        if wait_s:
            self._pace.refuse(request, wait_s)
        else:
            self._handler(request)


class Pace:
    """The bound, and what it is made of."""

    __slots__ = ("_address", "_body", "_buckets", "_clock", "_phrase", "_proxies", "_refused")

    def __init__(
        self,
        limits: Limits,
        address: Callable[[Request], str],
        proxies: TrustedProxies,
        clock: Callable[[], float],
        refused: dict[str, int],
    ) -> None:
        self._address = address
        self._proxies = proxies
        self._clock = clock
        self._refused = refused
        self._buckets = Buckets(limits.requests_per_s_per_address, limits.burst_per_address)
        self._phrase = phrase_of(_STATUS)
        self._body = problem_body(_STATUS, _DETAIL)

    def routes(self, table: Table) -> Table:
        """The same routes behind the bound."""
        return {path: {method: self._before(one) for method, one in methods.items()} for path, methods in table.items()}

    def _before(self, handler: Handler | None) -> Handler | None:
        return None if handler is None else Paced(self, handler).handle

    def wait_s(self, request: Request) -> float:
        """0: the request may be served. Else so long until the next one of its client may."""
        address = self._address(request)
        if not address or self._proxies.is_trusted(address):
            return 0.0
        return self._buckets.take(holder(address), self._clock())

    def refuse(self, request: Request, wait_s: float) -> None:
        """Say when to try again."""
        self._refused[_KIND] += 1
        request.refuse(_STATUS, self._phrase, self._body, PROBLEM_TYPE, b"Retry-After: %d\r\n" % ceil(wait_s))
