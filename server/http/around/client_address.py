"""Whose request this is: the address of the client behind the proxies.

Place: worker binds it → intake.arrival calls it, at most once a request.
Rules: a header is believed as far as the one who wrote it is trusted. From the socket's peer we walk to the left
through X-Forwarded-For as long as the hop is a trusted proxy; the first that is not is the client. A malformed entry
ends the walk at the proxy that passed it on; an empty one is passed over. ``client_ip_header`` is believed from a
trusted peer alone; ``Forwarded`` is walked as X-Forwarded-For is, and only where it is that header: a proxy that writes
one of the two lets the client's other one through. With no trusted proxies the peer is the client, whatever it says.
Not here: what the address is used for (intake.text.enrichment).
"""

# hot path

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from server.errors import SettingsError
from server.http.fields import BLANKS, elements
from server.text.networks import HINT, Network, network
from server.text.octets import without_quotes

if TYPE_CHECKING:
    from server.config.settings import Http
    from server.http.request import Request

MAX_HOPS = 32  # Entries of X-Forwarded-For looked at. Longer chains do not happen by themselves.
_MAX_KEPT = 8192
_MAX_ENTRY_CHARS = 64

# RFC 7239 sections 4 and 6.
_PORT = re.compile(r":([0-9]{1,5}|_[A-Za-z0-9._-]+)")
# A search may begin where a name begins alone: else a long name without a value takes time in its square.
_LETTER = rb"[A-Za-z0-9!#$%&*+.^_`|~-]"
_PAIR = re.compile(rb'(?<!%b)(%b++)=("(?:[^"\\]|\\.)*+"|[^\s",;=]+)' % (_LETTER, _LETTER))


@lru_cache(maxsize=_MAX_KEPT)
def normalised(entry: str) -> str | None:
    """One address in its usual spelling, without port, brackets and zone; IPv4 when it is one. None: malformed."""
    text = entry.strip()
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=_MAX_KEPT)
def holder(address: str) -> str:
    """Who is bounded under an address: itself, or the /64 of an IPv6 one, of which a single client has all."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None


class TrustedProxies:
    """Networks whose hosts are believed. Raises SettingsError on what is not an address or a network."""

    __slots__ = ("_kept", "_networks")

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = [_network(text) for text in texts]
        self._kept: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def is_trusted(self, address: str) -> bool:
        """``address`` is normalised, or "" for a Unix socket: who may connect there is on this host."""
        answer = self._kept.get(address)
        if answer is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            answer = self._kept[address] = self._look_up(address)
        return answer

    def _look_up(self, address: str) -> bool:
        if not address:
            return bool(self._networks)
        parsed = ipaddress.ip_address(address)
        return any(parsed in network for network in self._networks)


def _network(text: str) -> Network:
    try:
        return network(text)
    except ValueError as error:
        raise SettingsError(f"http.trusted_proxies: {error}; {HINT}") from None


def address(request: Request, trusted_proxies: TrustedProxies, client_ip_header: bytes | None) -> str:
    """The client's address, normalised; "" when it came through a Unix socket and nobody says more."""
    hop = normalised(request.peer) or ""
    if not trusted_proxies.is_trusted(hop):
        return hop
    if client_ip_header == b"forwarded" and client_ip_header in request.headers:
        return _walk(hop, _forwarded(request.headers[client_ip_header]), trusted_proxies)
    if client_ip_header is not None:
        named = _parse(request.headers.get(client_ip_header, b""))
        if named is not None:
            return named
    chain = request.headers.get(b"x-forwarded-for")
    if chain is None:
        return hop
    entries = [entry for entry in chain.rsplit(b",", MAX_HOPS)[-MAX_HOPS:] if entry.strip(BLANKS)]
    return _walk(hop, entries, trusted_proxies)


def _walk(hop: str, chain: list[bytes], trusted_proxies: TrustedProxies) -> str:
    for entry in reversed(chain):
        parsed = _parse(entry)
        if parsed is None:
            return hop
        hop = parsed
        if not trusted_proxies.is_trusted(hop):
            return hop
    return hop


def _forwarded(value: bytes) -> list[bytes]:
    """The ``for`` of each of the last elements of a Forwarded header; b"" where there is none, or anything odd.

    A quote that a client opens and does not end does not hide what the proxies add (http.fields): theirs are even in
    number, so the last of all is left open, and then every comma separates.
    """
    found = []
    for element in elements(value)[-MAX_HOPS:]:
        named = [without_quotes(pair[2]) for pair in _PAIR.finditer(element) if pair[1].lower() == b"for"]
        is_whole = not _PAIR.sub(b"", element).strip(b"; \t")
        found.append(named[0] if len(named) == 1 and is_whole else b"")
    return found


def _parse(entry: bytes) -> str | None:
    return normalised(entry.decode("latin-1")) if len(entry) <= _MAX_ENTRY_CHARS else None


class ClientAddress:
    """The settings bound once: ``of`` is what the intake is given."""

    __slots__ = ("_header", "_proxies")

    def __init__(self, settings: Http) -> None:
        self._proxies = TrustedProxies(settings.trusted_proxies)
        header = settings.client_ip_header
        self._header = header.lower().encode() if header else None

    def of(self, request: Request) -> str:
        """The address of the client of ``request``."""
        return address(request, self._proxies, self._header)

    def holder(self, request: Request) -> str:
        """Who is bounded for ``request``. "" for nobody: it came from a proxy of ours that names no client, or
        through a Unix socket."""
        address = self.of(request)
        return "" if not address or self._proxies.is_trusted(address) else holder(address)

    def sharer(self, request: Request) -> str:
        """The same, but for nobody: a proxy that names no client, or the host of a Unix socket, is a client itself."""
        return holder(self.of(request))

    def is_from_proxy(self, request: Request) -> bool:
        """Whether one of the trusted proxies passed the request on, so that its headers are to be believed."""
        return self._proxies.is_trusted(normalised(request.peer) or "")
