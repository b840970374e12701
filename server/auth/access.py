"""Verify the key or token that a request presents, once, and cache the result.

Place: worker makes one; auth.guard asks for each request → HERE → auth.api_keys, auth.tokens.
Rules: a header value that was verified before costs one dict lookup. Invented keys are never cached. Refused tokens are
cached apart from good ones, so that no number of them pushes those out. The dict compares whole values only where their
hashes are equal, which are keyed per process, so the time of a look-up tells nothing of a key.
Not here: what streams ask for (auth.guard), how keys and tokens are verified (auth.api_keys, auth.tokens).
"""

# hot path

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from server.auth.api_keys import PREFIX, ApiKeys
from server.auth.grant import NOBODY, Grants
from server.auth.guard import Guard, PageGuard
from server.catalog.name_cache import NameCache
from server.paths import Paths
from server.timing.rate_limit import TokenBuckets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.auth.credentials import Credentials
    from server.auth.guard import Arrival
    from server.auth.tokens import Tokens
    from server.catalog.stream import Stream
    from server.config.auth_settings import Auth

# How many header values a worker caches, and for a while twice as many. Good ones are our own keys and our issuers'
# tokens, mostly of 50 and 1,000 bytes; refused tokens may be any text that a stranger sends.
GOOD_MAX: Final = 2_048
REFUSED_MAX: Final = 256
MAX_CREDENTIAL_BYTES: Final = 8_192

# How many tokens of one client address may turn out to be wrong. Each costs up to 150 µs: 0.3 % of a core. Beyond that
# no new token of the address is verified, while cached ones stay good.
INVENTED_PER_S: Final = 20.0
INVENTED_BURST: Final = 200
INVENTED_CLIENTS: Final = 8_192

_BEARER: Final = b"bearer "
_BEACONS: Final = (Paths.BEACON.encode(), Paths.PIXEL.encode())


class Request(Protocol):
    """The part of http.request.Request that is used here."""

    headers: Mapping[bytes, bytes]
    path: bytes
    query: bytes

    def params(self) -> Mapping[str, str]: ...


class Access:
    """Verifies keys and tokens and caches the results; each worker has one."""

    def __init__(
        self,
        settings: Auth,
        credentials: Credentials,
        is_from_proxy: Callable[[Any], bool],
        client: Callable[[Any], str] = lambda _: "",
    ) -> None:  # cold: once per worker
        """``is_from_proxy`` says whether a request comes from one of the trusted proxies; ``client`` returns the client
        of a request by its address, or "" for none. ``verified``, the cache of header values, stays the same dict,
        because guards look there first."""
        self._client = client
        self._invented = TokenBuckets(INVENTED_PER_S, INVENTED_BURST, INVENTED_CLIENTS)
        self._settings = settings
        self._keys = ApiKeys((key.kept, key.grant()) for key in credentials.api_keys)
        self._tokens: Tokens | None = None
        if credentials.public_keys is not None:
            from server.auth.tokens import Tokens  # PyJWT and cryptography are loaded only where they are needed.

            self._tokens = Tokens(settings.jwt, credentials.public_keys)
        self.is_from_proxy = is_from_proxy
        header = settings.identity_header
        self.identity_header = header.lower().encode() if header else None
        self.verified: dict[bytes, Grants] = {}
        self._forget()

    def guard(self, stream: Stream) -> Guard | None:  # cold: once per route
        """Make the guard of a stream; None where every client may write."""
        ways = stream.auth or tuple(self._settings.default)
        if stream.origins:
            return PageGuard(self, stream, ways, self._settings)
        return None if ways == ("none",) else Guard(self, stream, ways, self._settings)

    def use_public_keys(self, text: bytes) -> None:  # cold: when they have changed
        """Verify all tokens by these keys from now on, cached ones too. Raises PublicKeysError."""
        assert self._tokens is not None
        self._tokens.use(text)
        self._forget()

    def _forget(self) -> None:
        self.verified.clear()
        self._good: NameCache[bytes, Grants] = NameCache(self.verified, GOOD_MAX)
        self._refused: NameCache[bytes, Grants] = NameCache(self.verified, REFUSED_MAX)

    def grants(self, arrival: Arrival) -> Grants:
        """Return the grants of a request by its headers, or of a beacon by its query."""
        return self._presented(arrival.headers, arrival.request)

    def key_holder(self, request: Request) -> str:
        """Return the holder of the first key or token that a request presents; "" when none of them is valid."""
        for grant in self._presented(request.headers, request):
            return f"{grant.way} {grant.name}"
        return ""

    def _presented(self, headers: Mapping[bytes, bytes], request: Request | None) -> Grants:
        presented = headers.get(b"authorization")
        other = headers.get(b"x-api-key")
        if presented is None:
            return self._of_query(request) if other is None else self._of(other, request)
        found = self._of(presented, request)
        return found if other is None else found + self._of(other, request)

    def _of(self, presented: bytes, request: Request | None) -> Grants:
        found = self.verified.get(presented)
        return self._learn(presented, request) if found is None else found

    def _of_query(self, request: Request | None) -> Grants:
        name = self._settings.query_param
        if name is None or request is None or not request.query or request.path not in _BEACONS:
            return NOBODY
        given = request.params().get(name)
        return self._of(given.encode(), request) if given else NOBODY

    def _learn(self, presented: bytes, request: Request | None) -> Grants:
        """Verify a header value that is not in the cache, and cache the result."""
        if self._good.recall(presented) or self._refused.recall(presented):
            return self.verified[presented]
        if len(presented) > MAX_CREDENTIAL_BYTES:
            return NOBODY
        credential = (
            presented[len(_BEARER) :].lstrip(b" ") if presented[: len(_BEARER)].lower() == _BEARER else presented
        )
        if credential.startswith(PREFIX):
            grant = self._keys.find(credential)
        elif self._tokens is not None and credential.count(b".") == 2:
            return self._learn_token(self._tokens, presented, credential, request)
        else:
            grant = None
        if grant is None:
            return NOBODY
        self._good.put(presented, (grant,))
        return (grant,)

    def _learn_token(self, tokens: Tokens, presented: bytes, token: bytes, request: Request | None) -> Grants:
        from server.auth.tokens import EarlyError

        client, now = self._client(request) if request is not None else "", time.monotonic()
        if client and self._invented.wait_s(client, now):
            return NOBODY
        try:
            grant = tokens.find(token)
        except EarlyError:
            return self._refuse_token(client, now)
        if grant is None:
            self._refuse_token(client, now)
        found = NOBODY if grant is None else (grant,)
        (self._good if found else self._refused).put(presented, found)
        return found

    def _refuse_token(self, client: str, now: float) -> Grants:
        if client:
            self._invented.take(client, now)
        return NOBODY
