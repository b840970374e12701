"""The files that properties of librdkafka name: certificates, keys, keytabs.

Place: config.load makes their paths absolute, config.kafka.settings asks whether they can be read, boot.generation asks
whether they have changed → HERE.
Rules: a path is relative to the settings file, like all paths of the settings. librdkafka reads a file once, when a
producer is made, so a file with other content needs new workers. The content itself is stored nowhere.
Not here: properties whose value is read from a file (config.load, for the setting ``config.kafka.files``).
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from server.config.kafka.rules import Properties, RefusedProperty, text_of

# CONFIGURATION.md of librdkafka 2.16.
NAMES: Final = frozenset(
    {
        "https.ca.location",
        "sasl.kerberos.keytab",
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.jwt.template.file",
        "sasl.oauthbearer.assertion.private.key.file",
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.crl.location",
        "ssl.engine.location",
        "ssl.key.location",
        "ssl.keystore.location",
    }
)
_MAY_BE_DIRECTORY: Final = ("ssl.ca.location", "https.ca.location")
_PROBE: Final = "probe"  # In both properties: librdkafka looks for the system's certificates.
# A bundle of all public authorities has 220 kB. A larger file is compared by size and time.
_MAX_BYTES: Final = 1 << 20


def resolved(properties: Properties, base_dir: Path) -> dict[str, str]:
    """Return the properties that name a file, with absolute paths."""
    return {name: str(base_dir / path) for name, path in _named(properties)}


def unreadable(properties: Properties) -> list[RefusedProperty]:
    """Find files that do not exist or may not be read, in messages that are clearer than librdkafka's."""
    return [
        RefusedProperty(name, reason, _HINT) for name, path in _named(properties) if (reason := _trouble(name, path))
    ]


def state(properties: Properties) -> str:
    """Return a value that changes when one of the files changes, or the target of a symbolic link."""
    whole = hashlib.sha256()
    for name, path in sorted(_named(properties)):
        whole.update(f"{name}\0{path}\0".encode())
        for part in _parts(Path(path)):
            whole.update(part)
    return whole.hexdigest()


_HINT: Final = "put the file there and let the service read it; paths are relative to the settings file"


def _named(properties: Properties) -> list[tuple[str, str]]:
    return [
        (name, text)
        for name, value in properties.items()
        if name in NAMES and (text := text_of(value)) and not (text == _PROBE and name in _MAY_BE_DIRECTORY)
    ]


def _trouble(name: str, path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            if name not in _MAY_BE_DIRECTORY:
                return f"{path} is a directory"
            os.listdir(path)
        elif not os.access(path, os.R_OK):
            return f"{path} cannot be read: Permission denied"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def _parts(path: Path) -> list[bytes]:
    """Return values that differ when the content differs; for a directory, those of each file in it."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            return [part for each in sorted(path.iterdir()) for part in (each.name.encode(), *_parts_of_file(each))]
        return _parts_of_file(path)
    except OSError as error:
        return [str(error.errno).encode()]


def _parts_of_file(path: Path) -> list[bytes]:
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_size <= _MAX_BYTES:
            return [hashlib.sha256(path.read_bytes()).digest()]
    except OSError as error:
        return [str(error.errno).encode()]
    return [f"{found.st_size} {found.st_mtime_ns} {found.st_ino}".encode()]
