"""Origins of pages: their syntax in settings, and whether the ``Origin`` header of a browser names one of several.
Host names have the same syntax without a scheme.

Place: config.transport_rules, catalog.allowed_auth, auth.key_entries check settings with it; http.around.cors,
http.around.webhook, auth.guard → HERE.
Rules: origins are written as browsers send them (RFC 6454 section 6.2), or as ``https://*.example.org`` for every host
below a name, at any depth. A list without wildcards is a plain frozenset. With wildcards, results are cached in bounded
number.
Not here: the answer to a request from another origin.
"""

# hot path

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

HINT: Final = "write it as browsers do: scheme, host and port, in small letters, without a path: https://a.example"
MAX_BYTES: Final = 512
MAX_CACHED: Final = 1_024

_ORIGIN: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:\d{1,5})?|[a-z]+://\[[0-9a-f:]+\](:\d{1,5})?"
)
_LABELS: Final = rb"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def is_origin(text: object) -> bool:  # cold: called for settings
    """Whether the text is an origin, or a wildcard for the origins of all hosts below one."""
    return isinstance(text, str) and _ORIGIN.fullmatch(text) is not None


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


def origins_of(texts: Iterable[str]) -> frozenset[bytes] | Origins:  # cold: once per key, stream and worker
    """Return a container for ``in`` tests with the value of a header."""
    given = tuple(texts)
    return Origins(given) if any("*" in text for text in given) else frozenset(text.encode() for text in given)
