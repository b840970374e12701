"""Rate limits: how often one client address, or the holder of one key or token, may send a request.

Place: http.server puts it before every handler if there is such a limit; then http.routes → HERE → the handler.
Rules: a refused client is told when to try again. A refusal costs a lookup in a table: a compressed body is not
decompressed first. Buckets are in memory that never grows (server.timing.rate_limit). Without a limit no handler is
wrapped.
Not here: which client or holder a request counts for, or that it counts for none and so is not limited
(http.around.client_address, auth.access), which requests are exempt (auth.canary_pass).
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
_DETAIL: Final = "Your {} exceeds its rate limit. Send fewer requests, with more events in each."


class _Share(msgspec.Struct, eq=False):
    """Shared by requests with one head from one peer: the key of their bucket, and how many tokens were taken from it
    in advance for the next ones."""

    whose: str
    left: int = 0


class RateLimited:
    """A handler behind a rate limit."""

    __slots__ = ("handler", "rate_limit")

    def __init__(self, rate_limit: RateLimit, handler: Handler) -> None:
        self.rate_limit = rate_limit
        self.handler = handler

    def handle(self, request: Request) -> None:
        """Call the handler, or refuse."""
        # measured: bench worker --without rates, single hasty: 1.26 → 1.06; a bucket alone is 2 µs of 17.
        memo = request.memo
        share = memo.get(self.rate_limit) if memo else None
        if share is not None and share.left:
            share.left -= 1
            self.handler(request)
        elif wait_s := self.rate_limit.wait_s(request):
            self.rate_limit.refuse(request, wait_s)
        else:
            self.handler(request)


def behind(handler: Handler, wrap: Callable[[Handler], Handler]) -> Handler:
    """Wrap ``handler`` with ``wrap``, but inside its rate limits."""
    limited = getattr(handler, "__self__", None)
    if isinstance(limited, RateLimited):
        return RateLimited(limited.rate_limit, behind(limited.handler, wrap)).handle
    return wrap(handler)


class RateLimit:
    """One rate limit. ``by`` is "address" or "key". ``whose`` returns the key of a request's bucket, "" if it is not
    limited. Breaches are counted in ``refused``. ``is_of_head``: ``whose`` depends on head and peer alone, so that it
    is called once for all requests that share them (``Request.memo``). Requests of which ``is_exempt`` says so are not
    limited."""

    __slots__ = (
        "_body",
        "_buckets",
        "_clock",
        "_cors",
        "_is_exempt",
        "_is_of_head",
        "_kind",
        "_phrase",
        "_refused",
        "_whose",
    )

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
        is_exempt: Callable[[Request], bool] | None = None,
    ) -> None:
        self._is_exempt = is_exempt
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
        """Return the same routes behind the rate limit."""
        return {path: {method: self._before(one) for method, one in methods.items()} for path, methods in table.items()}

    def _before(self, handler: Handler | None) -> Handler | None:
        return None if handler is None else RateLimited(self, handler).handle

    def wait_s(self, request: Request) -> float:
        """Return 0 if the request may be served, else the seconds until the next one of its client may be."""
        memo = request.memo
        if memo is None or not self._is_of_head:
            whose = self._of(request)
            return self._buckets.take(whose, self._clock()) if whose else 0.0
        share = memo.get(self)
        if share is None:
            share = memo[self] = _Share(self._of(request))
        if not share.whose:
            return 0.0
        now = self._clock()
        wait_s = self._buckets.take(share.whose, now)
        if not wait_s and self._buckets.ahead:
            share.left = self._buckets.take_ahead(share.whose, now)
        return wait_s

    def _of(self, request: Request) -> str:
        """Return the key of the request's bucket, "" if it is not limited."""
        whose = self._whose(request)
        return "" if whose and self._is_exempt is not None and self._is_exempt(request) else whose

    def refuse(self, request: Request, wait_s: float) -> None:
        """Answer 429 with the time after which to try again."""
        self._refused[self._kind] += 1
        self._cors.share(request)  # The handler would have done so: a page must be able to read the reason.
        request.refuse(_STATUS, self._phrase, self._body, PROBLEM_TYPE, b"Retry-After: %d\r\n" % ceil(wait_s))
