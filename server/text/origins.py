"""Origins of pages: their syntax in settings, and whether the ``Origin`` header of a browser names one of several. Host
names have the same syntax without a scheme.

Place: config.checks.transport_rules, catalog.allowed_auth, auth.key_entries check the syntax; http.around.cors,
http.around.webhook, auth.guard → HERE.
Rules: an origin is written as browsers send it (RFC 6454 section 6.2), except that a default port may be written;
``https://*.example.org`` stands for every host below a name, at any depth. A set of plain names is a frozenset. Answers
for patterns are cached, in bounded number.
Not here: the effect on a request from another origin.
"""

# hot path

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

HINT: Final = "write it as browsers do: scheme, host and port, in small letters, without a path: https://a.example"
MAX_BYTES: Final = 512
MAX_CACHED: Final = 1_024

_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[([0-9a-f:]+)\])(?::(0|[1-9][0-9]{0,4}))?"
)
_MAX_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
_LABELS: Final = rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def is_origin(text: object) -> bool:  # cold: what an operator wrote
    """Whether this is the syntax of an origin, or of a pattern for the hosts below one."""
    found = _ORIGIN.fullmatch(text) if isinstance(text, str) else None
    if found is None or int(found[3] or 0) > _MAX_PORT:
        return False
    return found[2] is None or _is_ipv6(found[2])


def as_sent(origin: str) -> str:  # cold: what an operator wrote
    """Return the origin as browsers send it: without the default port of its scheme."""
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition("://")[0], ""))


def _is_ipv6(text: str) -> bool:
    """Whether this is an address in the short form, which browsers send (RFC 5952)."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return address.ipv4_mapped is not None or address.compressed == text


def is_host_name(text: str) -> bool:  # cold: called for settings
    """Whether the text is a host name, ``*.`` and a name for every host below it, or ``*`` for all hosts."""
    return text == "*" or _NAME.fullmatch(text) is not None


class Origins:
    """The set of origins that the texts stand for; each text is ``is_origin`` or ``is_host_name``."""

    __slots__ = ("_cache", "_pattern")

    def __init__(self, texts: Iterable[str]) -> None:
        patterns = [re.escape(text.encode()).replace(rb"\*", _LABELS) for text in texts]
        self._pattern = re.compile(b"|".join(patterns))
        self._cache: dict[bytes, bool] = {}

    def __contains__(self, origin: bytes | None) -> bool:
        """Whether the header's value is one of them. ``origin`` None: the request has no such header."""
        if origin is None or len(origin) > MAX_BYTES:
            return False
        found = self._cache.get(origin)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            found = self._cache[origin] = self._pattern.fullmatch(origin) is not None
        return found


def origins_of(texts: Iterable[str]) -> frozenset[bytes] | Origins:  # cold: once a key, a stream, a worker
    """Return a container to test the value of a header with ``in``."""
    given = tuple(map(as_sent, texts))
    return Origins(given) if any("*" in text for text in given) else frozenset(text.encode() for text in given)
