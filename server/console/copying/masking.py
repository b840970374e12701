"""Mask what the console must not get, in the worker.

Place: console.copying.tap → HERE.
Rules: what cannot be masked for certain is not shown: a body that is not JSON is left out as soon as any field is to be
masked and its name occurs in it. Headers are copied by a list of names, so a credential in an unknown header is never
copied.
Not here: which fields (settings ``console.mask``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

MASKED: Final = "(masked)"
HIDDEN: Final = b"(not shown: it is not JSON, and it may hold a field of console.mask)"
MAX_HEADER_CHARS: Final = 400
# Headers that say how a request was sent. The values of these are shown,
SHOWN: Final = (
    *(b"content-type", b"content-encoding", b"content-length", b"user-agent", b"origin", b"referer", b"accept"),
    *(b"x-request-id", b"x-penstock-test", b"traceparent", b"host", b"accept-encoding", b"sec-fetch-site"),
    *(b"access-control-request-method", b"access-control-request-headers", b"transfer-encoding", b"ce-type"),
)
# and of these only that they were sent.
NAMED: Final = (b"authorization", b"cookie", b"x-api-key", b"proxy-authorization", b"x-forwarded-for", b"forwarded")
_SECRETS: Final = re.compile(rb"((?:^|&)(?:key|api_key|token|access_token)=)[^&]*", re.IGNORECASE)


class Masks:
    """The fields to mask. A path that begins with ``*.`` is a name at any depth."""

    def __init__(self, paths: Iterable[str], *, shows_addresses: bool) -> None:
        self._anywhere = {path[2:] for path in paths if path.startswith("*.")}
        self._paths = [tuple(path.split(".")) for path in paths if not path.startswith("*.")]
        last = {path.rpartition(".")[2] for path in paths}
        names = [re.escape(name.encode()) for name in sorted(last)]
        # An escape may stand for any letter of a name, so a text with one is looked at as a whole.
        self._may_hold = re.compile(b"|".join([*names, rb"\\u"])) if names else None
        self._shows_addresses = shows_addresses

    def text(self, raw: bytes) -> bytes:
        """Return a JSON text with masked fields; the text itself if it has none of them."""
        if self._may_hold is None or not self._may_hold.search(raw):
            return raw
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            lines = raw.split(b"\n")
            return b"\n".join(self._line(line) for line in lines) if len(lines) > 1 else HIDDEN
        return msgspec.json.encode(self._masked(value, self._paths))

    def _line(self, line: bytes) -> bytes:
        return self.text(line) if line.strip() else line

    def _masked(self, value: Any, paths: list[tuple[str, ...]]) -> Any:
        if isinstance(value, list):
            return [self._masked(element, paths) for element in value]
        if not isinstance(value, dict):
            return value
        found = {}
        for name, inner in value.items():
            below = [path[1:] for path in paths if path[0] == name]
            if name in self._anywhere or () in below:
                found[name] = MASKED
            else:
                found[name] = self._masked(inner, [path for path in below if path])
        return found

    def address(self, address: str) -> str:
        """Return a client's address, without its last part unless addresses are shown."""
        if self._shows_addresses or not address:
            return address
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return MASKED
        network = ipaddress.ip_network((found, 24 if found.version == 4 else 48), strict=False)
        return f"{network.network_address}/{network.prefixlen}"

    @staticmethod
    def headers(headers: Mapping[bytes, bytes]) -> dict[str, str]:
        """Return the headers that may be shown."""
        shown = {}
        for name in SHOWN:
            if name in headers:
                shown[name.decode()] = headers[name][:MAX_HEADER_CHARS].decode("latin-1")
        for name in NAMED:
            if name in headers:
                shown[name.decode()] = MASKED
        return shown

    def query(self, query: bytes) -> bytes:
        """Return a query without credentials; an event in it is shown as the body."""
        shown = b"&".join(
            b"(event)" if field[:1] in (b"{", b"[") or field[:3].lower() in _EVENTS else field
            for field in query.split(b"&")
        )
        return _SECRETS.sub(rb"\1(masked)", shown)


_EVENTS: Final = frozenset({b"%7b", b"%5b", b"%25"})
