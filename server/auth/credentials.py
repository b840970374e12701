"""Read what proves who may write: API keys from the settings and from files, public keys of tokens.

Place: commands.check (``examine``) → HERE → auth.guard in the workers, by fork.
Rules: every problem is a finding with file, line and what to do; a key or hash is in no message. All of it is read
anew on HUP, and compared with what is in force: changed credentials need new workers.
Not here: what a key looks like (auth.api_keys), fetching public keys (fetch.jwks).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from server.auth.api_keys import Hashed, is_key, parsed
from server.auth.grant import Grant
from server.auth.names import names_of
from server.auth.public_keys import PublicKeysError, kept_path
from server.auth.public_keys import read as read_public_keys
from server.config import document as documents
from server.config.document import Document, KeyPath, dotted
from server.config.finding import Finding, Level, kind_of
from server.config.load import Loaded
from server.config.urls import is_url
from server.errors import SettingsError

KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MEMBERS = ("name", "hash", "streams", "origins", "expires")


class ApiKey(Struct, frozen=True):
    """One key as it is written down. Of one name there may be several, for a rotation."""

    name: str
    kept: Hashed
    streams: tuple[str, ...] | None
    origins: tuple[str, ...] | None
    expires_ms: float | None

    def grant(self) -> Grant:
        """What it allows."""
        return Grant(
            "api_keys",
            self.name,
            math.inf if self.expires_ms is None else self.expires_ms,
            None if self.streams is None else names_of(self.streams),
            None if self.origins is None else frozenset(origin.encode() for origin in self.origins),
        )


class Credentials(Struct, frozen=True):
    """``public_keys``: the text of a JWKS; None where no tokens are taken. ``followed``: the file in which the fetcher
    puts newer ones; None where they are in a file of the operator's."""

    api_keys: tuple[ApiKey, ...] = ()
    public_keys: bytes | None = None
    followed: Path | None = None

    def as_in_settings(self) -> Credentials:
        """Without what the fetcher brings: workers follow that by themselves."""
        return self if self.followed is None else msgspec.structs.replace(self, public_keys=None)


def read(loaded: Loaded, trouble: str | None = None) -> tuple[Credentials, list[Finding]]:
    """All of them, and what is wrong. With an error among the findings they are not to be used.

    ``trouble``: why the URL of public keys did not answer just now.
    """
    findings: list[Finding] = []
    keys = list(_keys(_Place(loaded, None), loaded.config.auth.keys, ("auth", "keys"), findings))
    for index, text in enumerate(loaded.config.auth.key_files):
        keys += _of_file(loaded, index, loaded.path(text), findings)
    _refuse_twice(loaded, keys, findings)
    public_keys, followed = _public_keys(loaded, trouble, findings)
    return Credentials(tuple(key for key, _ in keys), public_keys, followed), findings


class _Place:
    """Where a key was written, for findings."""

    def __init__(self, loaded: Loaded, document: Document | None) -> None:
        self._origin = loaded.origin if document is None else lambda *path: document.origin(path)

    def finding(self, path: KeyPath, reason: str, hint: str, level: Level = "error") -> Finding:
        file, line = self._origin(*path)
        return Finding(level=level, file=file, line=line, key=dotted(path), reason=reason, hint=hint)


def _of_file(loaded: Loaded, index: int, path: Path, findings: list[Finding]) -> list[tuple[ApiKey, Finding]]:
    try:
        document = documents.read(path, hint="check auth.key_files")
    except SettingsError as error:
        file, line = loaded.origin("auth", "key_files", index)
        key = f"auth.key_files[{index}]"
        findings.append(Finding(level="error", file=file, line=line, key=key, reason=str(error)))
        return []
    place = _Place(loaded, document)
    entries = document.value.get("keys")
    if not isinstance(entries, list) or len(document.value) > 1:
        findings.append(place.finding((), "must have a list below `keys:`, and nothing else", "see AUTH.md"))
        return []
    return list(_keys(place, entries, ("keys",), findings))


