"""Decide whether a request may write to a stream.

Place: intake.router has auth.access make one per stream; intake.pipeline asks it for every event → HERE.
Rules: a stream that asks for no proof has no guard. The grants of a request are looked up once. A request that proves
nothing is refused. A stream that only takes events from pages of some origins has a guard of its own class, so that the
other streams pay nothing for it.
Not here: verifying keys and tokens (auth.access), words for clients (intake.pipeline).
"""

# hot path

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from server.auth.grant import OURS, OWN, Grants
from server.text.networks import Networks
from server.text.origins import origins_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from server.auth.access import Access
    from server.catalog.stream import Stream
    from server.config.auth_settings import Auth

Refused = Literal["unauthorized", "forbidden"]


class Arrival(Protocol):
    """The part of intake.arrival.Arrival that is used here. ``grants`` is None until they are looked up."""

    received_ms: int
    headers: Mapping[bytes, bytes]
    request: Any
    grants: Grants | None

    def address(self) -> str: ...


_networks = lru_cache(maxsize=256)(Networks)  # Streams with the same networks share one object and its cache.
_origins = lru_cache(maxsize=256)(origins_of)


class Guard:
    """The guard of one stream: any of its ``ways`` is enough."""

    __slots__ = (
        "_find",
        "_identities",
        "_identity_header",
        "_is_from_proxy",
        "_key_names",
        "_name",
        "_networks",
        "_verified",
        "_ways",
    )

    def __init__(
        self, access: Access, stream: Stream, ways: tuple[str, ...], settings: Auth
    ) -> None:  # cold: once per route
        self._is_from_proxy = access.is_from_proxy
        self._find, self._verified = access.grants, access.verified
        self._name = stream.name
        self._ways = frozenset({*ways, OWN})
        self._key_names = frozenset(stream.api_keys) if stream.api_keys else None
        self._networks = _networks(stream.networks or tuple(settings.networks)) if "networks" in ways else None
        identities = stream.identities or settings.identities
        self._identities = frozenset(one.encode() for one in identities) if "identities" in ways else None
        self._identity_header = access.identity_header

    def refuses(self, arrival: Arrival) -> Refused | None:
        """Return None when the request may write. ``unauthorized``: a valid key or token would have helped, and the
        request has none. ``forbidden``: it has one that does not cover the stream, or none would help."""
        grants = arrival.grants
        if grants is None:
            # measured: bench auth, an event with a key, instead of a call of Access.grants: 1.4 → 1.0 µs of 10.9.
            presented, other = arrival.headers.get(b"authorization"), arrival.headers.get(b"x-api-key")
            grants = self._verified.get(presented or other or b"")
            if grants is None or (presented and other):
                grants = self._find(arrival)
            arrival.grants = grants
        for grant in grants:
            if (
                grant.until_ms > arrival.received_ms
                and grant.way in self._ways
                and (grant.streams is None or self._name in grant.streams)
                and (self._key_names is None or grant.way != "api_keys" or grant.name in self._key_names)
                and (grant.origins is None or arrival.headers.get(b"origin") in grant.origins)
            ):
                return None
        return self._without(grants, arrival)

    def _without(self, grants: Grants, arrival: Arrival) -> Refused | None:
        """Decide about a request without a key or token for this stream."""
        if self._networks is not None and arrival.address() in self._networks:
            return None
        if self._identities is not None and self._identity_header is not None:
            given = arrival.headers.get(self._identity_header)
            if given in self._identities and self._is_from_proxy(arrival.request):
                return None
        for grant in grants:
            if grant.way in self._ways and grant.until_ms > arrival.received_ms:
                return "forbidden"
        return "unauthorized" if "api_keys" in self._ways or "jwt" in self._ways else "forbidden"


class PageGuard(Guard):
    """The guard of a stream that only takes events from pages of its ``origins``: on other pages no key or token helps.

    A request without an origin is refused too, because an ``<img>`` names none on any page.
    """

    __slots__ = ("_is_open", "_origins")

    def __init__(
        self, access: Access, stream: Stream, ways: tuple[str, ...], settings: Auth
    ) -> None:  # cold: once per route
        super().__init__(access, stream, ways, settings)
        self._is_open = "none" in ways
        self._origins = _origins(stream.origins)

    def refuses(self, arrival: Arrival) -> Refused | None:
        """As ``Guard.refuses``."""
        if arrival.headers.get(b"origin") not in self._origins and arrival.grants is not OURS:
            return "forbidden"
        return None if self._is_open else super().refuses(arrival)
