"""Find the address of the client behind the proxies.

Place: worker binds it → intake.arrival calls it, at most once per request.
Rules: a header is believed as far as its writer is trusted. From the socket's peer we walk to the left through
X-Forwarded-For as long as the hop is a trusted proxy; the first other hop is the client. A malformed entry ends the
walk at the proxy that passed it on; an empty one is skipped. ``client_ip_header`` is believed from a trusted peer
alone. ``Forwarded`` is walked like X-Forwarded-For, and only if ``client_ip_header`` names it: a proxy that writes one
of the two lets the client's other one through. Without trusted proxies the peer is the client, and its headers are
ignored.
Not here: the use of the address (intake.text.enrichment).
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
from server.text.networks import HINT, Networks
from server.text.octets import without_quotes

if TYPE_CHECKING:
    from server.config.settings import Http
    from server.http.request import Request

MAX_HOPS = 32  # How many entries of X-Forwarded-For are read. Longer chains do not occur naturally.
_MAX_CACHED = 8192
_MAX_ENTRY_CHARS = 64

# RFC 7239 sections 4 and 6.
_PORT = re.compile(r":([0-9]{1,5}|_[A-Za-z0-9._-]+)")
# A search may begin only where a name begins: otherwise a long name without a value takes quadratic time.
_LETTER = rb"[A-Za-z0-9!#$%&*+.^_`|~-]"
_PAIR = re.compile(rb'(?<!%b)(%b++)=("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s",;=]+)' % (_LETTER, _LETTER))


@lru_cache(maxsize=_MAX_CACHED)
def normalised(entry: str) -> str | None:
    """Return an address in its usual spelling, without port, brackets and zone; a mapped IPv4 address as IPv4. None:
    it is malformed."""
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


@lru_cache(maxsize=_MAX_CACHED)
def holder(address: str) -> str:
    """Return the unit that limits count by: the address itself, or the /64 of an IPv6 address, since a single client
    has all of it."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None


def trusted_proxies(texts: Iterable[str]) -> Networks:
    """Return the networks whose hosts are believed, and Unix sockets, whose clients are on this host. Raises
    SettingsError for a text that is not an address or a network."""
    try:
        return Networks(texts, has_unix=True)
    except ValueError as error:
        raise SettingsError(f"http.trusted_proxies: {error}; {HINT}") from None


def address(request: Request, proxies: Networks, client_ip_header: bytes | None) -> str:
    """Return the client's address, normalised; "" if the request came by a Unix socket and no header names one."""
    hop = normalised(request.peer) or ""
    if hop not in proxies:
        return hop
    if client_ip_header == b"forwarded" and client_ip_header in request.headers:
        return _walk(hop, _forwarded(request.headers[client_ip_header]), proxies)
    if client_ip_header is not None:
        named = _parse(request.headers.get(client_ip_header, b""))
        if named is not None:
            return named
    chain = request.headers.get(b"x-forwarded-for")
    if chain is None:
        return hop
    entries = [entry for entry in chain.rsplit(b",", MAX_HOPS)[-MAX_HOPS:] if entry.strip(BLANKS)]
    return _walk(hop, entries, proxies)


def _walk(hop: str, chain: list[bytes], proxies: Networks) -> str:
    for entry in reversed(chain):
        parsed = _parse(entry)
        if parsed is None:
            return hop
        hop = parsed
        if hop not in proxies:
            return hop
    return hop


def _forwarded(value: bytes) -> list[bytes]:
    """Return the ``for`` of each of the last elements of a Forwarded header; b"" if it has none or is malformed.

    A quote that a client opens and does not close cannot hide what the proxies add (http.fields): their quotes are even
    in number, so the last quote stays open, and then every comma separates.
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
    """Finds clients' addresses by the settings; the intake is given the bound method ``of``."""

    __slots__ = ("_header", "_proxies")

    def __init__(self, settings: Http) -> None:
        self._proxies = trusted_proxies(settings.trusted_proxies)
        header = settings.client_ip_header
        self._header = header.lower().encode() if header else None

    def of(self, request: Request) -> str:
        """Return the address of the client of ``request``."""
        return address(request, self._proxies, self._header)

    def holder(self, request: Request) -> str:
        """Return the unit that limits count ``request`` by. "": no limit applies, since it came from a proxy of ours
        that names no client, or by a Unix socket."""
        address = self.of(request)
        return "" if not address or address in self._proxies else holder(address)

    def sharer(self, request: Request) -> str:
        """Return the same, except that a proxy that names no client, or the host of a Unix socket, is a client
        itself."""
        return holder(self.of(request))

    def is_from_proxy(self, request: Request) -> bool:
        """Whether a trusted proxy passed the request on, so that its headers are believed."""
        return (normalised(request.peer) or "") in self._proxies
