"""How often one client address, and the holder of one key or token, may ask.

Place: http.server puts it before every handler when there is such a bound; then http.routes → HERE → the handler.
Rules: who is refused is told when to try again, and costs a look into a table: a compressed body is not undone first.
Buckets are in memory that never grows (server.timing.rate_limit). Without a bound nothing of this is on the way.
Not here: whose a request is, or that it is nobody's and so is free (http.around.client_address, auth.access).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Final

import msgspec

from server.http.problem import problem_body
from server.http.response import PROBLEM_TYPE, phrase_of
from server.timing.rate_limit import TokenBuckets

if TYPE_CHECKING:
    from server.http.around.cors import Cors
    from server.http.request import Request
    from server.http.routes import Handler, Table

_STATUS: Final = 429
_DETAIL: Final = "Your {} sends more requests than it may. Send fewer, with more events in each."


class _Share(msgspec.Struct, eq=False):
    """Of requests with one head from one peer: ``whose`` they are, and how many are taken for the next ones already."""

    whose: str
    left: int = 0


class Paced:
    """A handler behind the bound."""

    __slots__ = ("handler", "pace")

    def __init__(self, pace: RateLimit, handler: Handler) -> None:
        self.pace = pace
        self.handler = handler

    def handle(self, request: Request) -> None:
        """Hand on, or refuse."""
        # measured: bench worker --without rates, single hasty: 1.26 → 1.06; a bucket alone is 2 µs of 17.
        memo = request.memo
        share = memo.get(self.pace) if memo else None
        if share is not None and share.left:
            share.left -= 1
            self.handler(request)
        elif wait_s := self.pace.wait_s(request):
            self.pace.refuse(request, wait_s)
        else:
            self.handler(request)


def behind(handler: Handler, wrap: Callable[[Handler], Handler]) -> Handler:
    """The handler that ``wrap`` makes of ``handler``, behind the same bounds as that."""
    paced = getattr(handler, "__self__", None)
    return Paced(paced.pace, behind(paced.handler, wrap)).handle if isinstance(paced, Paced) else wrap(handler)


class RateLimit:
    """The bound, and what it is made of. ``by`` is what it goes by, "address" or "key"; ``whose`` says whose bucket a
    request is taken from, "" for nobody's; breaches are counted in ``refused``. ``is_of_head``: ``whose`` depends on
    head and peer alone, so that it is asked once for all requests that share them (``Request.memo``)."""

    __slots__ = ("_body", "_buckets", "_clock", "_cors", "_is_of_head", "_kind", "_phrase", "_refused", "_whose")

    def __init__(
        self,
        by: str,
        whose: Callable[[Request], str],
        buckets: TokenBuckets,
        clock: Callable[[], float],
        refused: dict[str, int],
        cors: Cors,
        *,
        is_of_head: bool = False,
    ) -> None:
        self._is_of_head = is_of_head
        self._kind = f"{by}_rate"
        self._whose = whose
        self._buckets = buckets
        self._clock = clock
        self._refused = refused
        self._cors = cors
        self._phrase = phrase_of(_STATUS)
        self._body = problem_body(_STATUS, _DETAIL.format(by))

    def routes(self, table: Table) -> Table:
        """The same routes behind the bound."""
        return {path: {method: self._before(one) for method, one in methods.items()} for path, methods in table.items()}

    def _before(self, handler: Handler | None) -> Handler | None:
        return None if handler is None else Paced(self, handler).handle

    def wait_s(self, request: Request) -> float:
        """0: the request may be served. Else so long until the next one of its client may."""
        memo = request.memo
        if memo is None or not self._is_of_head:
            whose = self._whose(request)
            return self._buckets.take(whose, self._clock()) if whose else 0.0
        share = memo.get(self)
        if share is None:
            share = memo[self] = _Share(self._whose(request))
        if not share.whose:
            return 0.0
        now = self._clock()
        wait_s = self._buckets.take(share.whose, now)
        if not wait_s and self._buckets.ahead:
            share.left = self._buckets.take_ahead(share.whose, now)
        return wait_s

    def refuse(self, request: Request, wait_s: float) -> None:
        """Say when to try again."""
        self._refused[self._kind] += 1
        self._cors.share(request)  # The handler would have done so: a page must be able to read why.
        request.refuse(_STATUS, self._phrase, self._body, PROBLEM_TYPE, b"Retry-After: %d\r\n" % ceil(wait_s))
