"""Read the credentials: API keys from the settings and from files, and public keys of tokens.

Place: boot.examine → HERE → auth.access in the workers, by fork.
Rules: every problem is a finding with file, line and hint; a key or hash is in no message. Credentials are read again
on HUP and compared with those in force: changed credentials need new workers.
Not here: what may be said of a key (auth.key_entries), fetching public keys (fetch.public_keys).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from server.auth.api_keys import Hashed
from server.auth.key_entries import ApiKey, api_key, wrong
from server.auth.public_keys import PublicKeysError, examine, kept_path
from server.auth.public_keys import read as read_public_keys
from server.config.framework import document as documents
from server.config.framework.document import KeyPath, Origin, dotted
from server.config.framework.finding import Finding, Level
from server.config.load import Loaded
from server.config.urls import is_url
from server.errors import SettingsError

_FORM: Final = (
    "write `keys:`, and below it what `penstock key NAME` prints, all indented alike; or that alone: see AUTH.md"
)


class Credentials(Struct, frozen=True):
    """All credentials. ``public_keys`` is the text of a JWKS; None where tokens are not accepted. ``followed`` is the
    file in which the fetcher puts newer ones; None where they are in a file of the operator's."""

    api_keys: tuple[ApiKey, ...] = ()
    public_keys: bytes | None = None
    followed: Path | None = None

    def as_in_settings(self) -> Credentials:
        """Return the credentials without fetched public keys, which workers follow by themselves."""
        return self if self.followed is None else msgspec.structs.replace(self, public_keys=None)


def read(loaded: Loaded, trouble: str | None = None) -> tuple[Credentials, list[Finding]]:
    """Read all credentials and return them with the findings. With an error among these they must not be used.

    ``trouble`` is the reason why the URL of public keys did not answer.
    """
    findings: list[Finding] = []
    in_settings = _Place(lambda path: loaded.origin(*path))
    keys = list(_keys(in_settings, loaded.config.auth.keys, ("auth", "keys"), findings))
    for index, text in enumerate(loaded.config.auth.key_files):
        keys += _of_file(loaded, index, loaded.path(text), findings)
    _refuse_twice(keys, findings)
    public_keys, followed = _public_keys(loaded, trouble, findings)
    return Credentials(tuple(key for key, _ in keys), public_keys, followed), findings


class _Place:
    """The place where keys were written, for findings."""

    def __init__(self, origin: Callable[[KeyPath], Origin]) -> None:
        self._origin = origin

    def finding(self, path: KeyPath, reason: str, hint: str, level: Level = "error") -> Finding:
        file, line = self._origin(path)
        return Finding(level=level, file=file, line=line, key=dotted(path), reason=reason, hint=hint)


def _of_file(loaded: Loaded, index: int, path: Path, findings: list[Finding]) -> list[tuple[ApiKey, Finding]]:
    try:
        document = documents.read(path, hint="check auth.key_files", list_key="keys")
    except SettingsError as error:
        file, line = loaded.origin("auth", "key_files", index)
        key = f"auth.key_files[{index}]"
        hint = _FORM if path.is_file() else ""
        findings.append(Finding(level="error", file=file, line=line, key=key, reason=str(error), hint=hint))
        return []
    place = _Place(document.origin)
    entries = document.value.get("keys")
    if not isinstance(entries, list) or len(document.value) > 1:
        findings.append(place.finding((), "must have a list of keys, and no other entry", _FORM))
        return []
    return list(_keys(place, entries, ("keys",), findings))


def _keys(
    place: _Place, entries: list[Any], above: KeyPath, findings: list[Finding]
) -> Iterator[tuple[ApiKey, Finding]]:
    """Yield each key that can be used, with the finding to report if the key occurs twice."""
    for index, entry in enumerate(entries):
        path = (*above, index)
        problems = list(wrong(entry))
        findings += [place.finding((*path, *below), reason, hint) for below, reason, hint in problems]
        if not problems:
            key = api_key(entry)
            if key.expires_ms is not None and key.expires_ms < datetime.now(UTC).timestamp() * 1000:
                hint = "remove it once no client uses it"
                findings.append(place.finding((*path, "expires"), f"key {key.name} has expired", hint, "warning"))
            yield key, place.finding((*path, "hash"), "is there already", "one hash, one key")


def _refuse_twice(keys: list[tuple[ApiKey, Finding]], findings: list[Finding]) -> None:
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
        passed_over = examine(found)[1]
    except PublicKeysError as error:
        hint = "write a JWKS (RFC 7517) with public keys for ES256, EdDSA or RS256"
        add("error", trouble or f"{path} {error}", "see that it answers" if trouble else hint)
        return None, None
    if trouble:
        add("warning", f"{trouble}; starting with the keys of its last good answer", "see that it answers")
    if passed_over:
        add("warning", passed_over, "tokens that they sign are refused; the other keys are used")
    return found, path if is_fetched else None
