"""Check one API key as an operator writes it down, and make its grant.

Place: auth.credentials → HERE → auth.grant.
Rule: a message never shows a wrong value, because it may be the key itself.
Not here: where entries come from, and lines (auth.credentials).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from server.auth.api_keys import Hashed, is_key, parsed
from server.auth.grant import NEVER_MS, Grant
from server.auth.names import names_of
from server.config.auth_settings import KEY_NAME
from server.config.framework.document import KeyPath
from server.config.framework.finding import kind_of
from server.text.origins import is_origin, origins_of

_MEMBERS: Final = ("name", "hash", "streams", "origins", "expires")


class ApiKey(Struct, frozen=True):
    """One key as it is written down. Several may have one name, for a rotation."""

    name: str
    kept: Hashed
    streams: tuple[str, ...] | None
    origins: tuple[str, ...] | None
    expires_ms: int | None

    def grant(self) -> Grant:
        """Return the grant of the key."""
        return Grant(
            "api_keys",
            self.name,
            NEVER_MS if self.expires_ms is None else self.expires_ms,
            None if self.streams is None else names_of(self.streams),
            None if self.origins is None else origins_of(self.origins),
        )


def api_key(entry: dict[str, Any]) -> ApiKey:
    """Read an entry that has no faults."""
    expires, streams, origins = entry.get("expires"), entry.get("streams"), entry.get("origins")
    return ApiKey(
        entry["name"],
        parsed(entry["hash"]),
        None if streams is None else tuple(streams),
        None if origins is None else tuple(origins),
        None if expires is None else int(_moment(expires).timestamp() * 1000),
    )


def wrong(entry: Any) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield the faults of an entry: the path in it, the reason and the hint."""
    if not isinstance(entry, dict):
        yield (), f"found {kind_of(entry)} (not shown); allowed is a map", f"write {', '.join(_MEMBERS)}"
        return
    for name in entry:
        if name not in _MEMBERS:
            shown = "a setting (not shown)" if len(str(name)) > 32 else repr(name)
            yield (), f"{shown} is unknown", f"known here: {', '.join(_MEMBERS)}"
    name = entry.get("name")
    if not isinstance(name, str) or not KEY_NAME.fullmatch(name):
        yield ("name",), "must be a name of 1 to 64 letters, digits, '.', '_', '-'", "name the holder of the key"
    yield from _wrong_hash(entry.get("hash"))
    for member, is_right, hint in (
        ("streams", _is_stream, "web.page_view or '/^web\\./'"),
        ("origins", is_origin, "https://www.example.org or https://*.example.org, without a path"),
    ):
        if member not in entry:
            continue
        given = entry[member]
        if not isinstance(given, list) or not given or not all(is_right(one) for one in given):
            yield (member,), "must be a list of usable entries", f"write {hint}; leave it out to allow all"
    try:
        if "expires" in entry:
            _moment(entry["expires"])
    except ValueError:
        yield ("expires",), "is not a time", "write 2027-01-31T00:00:00Z; leave it out for a key that never expires"


def _wrong_hash(text: Any) -> Iterator[tuple[KeyPath, str, str]]:
    if isinstance(text, str) and is_key(text):
        hint = "give the key to its owner alone, and write here what `penstock key NAME --hash` prints for it"
        yield ("hash",), "is a key itself, not its hash", hint
        return
    try:
        parsed(text if isinstance(text, str) else "")
    except ValueError as error:
        yield ("hash",), str(error), "write it in quotes"


def _is_stream(text: Any) -> bool:
    if not isinstance(text, str) or not text:
        return False
    try:
        names_of([text])
    except ValueError:
        return False
    return True


def _moment(value: Any) -> datetime:
    """Read a time. Raises ValueError, also for a time without a zone, which would depend on the host."""
    moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment
