"""What a file of a schema comes to, kept on disk: reading it again takes a twentieth of reading YAML and bundling.

Place: registry asks HERE before it reads a file, and hands in what it made of it.
Rules:
1. An entry is found by the bytes of the file, its URI, and the code of this package: no entry is ever out of date, and
   those of other code are removed.
2. Only a file without ``$ref`` is kept: what comes of another depends on more than its own bytes.
3. Entries are JSON with a checksum, written whole or not at all. Whatever is wrong with one, or with the directory, it
   is as if it were not there. Whoever can write there is trusted as whoever writes the schemas is.
Not here: which schemas are asked for (registry).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from validators.errors import may_pass

_CHECKSUM_BYTES = 32


class DiskCache:
    """A directory of entries. It is made when absent."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / _code()
        self._is_on = True
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            for other in directory.iterdir():
                if other != self._directory and len(other.name) == len(self._directory.name):
                    shutil.rmtree(other, ignore_errors=True)
        except OSError:
            self._is_on = False

    def get(self, key: str) -> dict[str, Any] | None:
        """What was put, if it is there and whole."""
        try:
            entry = self._path(key).read_bytes()
        except OSError:
            return None
        checksum, text = entry[:_CHECKSUM_BYTES], entry[_CHECKSUM_BYTES:]
        if hashlib.sha256(text).digest() != checksum:
            return None
        whole: dict[str, Any] = json.loads(text)
        return whole

    def put(self, key: str, whole: dict[str, Any]) -> None:
        """Keep it. A full or read-only disk ends keeping, nothing else does."""
        if not self._is_on:
            return
        text = json.dumps(whole, separators=(",", ":")).encode()
        path = self._path(key)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            beside.write_bytes(hashlib.sha256(text).digest() + text)
            beside.replace(path)
        except OSError as error:
            self._is_on = may_pass(error)

    def _path(self, key: str) -> Path:
        return self._directory / key


def key_of(text: bytes, uri: str, marks: str) -> str | None:
    """The name of what a file comes to; None when that depends on other files. ``marks``: whatever else it hangs on."""
    if b"$ref" in text:
        return None
    return hashlib.sha256(b"\0".join((uri.encode(), marks.encode(), text))).hexdigest()


@cache
def _code() -> str:
    """Names the code of this package: what it makes of a file may change with it."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]