def _keys(
    place: _Place, entries: list[Any], above: KeyPath, findings: list[Finding]
) -> Iterator[tuple[ApiKey, Finding]]:
    """Each key that can be used, and a finding to use if it is there twice."""
    for index, entry in enumerate(entries):
        path = (*above, index)
        wrong = list(_wrong(entry))
        findings += [place.finding((*path, *below), reason, hint) for below, reason, hint in wrong]
        if not wrong:
            expires = entry.get("expires")
            key = ApiKey(
                entry["name"],
                parsed(entry["hash"]),
                _strings(entry.get("streams")),
                _strings(entry.get("origins")),
                None if expires is None else _moment(expires).timestamp() * 1000,
            )
            if key.expires_ms is not None and key.expires_ms < datetime.now(UTC).timestamp() * 1000:
                hint = "remove it once nobody uses it"
                findings.append(place.finding((*path, "expires"), f"key {key.name} has expired", hint, "warning"))
            yield key, place.finding((*path, "hash"), "is there already", "one hash, one key")


def _wrong(entry: Any) -> Iterator[tuple[KeyPath, str, str]]:
    """What is wrong with one key, without its value: it may be the key itself."""
    if not isinstance(entry, dict):
        yield (), f"found {kind_of(entry)} (not shown); allowed is a map", f"write {', '.join(_MEMBERS)}"
        return
    for name in entry:
        if name not in _MEMBERS:
            shown = "a setting (not shown)" if len(str(name)) > 32 else repr(name)
            yield (), f"{shown} is unknown", f"known here: {', '.join(_MEMBERS)}"
    name = entry.get("name")
    if not isinstance(name, str) or not KEY_NAME.fullmatch(name) or is_key(name):
        yield ("name",), "must be a name of 1 to 64 letters, digits, '.', '_', '-'", "name who holds the key"
    yield from _wrong_hash(entry.get("hash"))
    for member, is_right, hint in (
        ("streams", _is_stream, "web.page_view or '/^web\\./'"),
        ("origins", _is_origin, "https://www.example.org, without a path"),
    ):
        given = entry.get(member)
        if given is None:
            continue
        if not isinstance(given, list) or not given or not all(is_right(one) for one in given):
            yield (member,), "must be a list, each one that can be used", f"write {hint}; leave it out to allow all"
    try:
        if entry.get("expires") is not None:
            _moment(entry["expires"])
    except ValueError:
        yield ("expires",), "is no time", "write 2027-01-31T00:00:00Z"


def _wrong_hash(text: Any) -> Iterator[tuple[KeyPath, str, str]]:
    if isinstance(text, str) and is_key(text):
        hint = "give it to its owner alone, and write what `penstock key NAME --hash` makes of it"
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


def _is_origin(text: Any) -> bool:
    """As browsers write it: RFC 6454, section 6.2."""
    if not isinstance(text, str) or text != text.lower():
        return False
    parts = urlsplit(text)
    return bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}" and "@" not in text


def _moment(value: Any) -> datetime:
    """Raises ValueError. A time without a zone is none: it would depend on the host."""
    moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment


def _strings(given: list[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _refuse_twice(loaded: Loaded, keys: list[tuple[ApiKey, Finding]], findings: list[Finding]) -> None:
    seen: set[Hashed] = set()
    for key, twice in keys:
        if key.kept in seen:
            findings.append(twice)
        seen.add(key.kept)


def _public_keys(loaded: Loaded, trouble: str | None, findings: list[Finding]) -> tuple[bytes | None, Path | None]:
    text = loaded.config.auth.jwt.keys
    if text is None:
        return None, None

    def add(level: Level, reason: str, hint: str) -> None:
        file, line = loaded.origin("auth", "jwt", "keys")
        findings.append(Finding(level=level, file=file, line=line, key="auth.jwt.keys", reason=reason, hint=hint))

    is_fetched = is_url(text)
    path = kept_path(loaded.path(loaded.config.fetch.path), text) if is_fetched else loaded.path(text)
    try:
        found = read_public_keys(path)
    except PublicKeysError as error:
        hint = "write a JWKS (RFC 7517) with public keys for ES256, EdDSA or RS256"
        add("error", trouble or f"{path} {error}", "see that it answers" if trouble else hint)
        return None, None
    if trouble:
        add("warning", f"{trouble}; starting with the keys that it answered last", "see that it answers")
    return found, path if is_fetched else None
