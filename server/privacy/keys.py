"""The keys of hashes: read from a file, and read again when the file changes.

Place: boot.examine reads them, worker calls ``look`` on its beat → HERE → privacy.actions.
Rules: the first key of the file hashes; the others only say which hashes are old ones. There is one ``stat`` per beat.
A file that cannot be used changes nothing: the keys before stay, and the log says so once. One that cannot be read now
is read again on the next beat. A secret is in no message.
Not here: what is hashed (privacy.actions), which schemas ask for it (the annotation ``x-privacy``).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final, NamedTuple

from server.errors import SettingsError
from server.host.marks import FileMark

MIN_SECRET_CHARS: Final = 32
MAX_BYTES: Final = 65_536

_LINE: Final = re.compile(r"([A-Za-z0-9._-]{1,32})[ \t]+(\S+)")
_FORM: Final = "write a name and a secret on each line, as in `2026-11 $(openssl rand -hex 32)`"
_logger = logging.getLogger("privacy")


class HashKey(NamedTuple):
    """One key. ``name`` is a part of each hash that it makes."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        return f"HashKey({self.name!r})"


def read(path: Path) -> tuple[HashKey, ...]:
    """Return the keys of a file, the one in force first. Raises SettingsError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise SettingsError(f"{path}: has more than {MAX_BYTES} bytes")
    keys: dict[str, HashKey] = {}
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), 1):
        written = line.strip()
        if not written or written.startswith("#"):
            continue
        found = _LINE.fullmatch(written)
        if found is None:
            raise SettingsError(f"{path}:{number}: is not a name and a secret: {_FORM}")
        name, secret = found.groups()
        if len(secret) < MIN_SECRET_CHARS:
            raise SettingsError(f"{path}:{number}: the secret has fewer than {MIN_SECRET_CHARS} characters: {_FORM}")
        if name in keys:
            raise SettingsError(f"{path}:{number}: the name {name} is there twice")
        keys[name] = HashKey(name, secret.encode())
    if not keys:
        raise SettingsError(f"{path}: has no key: {_FORM}")
    return tuple(keys.values())


class HashKeys:
    """The keys of one worker. ``path`` None: there is no file, and no value can be hashed."""

    def __init__(self, path: Path | None = None, keys: tuple[HashKey, ...] = ()) -> None:
        self._mark = None if path is None else FileMark(path)
        self._all = keys
        self.current = keys[0] if keys else None

    def look(self) -> None:
        """Use the keys of the file if it has changed. This is called on every beat."""
        if self._mark is None or not self._mark.is_due():
            return
        try:
            keys = read(self._mark.path)
        except SettingsError as error:
            if self._mark.failed(error):
                _logger.warning("keys of hashes: %s; the previous ones stay in force", error)
            return
        if keys != self._all:
            self._all, self.current = keys, keys[0]
            _logger.info("values are hashed with the key %s from now on", keys[0].name)
