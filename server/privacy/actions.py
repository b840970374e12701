"""The actions of ``x-privacy``: from the JSON text of a value to the text that takes its place.

Place: privacy.applied → HERE.
Rules: a value that an action cannot be carried out on is removed: text that is no address or no time, and what should
be hashed while there is no key. null stays null. In a list the action is carried out on each item. The strict set
removes what the usual one hashes or shortens, and leaves of a time its day.
Not here: which values these are (validators.privacy), the keys (privacy.keys).
"""

# hot path

from __future__ import annotations

import hmac
import ipaddress
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Raw

from server.privacy.keys import HashKeys

IPV4_BITS: Final = 24
IPV6_BITS: Final = 48
MAX_TIME_CHARS: Final = 64

_HOUR: Final = "%Y-%m-%dT%H:00:00Z"
_DAY: Final = "%Y-%m-%dT00:00:00Z"
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_HASHED: Final = re.compile(rb'"hmac:[A-Za-z0-9._-]{1,32}:[A-Za-z0-9_-]{43}"')
_NULL: Final = b"null"
_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder().decode
_split: Final = msgspec.json.Decoder(list[Raw]).decode


class Actions:
    """The actions with the keys of one worker. ``keeps_hashes``: events have come this way before, so that a text in
    the form of a hash is one."""

    def __init__(self, keys: HashKeys, *, keeps_hashes: bool = False) -> None:
        self._keys = keys
        self._keeps_hashes = keeps_hashes
        self._usual: dict[str, Callable[[Raw], Raw | None]] = {
            "hash": self._hash,
            "truncate-ip": _truncated,
            "coarse-time": _to_the_hour,
        }
        self._strict: dict[str, Callable[[Raw], Raw | None]] = {"coarse-time": _to_the_day}

    def usual(self, action: str, text: Raw) -> Raw | None:
        """Carry out an action. None removes the value."""
        return _each(self._usual.get(action, _removed), text)

    def strict(self, action: str, text: Raw) -> Raw | None:
        """Carry out what the strict set makes of an action."""
        return _each(self._strict.get(action, _removed), text)

    def _hash(self, text: Raw) -> Raw | None:
        key = self._keys.current
        if key is None:
            return None
        if self._keeps_hashes and _HASHED.fullmatch(text):
            return text
        digest = urlsafe_b64encode(hmac.digest(key.secret, _plain(text), "sha256"))
        return Raw(b'"hmac:%b:%b"' % (key.name.encode(), digest[:-1]))  # The last one is padding.


def _each(act: Callable[[Raw], Raw | None], text: Raw) -> Raw | None:
    """Carry out an action on a value, or on each item of a list."""
    if act is _removed:
        return None
    stripped = bytes(text).strip()
    if stripped == _NULL:
        return text
    if stripped[:1] != b"[":
        return act(text)
    items = [_each(act, item) for item in _split(text)]
    return Raw(_encode([item for item in items if item is not None]))


def _removed(_text: Raw) -> None:
    return None


def _plain(text: Raw) -> bytes:
    """Return the bytes to hash: of a string its letters, of any other value a text that equal values share."""
    try:
        value: Any = _decode(text)
    except msgspec.DecodeError:  # A number beyond the range of doubles: only its text is exact.
        return bytes(text)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _encode(value, order="sorted")


def _text_of(text: Raw) -> str:
    """Return the string that this JSON text stands for; "" if it is not a string."""
    try:
        value = _decode(text)
    except msgspec.DecodeError:
        return ""
    return value if isinstance(value, str) else ""


def _truncated(text: Raw) -> Raw | None:
    network = network_of(_text_of(text))
    return Raw(_encode(network)) if network else None


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """Return an address with its last bits set to 0; "" for a text that is none."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    bits = IPV4_BITS if found.version == 4 else IPV6_BITS
    if found.version == 6 and found.ipv4_mapped is not None:
        bits = 96 + IPV4_BITS
    return str(ipaddress.ip_network((found, bits), strict=False).network_address)


def _to_the_hour(text: Raw) -> Raw | None:
    return _coarse(text, _HOUR)


def _to_the_day(text: Raw) -> Raw | None:
    return _coarse(text, _DAY)


def _coarse(text: Raw, form: str) -> Raw | None:
    """Return a time in UTC without what is finer; a date alone stays as it is."""
    written = _text_of(text)
    if not written or len(written) > MAX_TIME_CHARS:
        return None
    try:
        moment = datetime.fromisoformat(written)
        if _DATE.fullmatch(written):
            return text
        return Raw(_encode((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime(form)))
    except (ValueError, OverflowError):
        return None
